//! The table of settings: name, default and meaning in one place, from which flags, environment and reference follow.

use clap::{Arg, ArgAction};

/// A setting. `listen` is `--listen`, `SLUICE_GATEWAY_LISTEN` and `listen = ...` in the file.
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
}

const fn key(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, value, default, help, hidden: false }
}

/// Every setting of a gateway.
pub const KEYS: &[Key] = &[
    key("listen", "ADDRESS", "127.0.0.1:8000", "Where clients call"),
    key("status_listen", "ADDRESS", "127.0.0.1:8001", "Where /healthz, /readyz and /metrics answer"),
    key("threads", "COUNT", "one for each core", "Threads that serve"),
    key(
        "data",
        "DIRECTORY",
        "data/gateway",
        "Identity, last configuration and unsent calls; of this gateway alone",
    ),
    key(
        "enrolment_token",
        "TOKEN",
        "",
        "Makes this a gateway of an environment; needed once (prefer the file)",
    ),
    key("enrolment_token_file", "FILE", "", "File that holds the enrolment token"),
    key("control_url", "URL", "", "Control plane's gateway link, when it is not the one in the token"),
    key("name", "NAME", "the host name", "Name for people"),
    key("region", "LABEL", "", "Where this gateway stands"),
    key("public_url", "URL", "", "Where clients reach this gateway, for the console's try-it"),
    key(
        "spool_max_bytes",
        "BYTES",
        "256MiB",
        "Most bytes of unsent call records on disk; past it the oldest go",
    ),
    key("cache_max_bytes", "BYTES", "256MiB", "Most bytes of cached responses in memory"),
    key(
        "max_offline",
        "DURATION",
        "",
        "How long to serve without the control plane; the environment may set less",
    ),
    key("drain", "DURATION", "10s", "How long calls in flight may take to finish at stop"),
    key(
        "allowed_networks",
        "CIDR,...",
        "",
        "Networks that upstreams may be in although refused by default (loopback, private, link-local)",
    ),
    Key { name: "failpoint", value: "STEP", default: "", help: "Dies at this step", hidden: true },
];

impl Key {
    /// Name of its environment variable.
    pub fn variable(&self) -> String {
        format!("SLUICE_GATEWAY_{}", self.name.to_uppercase())
    }

    /// Name of its flag, without the dashes.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    pub(super) fn arg(&self) -> Arg {
        let default =
            if self.default.is_empty() { String::new() } else { format!(" [default: {}]", self.default) };
        Arg::new(self.name)
            .long(self.flag())
            .env(self.variable())
            .hide_env_values(true)
            .value_name(self.value)
            .help(format!("{}{default}", self.help))
            .action(ArgAction::Set)
            .hide(self.hidden)
    }
}

pub(super) fn config_arg() -> Arg {
    Arg::new("config")
        .long("config")
        .env("SLUICE_GATEWAY_CONFIG")
        .value_name("FILE")
        .value_parser(clap::value_parser!(std::path::PathBuf))
        .help("Settings file (TOML); flags and environment win over it")
}
