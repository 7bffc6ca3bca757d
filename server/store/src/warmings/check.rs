//! Whether a plan can be carried out, and whether warming would be of use.

use sea_orm::ConnectionTrait;
use serde_json::Value;
use sluice_contract::definition::{Access, ApiDefinition, PolicyAttachment};
use sluice_contract::rest::warmings::{MOST_URLS, WarmingPlan, WarmingSchedule, WarmingSource};
use sluice_contract::warming::{Pace, WarmHeader};

use super::What;
use crate::error::{Error, Result};
use crate::{releases, revisions, text};

/// Longest path with its query, in bytes: what a gateway takes in a request line.
pub const PATH_MAX: usize = 8 << 10;
/// Bytes of all paths of a list.
const LIST_MAX: usize = 512 << 10;
const SOURCES_MAX: usize = 20;
const URL_MAX: usize = 2_048;
const HEADERS_MAX: usize = 10;
/// Minutes of a day, and of a week.
const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
/// Fields that say who calls, or that the gateway sets itself.
const NOT_TO_SET: [&str; 10] = [
    "authorization",
    "cookie",
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "cache-control",
    "x-api-key",
    "range",
    "upgrade",
];

/// Whether a plan can be kept.
pub(super) fn check_plan(plan: &WarmingPlan) -> Result<()> {
    let WarmingPlan { sources, pace, address, headers, renew_s, on_release, on_gateway, schedule } = plan;
    let needs_sources = *on_release || *on_gateway || schedule.is_some();
    let no_sources = needs_sources && sources.is_empty();
    text::all([
        check_sources("/sources", sources),
        if no_sources {
            Err(Error::invalid("/sources", "required", "Say where URLs come from."))
        } else {
            Ok(())
        },
        check_pace(*pace),
        address.as_deref().map_or(Ok(()), check_address),
        check_headers(headers),
        within("/renew_s", u64::from(u32::try_from(*renew_s).unwrap_or(u32::MAX)), 0, 30 * 86_400),
        schedule.map_or(Ok(()), check_schedule),
    ])
}

/// Whether URLs can be had from these.
///
/// # Errors
/// [`Error::Invalid`] at `at`.
pub fn check_sources(at: &str, sources: &[WarmingSource]) -> Result<()> {
    if sources.len() > SOURCES_MAX {
        return Err(Error::invalid(at, "too_many", format!("At most {SOURCES_MAX} sources.")));
    }
    for (index, source) in sources.iter().enumerate() {
        match source {
            WarmingSource::Sitemap { url } => check_url(&format!("{at}/{index}/url"), url)?,
            WarmingSource::List { paths } => check_paths(&format!("{at}/{index}/paths"), paths)?,
            WarmingSource::Top { count } => {
                within(&format!("{at}/{index}/count"), u64::from(*count), 1, MOST_URLS as u64)?;
            }
        }
    }
    Ok(())
}

fn check_paths(at: &str, paths: &[String]) -> Result<()> {
    let bytes: usize = paths.iter().map(String::len).sum();
    if paths.is_empty() {
        return Err(Error::invalid(at, "required", "List at least one path."));
    }
    if paths.len() > MOST_URLS || bytes > LIST_MAX {
        let message = format!("At most {MOST_URLS} paths, of {LIST_MAX} bytes together.");
        return Err(Error::invalid(at, "too_many", message));
    }
    let is_path = |path: &str| {
        let visible = path.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        path.starts_with('/') && visible && !path.contains('#') && path.len() <= PATH_MAX
    };
    match paths.iter().find(|path| !is_path(path)) {
        Some(wrong) => {
            let short: String = wrong.chars().take(100).collect();
            let message =
                format!("`{short}` is no path below the API's base, with its query if any: /items?page=2.");
            Err(Error::invalid(at, "invalid_path", message))
        }
        None => Ok(()),
    }
}

/// Whether it may lead anywhere is decided when it is fetched.
fn check_url(at: &str, url: &str) -> Result<()> {
    let known = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let plain = known.is_some_and(|url| url.username().is_empty() && url.password().is_none());
    if plain && url.len() <= URL_MAX {
        return Ok(());
    }
    let message = "The address of a sitemap, without a password: https://www.example.com/sitemap.xml.";
    Err(Error::invalid(at, "invalid_url", message))
}

fn check_pace(pace: Pace) -> Result<()> {
    let Pace { per_second, concurrency } = pace;
    text::all([
        within("/pace/per_second", u64::from(per_second), 1, 1_000),
        within("/pace/concurrency", u64::from(concurrency), 1, 64),
    ])
}

/// Scheme and authority, and nothing behind it.
fn check_address(address: &str) -> Result<()> {
    let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let is_host = |host: &str| {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
        !host.is_empty() && host.len() <= 255 && host.bytes().all(plain)
    };
    if host.is_some_and(is_host) {
        return Ok(());
    }
    let message = "Scheme and host as callers write them, and no path: https://api.example.com.";
    Err(Error::invalid("/address", "invalid_address", message))
}

fn check_headers(headers: &[WarmHeader]) -> Result<()> {
    if headers.len() > HEADERS_MAX {
        return Err(Error::invalid("/headers", "too_many", format!("At most {HEADERS_MAX} fields.")));
    }
    for (index, WarmHeader { name, value }) in headers.iter().enumerate() {
        let lower = name.to_ascii_lowercase();
        if NOT_TO_SET.contains(&lower.as_str()) || lower.starts_with("x-forwarded-") || lower == "forwarded" {
            let message = "Warming is done without credentials, and the gateway sets this field itself.";
            return Err(Error::invalid(format!("/headers/{index}/name"), "not_allowed", message));
        }
        if !is_field_name(name) {
            return Err(Error::invalid(format!("/headers/{index}/name"), "invalid", "not a field's name"));
        }
        if value.len() > 1_024 || !value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
            return Err(Error::invalid(format!("/headers/{index}/value"), "invalid", "not a field's value"));
        }
    }
    Ok(())
}

/// A token (RFC 9110 §5.6.2).
fn is_field_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_token)
}

fn check_schedule(schedule: WarmingSchedule) -> Result<()> {
    match schedule {
        WarmingSchedule::Every { minutes } => within("/schedule/minutes", u64::from(minutes), 1, WEEK.into()),
        WarmingSchedule::Daily { minute } => {
            within("/schedule/minute", u64::from(minute), 0, u64::from(DAY) - 1)
        }
    }
}

fn within(at: &str, value: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(at, "out_of_range", format!("from {least} to {most}")))
}

/// Whether what is served there would be stored for callers when nobody in particular asks for it.
///
/// # Errors
/// The conflicts `not_live`, `not_cached` and `not_shared`.
pub(super) async fn check_worth(db: &impl ConnectionTrait, what: What) -> Result<()> {
    let Some(revision) = releases::live_revision(db, what.environment, what.api).await? else {
        let message = "The environment does not serve the API: release it there first.";
        return Err(Error::conflict("not_live", message));
    };
    let definition = revisions::get(db, what.tenant, what.api, revision).await?.definition;
    match worth(&definition) {
        Worth::Some => Ok(()),
        Worth::NotCached => {
            let message = "No route stores responses: attach the Response cache policy, and release.";
            Err(Error::conflict("not_cached", message))
        }
        Worth::NotShared => {
            let message = "Callers need a key, and each gets stored responses of their own: what is fetched without a key \
                           would serve nobody. Warming is of use where the Response cache policy shares between callers, \
                           and on routes for anybody.";
            Err(Error::conflict("not_shared", message))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    Some,
    NotCached,
    NotShared,
}

/// Whether any route can be warmed. A gateway decides of each URL by its own route.
fn worth(definition: &ApiDefinition) -> Worth {
    let mut found = Worth::NotCached;
    for route in &definition.routes {
        let Some(settings) = cache_of(&route.policies).or_else(|| cache_of(&definition.policies)) else {
            continue;
        };
        let on = |name: &str| settings.get(name).and_then(Value::as_bool) == Some(true);
        if on("strong_consistency") {
            continue;
        }
        let public = route.access.unwrap_or(definition.access) == Access::Public;
        if public || on("shared") {
            return Worth::Some;
        }
        found = Worth::NotShared;
    }
    found
}

fn cache_of(policies: &[PolicyAttachment]) -> Option<&Value> {
    let found = policies.iter().find(|policy| policy.enabled && policy.kind == "cache")?;
    Some(&found.settings)
}
