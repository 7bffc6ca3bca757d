//! One setting: name, default and meaning in one place, from which flag, environment variable and reference follow.

use clap::{Arg, ArgAction};

/// A setting. With the prefix `SLUICE_GATEWAY_`, `listen` is `--listen`, `SLUICE_GATEWAY_LISTEN` and `listen = ...` in
/// the file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Name in the file, in snake case.
    pub name: &'static str,
    /// What kind of value it takes, for help.
    pub value: &'static str,
    /// Its default as text; empty when there is none.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Not shown in help.
    pub hidden: bool,
    /// Its environment variable, where it is not the prefix and the name.
    pub variable: Option<&'static str>,
}

/// A setting that is named as all others are.
pub const fn key(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, value, default, help, hidden: false, variable: None }
}

impl Key {
    /// The same setting by another environment variable.
    #[must_use]
    pub const fn variable(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }

    /// The same setting, not shown in help.
    #[must_use]
    pub const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Name of its environment variable.
    pub fn variable_name(&self, prefix: &str) -> String {
        self.variable.map_or_else(|| format!("{prefix}{}", self.name.to_uppercase()), str::to_owned)
    }

    /// Name of its flag, without the dashes.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    pub(crate) fn arg(&self, prefix: &str) -> Arg {
        let default =
            if self.default.is_empty() { String::new() } else { format!(" [default: {}]", self.default) };
        Arg::new(self.name)
            .long(self.flag())
            .env(self.variable_name(prefix))
            .hide_env_values(true)
            .value_name(self.value)
            .help(format!("{}{default}", self.help))
            .action(ArgAction::Set)
            .hide(self.hidden)
    }
}
