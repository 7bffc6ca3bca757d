//! Values as they were given, with where each came from; parsing them collects every problem.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use url::{Host, Url};

use crate::{InvalidSettings, Schema, SettingProblem};

/// The newest value of each setting that was given.
pub struct Values {
    schema: Schema,
    given: BTreeMap<&'static str, Given>,
    problems: Vec<SettingProblem>,
}

#[derive(Clone)]
struct Given {
    text: String,
    origin: String,
}

impl Values {
    pub(crate) fn new(schema: Schema) -> Self {
        Self { schema, given: BTreeMap::new(), problems: Vec::new() }
    }

    /// Takes what a TOML file gives.
    pub(crate) fn read_file(&mut self, file: &Path) {
        let origin = file.display().to_string();
        let table = std::fs::read_to_string(file)
            .map_err(|error| error.to_string())
            .and_then(|text| text.parse::<toml::Table>().map_err(|error| toml_problem(&text, &error)));
        match table {
            Ok(table) => table.into_iter().for_each(|(name, value)| self.take_toml(&name, value, &origin)),
            Err(message) => {
                self.problem("config", &origin, message, "Give the path of a readable TOML file.")
            }
        }
    }

    /// Takes what flags and environment give.
    pub(crate) fn read_matches(&mut self, matches: &ArgMatches) {
        for key in &self.schema.keys {
            let origin = match matches.value_source(key.name) {
                Some(ValueSource::CommandLine) => format!("--{}", key.flag()),
                Some(ValueSource::EnvVariable) => key.variable_name(self.schema.prefix),
                _ => continue,
            };
            if let Some(text) = matches.get_one::<String>(key.name) {
                self.given.insert(key.name, Given { text: text.clone(), origin });
            }
        }
    }

    /// The settings are whole unless a problem was met on the way.
    ///
    /// # Errors
    /// Every problem that was met.
    pub fn finish(self) -> Result<(), InvalidSettings> {
        if self.problems.is_empty() { Ok(()) } else { Err(InvalidSettings(self.problems)) }
    }

    /// Free text, not empty.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let given = self.given.get(name)?.clone();
        if given.text.trim().is_empty() {
            self.problem(name, &given.origin, "it is empty", "Give a value or leave the setting out.");
            return None;
        }
        Some(given.text)
    }

    /// Anything that is read from its text form.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.with(name, &format!("It is {}.", kind::<T>()), |text| {
            text.parse::<T>().map_err(|error| format!("`{text}` is not valid: {error}"))
        })
    }

    /// Several of them, separated by commas.
    pub fn list<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<Vec<T>> {
        self.with(name, "Separate several by commas, for example 10.0.0.0/8,192.0.2.7/32.", |text| {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items
                .map(|item| item.parse().map_err(|error| format!("`{item}` is not valid: {error}")))
                .collect()
        })
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let hint = format!("Use a number from {} to {}.", range.start(), range.end());
        self.with(name, &hint, |text| {
            let number: u64 = text.parse().map_err(|_| format!("`{text}` is no whole number"))?;
            range.contains(&number).then_some(number).ok_or_else(|| format!("`{text}` is out of range"))
        })
    }

    /// A size in bytes.
    pub fn bytes(&mut self, name: &str) -> Option<u64> {
        self.with(name, "Use a number of bytes or a size such as 64MiB or 1GiB.", |text| {
            bytes(text).ok_or_else(|| format!("`{text}` is not a size"))
        })
    }

    /// The same, neither less nor more than the range has; `hint` names its ends.
    pub fn bytes_within(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
        hint: &str,
    ) -> Option<u64> {
        self.with(name, hint, |text| {
            let bytes = bytes(text).ok_or_else(|| format!("`{text}` is not a size"))?;
            let outside = || format!("{text} is too much or too little");
            range.contains(&bytes).then_some(bytes).ok_or_else(outside)
        })
    }

    /// A span of time.
    pub fn duration(&mut self, name: &str) -> Option<Duration> {
        self.with(name, "Use a duration such as 500ms, 90s, 15m, 12h or 7d.", |text| {
            duration(text).ok_or_else(|| format!("`{text}` is not a duration"))
        })
    }

    /// An absolute http or https URL.
    pub fn url(&mut self, name: &str) -> Option<Url> {
        self.with(name, "Use an absolute URL such as https://api.example.com.", http_url)
    }

    /// A URL to which secrets travel: https, or http on this machine's loopback.
    pub fn secure_url(&mut self, name: &str) -> Option<Url> {
        self.with(name, "Use https://, or http:// on this machine's loopback.", secure_url)
    }

    /// A value that `read` understands; the message of its error is the problem.
    pub fn with<T>(
        &mut self,
        name: &str,
        hint: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.given.get(name)?.clone();
        read(given.text.trim()).map_err(|message| self.problem(name, &given.origin, message, hint)).ok()
    }

    fn take_toml(&mut self, name: &str, value: toml::Value, origin: &str) {
        let Some(key) = self.schema.keys.iter().find(|key| key.name == name).copied() else {
            if self.schema.elsewhere.contains(&name) {
                return;
            }
            let hint = format!("Known are {}.", self.known());
            return self.problem(name, origin, "there is no such setting", &hint);
        };
        match toml_text(value) {
            Some(text) => _ = self.given.insert(key.name, Given { text, origin: origin.to_owned() }),
            None => self.problem(
                name,
                origin,
                "it is a table",
                "Give one value, or a list where several are possible.",
            ),
        }
    }

    fn known(&self) -> String {
        let shown = self.schema.keys.iter().filter(|key| !key.hidden);
        shown.map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ")
    }

    /// Reports a problem that only the program can see.
    pub fn problem(&mut self, path: &str, origin: &str, message: impl Into<String>, hint: &str) {
        self.problems.push(SettingProblem {
            path: path.to_owned(),
            origin: origin.to_owned(),
            message: message.into(),
            hint: hint.to_owned(),
        });
    }
}

fn kind<T>() -> &'static str {
    match std::any::type_name::<T>() {
        name if name.ends_with("SocketAddr") => "an IP address and port, such as 127.0.0.1:8000 or [::]:8000",
        _ => "one of the documented values",
    }
}

/// In one line, with the place: the parser's own words take several.
fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    format!("line {line} is no TOML: {}", error.message().replace('\n', ", "))
}

fn toml_text(value: toml::Value) -> Option<String> {
    Some(match value {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Datetime(at) => at.to_string(),
        toml::Value::Array(items) => items.into_iter().map(toml_text).collect::<Option<Vec<_>>>()?.join(","),
        toml::Value::Table(_) => return None,
    })
}

fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        other => Err(format!("`{other}` is neither http nor https")),
    }
}

/// A URL to which secrets may travel: https, or http on loopback.
///
/// # Errors
/// Says what is wrong with it.
pub fn secure_url(text: &str) -> Result<Url, String> {
    let url = http_url(text)?;
    if url.scheme() == "https" || is_loopback(&url) {
        return Ok(url);
    }
    Err(format!("`{text}` would send secrets unencrypted over the network"))
}

/// Whether a URL's host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}
