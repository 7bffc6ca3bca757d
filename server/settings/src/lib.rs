//! How every Sluice program is told what to do: file (TOML), environment and flags, the later winning; read once at
//! start and validated whole, so that every problem is told at once, with what set it and what to do.

mod key;
mod log;
mod program;
mod values;

use std::fmt;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

pub use key::{Key, key};
pub use log::{LOG_KEYS, Log};
pub use program::{StopSignal, tell_error};
pub use values::{Values, is_loopback, secure_url};

/// The settings of one program.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Start of its environment variables: `SLUICE_GATEWAY_`.
    pub prefix: &'static str,
    pub keys: Vec<Key>,
    /// Settings of other commands that a file may have as well.
    pub elsewhere: Vec<&'static str>,
}

/// One setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Name of the setting, as in the file.
    pub path: String,
    /// What set it: `--listen`, `SLUICE_GATEWAY_LISTEN`, a file's name.
    pub origin: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Every setting that is wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub struct InvalidSettings(pub Vec<SettingProblem>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, SettingProblem { path, origin, message, hint }) in self.0.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}`{path}` ({origin}): {message}. {hint}")?;
        }
        Ok(())
    }
}

impl Schema {
    /// Adds a flag for each setting, also settable by environment, and `--config` to a command.
    pub fn command(&self, command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .env(format!("{}CONFIG", self.prefix))
            .hide_env_values(true)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Settings file (TOML); flags and environment win over it");
        command.args(self.keys.iter().map(|key| key.arg(self.prefix))).arg(config)
    }

    /// Collects what flags, environment and the file that they name give.
    pub fn values(&self, matches: &ArgMatches) -> Values {
        let mut values = Values::new(self.clone());
        if let Some(file) = matches.get_one::<PathBuf>("config") {
            values.read_file(file);
        }
        values.read_matches(matches);
        values
    }
}
