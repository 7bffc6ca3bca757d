//! The settings of the cache's second level.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_settings::Values;
use url::Url;

use crate::cache::SecondLevelSettings;

/// Bytes that a folder may have: enough blocks for the largest values, and few enough files.
const DISK_BYTES: RangeInclusive<u64> = 64 << 20..=256 << 30;
const SIZE: &str = "Use 64MiB to 256GiB, 1GiB for example.";
const NO_SERVER: &str = "`cache_l2_url` names a folder, which has no certificate";
const FILE: &str = "Give the path of a readable file.";

/// None: there is no second level. Its other settings are checked all the same.
pub(super) fn take(values: &mut Values) -> Option<SecondLevelSettings> {
    const URL: &str = "Use redis://host:6379 or memcached://host:11211, or rediss:// or memcacheds:// for TLS; user and password may stand before the host, several are separated by commas. Or disk: and the whole path of a folder, alone.";
    let urls = values.with("cache_l2_url", URL, servers);
    let of_disk = urls.iter().flatten().any(|url| is_disk(url));
    let ca = match of_disk {
        true => values.with("cache_l2_ca_file", "Leave it out.", |_| Err(NO_SERVER.to_owned())),
        false => values.with("cache_l2_ca_file", FILE, read),
    };
    let key = values.with("cache_l2_key_file", "Make one with: openssl rand -base64 32", |path| {
        let text = read(path)?;
        let bytes = STANDARD.decode(text.trim_ascii()).map_err(|_| format!("`{path}` is not base64"))?;
        <[u8; 32]>::try_from(bytes).map_err(|bytes| format!("`{path}` holds {} bytes, not 32", bytes.len()))
    });
    let budget = values.duration("cache_l2_budget");
    let compress_over = values.bytes("cache_l2_compress_over");
    let queue_max_bytes = values.bytes("cache_l2_queue_max_bytes");
    let disk_max_bytes = values.bytes_within("cache_l2_disk_max_bytes", DISK_BYTES, SIZE);
    let usual = SecondLevelSettings::new(urls.filter(|urls| !urls.is_empty())?);
    Some(SecondLevelSettings {
        ca,
        key,
        budget: budget.unwrap_or(usual.budget),
        compress_over: compress_over.unwrap_or(usual.compress_over),
        queue_max_bytes: queue_max_bytes.unwrap_or(usual.queue_max_bytes),
        disk_max_bytes: disk_max_bytes.unwrap_or(usual.disk_max_bytes),
        ..usual
    })
}

/// The servers that a text names, each by a URL of its own. What is wrong never shows a password.
fn servers(text: &str) -> Result<Vec<String>, String> {
    if text.split(',').any(|named| is_disk(named.trim())) {
        return folder(text.trim()).map(|folder| vec![folder]);
    }
    let mut servers: Vec<String> = Vec::new();
    let mut before: Option<Url> = None;
    for named in text.split(',').map(str::trim).filter(|named| !named.is_empty()) {
        let url = match &before {
            // Behind the first Memcached, host and port are enough.
            Some(before) if is_memcached(before) && !named.contains("://") => {
                Url::parse(&format!("{}://{}{named}", before.scheme(), user(before)))
            }
            _ => Url::parse(named),
        };
        let url = url.map_err(|error| format!("it is not a URL: {error}"))?;
        if before.as_ref().is_some_and(|before| is_memcached(before) != is_memcached(&url)) {
            return Err("it names both Redis and Memcached".to_owned());
        }
        let server = if is_memcached(&url) { memcached(&url)? } else { redis(&url, named)? };
        if is_memcached(&url) && servers.contains(&server) {
            return Err(format!("{} is named twice", address(&url)));
        }
        servers.push(server);
        before = Some(url);
    }
    Ok(servers)
}

fn is_disk(named: &str) -> bool {
    named.starts_with("disk:")
}

/// In one form: `disk:` and the path.
fn folder(text: &str) -> Result<String, String> {
    if text.contains(',') {
        return Err(
            "a folder on disk stands alone: no server or other folder beside it, and no comma in its path"
                .to_owned(),
        );
    }
    let path = text.trim_start_matches("disk:");
    match path.strip_prefix("//").unwrap_or(path) {
        "" | "/" => Err("it names no folder".to_owned()),
        path if path.starts_with('/') => Ok(format!("disk:{path}")),
        path => Err(format!(
            "`{path}` does not begin with `/`, so where it is would depend on where the gateway is started"
        )),
    }
}

fn redis(url: &Url, named: &str) -> Result<String, String> {
    match url.scheme() {
        "redis" | "rediss" if url.has_host() => Ok(named.to_owned()),
        "redis" | "rediss" => Err("it names no host".to_owned()),
        other => Err(format!("`{other}` is none of redis, rediss, memcached, memcacheds and disk")),
    }
}

/// In one form, so that gateways whose settings are written differently agree on who has what.
fn memcached(url: &Url) -> Result<String, String> {
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host".to_owned());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("nothing may stand behind host and port of Memcached".to_owned());
    }
    if url.username().is_empty() == url.password().is_some() {
        return Err("Memcached wants both a user and a password, or neither".to_owned());
    }
    Ok(format!("{}://{}{}", url.scheme(), user(url), address(url)))
}

fn is_memcached(url: &Url) -> bool {
    matches!(url.scheme(), "memcached" | "memcacheds")
}

fn address(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default().to_ascii_lowercase(), url.port().unwrap_or(11_211))
}

/// User and password as they stand before the host.
fn user(url: &Url) -> String {
    url.password().map(|password| format!("{}:{password}@", url.username())).unwrap_or_default()
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("`{path}` cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_urls_and_those_of_memcached_by_host_and_port_too() {
        let named = |text: &str| servers(text).unwrap();
        assert_eq!(named(" redis://a , rediss://:x@b:1/2 "), ["redis://a", "rediss://:x@b:1/2"]);
        assert_eq!(named("memcached://A,b:1"), ["memcached://a:11211", "memcached://b:1"]);
        let two = ["memcacheds://u:p@a:11211", "memcacheds://u:p@b:11211"];
        assert_eq!(named("memcacheds://u:p@a/,b"), two);
        assert_eq!(named("memcached://[::1]:7"), ["memcached://[::1]:7"]);
        assert_eq!(named(""), Vec::<String>::new());
        assert_eq!(named(" disk:/a b/c "), ["disk:/a b/c"]);
        assert_eq!(named("disk:///a"), ["disk:/a"]);
    }

    #[test]
    fn what_cannot_be_used_is_said_without_its_password() {
        for (text, said) in [
            ("http://:secret@a", "`http` is none of"),
            ("a:11211", "`a` is none of"),
            ("redis:a", "no host"),
            ("memcached://", "no host"),
            ("memcached://a/secret", "behind host and port"),
            ("memcached://a?secret=1", "behind host and port"),
            ("memcached://:secret@a", "both a user and a password"),
            ("memcached://secret@a", "both a user and a password"),
            ("memcached://a,redis://:secret@b", "both Redis and Memcached"),
            ("redis://b,memcached://u:secret@a", "both Redis and Memcached"),
            ("memcached://u:secret@a:11211,A", "a:11211 is named twice"),
            ("memcached://a:secret", "not a URL"),
            ("disk:/a,redis://:secret@b", "stands alone"),
            ("redis://:secret@b,disk:/a", "stands alone"),
            ("disk:/a,disk:/b", "stands alone"),
            ("disk:/a,/b", "stands alone"),
            ("disk:a/b", "does not begin with `/`"),
            ("disk://a/b", "does not begin with `/`"),
            ("disk:", "names no folder"),
            ("disk:///", "names no folder"),
        ] {
            let problem = servers(text).unwrap_err();
            assert!(problem.contains(said) && !problem.contains("secret"), "{text}: {problem}");
        }
    }
}
