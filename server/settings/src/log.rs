//! What a program logs: to standard error, as text or as JSON lines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::key::{Key, key};
use crate::values::Values;

const DEFAULT: &str = "info,sqlx=warn,hyper=warn,sea_orm=error,sea_orm_migration=warn";

/// The settings of [`Log`].
pub const LOG_KEYS: [Key; 2] = [
    key("log", "FILTER", DEFAULT, "What is logged, for example info,sluice_control=debug"),
    key("log_format", "FORMAT", "text", "text or json"),
];

/// What is logged and how.
#[derive(Clone, Debug)]
pub struct Log {
    filter: String,
    json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: DEFAULT.to_owned(), json: false }
    }
}

impl Log {
    /// Reads [`LOG_KEYS`].
    pub fn take(values: &mut Values) -> Self {
        let json = values.with("log_format", "It is `text` or `json`.", |text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            other => Err(format!("`{other}` is no format")),
        });
        let filter = values.with("log", "For example `info` or `info,sluice_control=debug`.", |text| {
            text.parse::<EnvFilter>().map(|_| text.to_owned()).map_err(|error| format!("`{text}`: {error}"))
        });
        let default = Self::default();
        Self { filter: filter.unwrap_or(default.filter), json: json.unwrap_or(default.json) }
    }

    /// Starts logging; once in the life of a process, later calls change nothing.
    pub fn start(&self) {
        let filter = EnvFilter::new(&self.filter);
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // An error means that it has been started before.
        let _ = if self.json {
            subscriber.json().try_init()
        } else {
            subscriber.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
        };
    }
}
