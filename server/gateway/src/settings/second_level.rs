//! The settings of the cache's second level.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_settings::Values;

use crate::cache::SecondLevelSettings;

const FILE: &str = "Give the path of a readable file.";

/// None: there is no second level. Its other settings are checked all the same.
pub(super) fn take(values: &mut Values) -> Option<SecondLevelSettings> {
    const URL: &str =
        "Use redis://host:6379 or rediss://host:6379; user and password may stand before the host.";
    let urls = values.with("cache_l2_url", URL, |text| {
        let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty());
        urls.map(|url| checked(url).map(|()| url.to_owned())).collect::<Result<Vec<_>, _>>()
    });
    let ca = values.with("cache_l2_ca_file", FILE, read);
    let key = values.with("cache_l2_key_file", "Make one with: openssl rand -base64 32", |path| {
        let text = read(path)?;
        let bytes = STANDARD.decode(text.trim_ascii()).map_err(|_| format!("`{path}` is not base64"))?;
        <[u8; 32]>::try_from(bytes).map_err(|bytes| format!("`{path}` holds {} bytes, not 32", bytes.len()))
    });
    let budget = values.duration("cache_l2_budget");
    let compress_over = values.bytes("cache_l2_compress_over");
    let queue_max_bytes = values.bytes("cache_l2_queue_max_bytes");
    let usual = SecondLevelSettings::new(urls.filter(|urls| !urls.is_empty())?);
    Some(SecondLevelSettings {
        ca,
        key,
        budget: budget.unwrap_or(usual.budget),
        compress_over: compress_over.unwrap_or(usual.compress_over),
        queue_max_bytes: queue_max_bytes.unwrap_or(usual.queue_max_bytes),
        ..usual
    })
}

/// A URL of Redis; what is wrong never shows its password.
fn checked(url: &str) -> Result<(), String> {
    let parsed = url::Url::parse(url).map_err(|error| format!("it is not a URL: {error}"))?;
    match parsed.scheme() {
        "redis" | "rediss" if parsed.has_host() => Ok(()),
        other => Err(format!("`{other}` is neither redis nor rediss")),
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("`{path}` cannot be read: {error}"))
}
