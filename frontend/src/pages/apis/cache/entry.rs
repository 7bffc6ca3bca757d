//! A stored response and its key as facts.

use leptos::prelude::*;
use sluice_contract::rest::cache::{
    CacheAudience, CacheCaller, CacheCallerKind, CacheEntry, CacheField, CacheKey, CacheLevel, CacheState,
    CopyState, SecondLevelCopy, SecondLevelKey,
};

use crate::components::{Badge, StatusCode, Tone};
use crate::format;

/// One pair of a list of facts.
fn fact(name: &'static str, value: impl IntoView) -> AnyView {
    view! {
        <dt>{name}</dt>
        <dd>{value}</dd>
    }
    .into_any()
}

/// What is stored, without its body.
pub(super) fn entry(entry: CacheEntry) -> AnyView {
    let (word, tone) = state_words(entry.state);
    let level = match entry.level {
        CacheLevel::Memory => "memory",
        CacheLevel::SecondLevel => "second level",
    };
    let tags = match entry.tags {
        Some(tags) if tags.is_empty() => "none".to_owned(),
        Some(tags) => tags.join(", "),
        None => "not kept: another gateway has fetched it".to_owned(),
    };
    let error = entry
        .stale_if_error_s
        .map_or_else(|| "as the policy has it for an upstream that is down".to_owned(), format::span);
    let windows = match (entry.no_cache, entry.must_revalidate) {
        (true, _) => "validated before each use".to_owned(),
        (false, true) => "never served stale".to_owned(),
        (false, false) => {
            format!(
                "{} while it is fetched anew; in place of an error, {error}",
                format::span(entry.stale_while_revalidate_s)
            )
        }
    };
    let key = entry.key.map_or_else(
        || view! { <p class="secondary small">"It was stored under other settings of the policy: its key cannot be read by those of now, and is not found by them."</p> }.into_any(),
        |key| key_facts(&key, None),
    );
    let hits = entry.hits.map_or_else(|| "not told by a gateway of this version".to_owned(), format::grouped);
    let facts = vec![
        fact("Level", level),
        fact("Age", format::span(entry.age_s)),
        fact("Freshness", freshness(entry.fresh_for_s, entry.lifetime_s)),
        fact("Stale", windows),
        fact("For whom", audience_words(entry.for_whom)),
        fact("Tags", tags),
        fact(
            "Size",
            format!(
                "{} in memory, {} of it the body",
                format::bytes(entry.bytes),
                format::bytes(entry.body_bytes)
            ),
        ),
        fact("Hits", hits),
    ];
    let facts: Vec<_> = facts
        .into_iter()
        .chain(entry.copy.as_ref().map(|copy| fact("Second level", copy_words(copy))))
        .collect();
    view! {
        <details class="stored-entry">
            <summary>
                <span class="row">
                    <Badge tone text=word />
                    <StatusCode status=entry.status />
                    <code class="break">{entry.key_hash}</code>
                    <span class="secondary small">{varies(&entry.varies_by)}</span>
                </span>
            </summary>
            <div class="stack">
                <dl class="facts">{facts}</dl>
                <h3>"Key"</h3>
                {key}
                <h3>"Stored fields"</h3>
                {fields(entry.headers)}
            </div>
        </details>
    }
    .into_any()
}

/// What the second level has under the key that the address has for who brings no credentials.
pub(super) fn asked(asked: &SecondLevelKey) -> AnyView {
    let words = copy_words(&asked.copy);
    view! {
        <details class="stored-entry">
            <summary>
                <span class="row">
                    <span>"Second level, asked without credentials: " {words}</span>
                    <code class="break">{asked.hash.clone()}</code>
                </span>
            </summary>
            {key_facts(&asked.key, None)}
        </details>
    }
    .into_any()
}

/// Whether there is a copy in the second level, and whether it would be used.
pub(super) fn copy_words(copy: &SecondLevelCopy) -> String {
    let state = match copy.state {
        CopyState::Absent => "not there",
        CopyState::Fresh => "fresh, would be used",
        CopyState::Stale => "stale, would be validated before it is used",
        CopyState::SoftlyPurged => "purged softly, would be validated before it is used",
        CopyState::Outdated => "may be older than a purge or a change, is never used",
        CopyState::Damaged => "damaged, or of another version or encryption key, is never used",
        CopyState::NoAnswer => "no answer within its time budget",
    };
    let age = copy.age_s.map(|age| format!("{} old", format::span(age)));
    let left = copy.fresh_for_s.and_then(|left| u64::try_from(left).ok());
    let left = left.map(|left| format!("{} left", format::span(left)));
    let bytes = copy.bytes.map(|bytes| format!("{} there", format::bytes(bytes)));
    let body = copy.body_bytes.map(|bytes| format!("{} the body", format::bytes(bytes)));
    let by = (!copy.varies_by.is_empty()).then(|| format!("copies differ by {}", copy.varies_by.join(", ")));
    let facts = [age, left, bytes, body, by].into_iter().flatten();
    std::iter::once(state.to_owned()).chain(facts).collect::<Vec<_>>().join("; ")
}

fn state_words(state: CacheState) -> (&'static str, Tone) {
    match state {
        CacheState::Fresh => ("fresh", Tone::Ok),
        CacheState::Stale => ("stale", Tone::Warn),
        CacheState::SoftlyPurged => ("purged softly", Tone::Warn),
        CacheState::Purged => ("purged", Tone::Bad),
    }
}

/// Whom a response is for.
pub(super) fn audience_words(audience: CacheAudience) -> &'static str {
    match audience {
        CacheAudience::Everyone => "everybody",
        CacheAudience::Anonymous => "callers without credentials",
        CacheAudience::Caller => "who asked for it",
    }
}

fn freshness(left: i64, lifetime: u64) -> String {
    let lifetime = format::span(lifetime);
    match u64::try_from(left) {
        Ok(left) => format!("{} left of {lifetime}", format::span(left)),
        Err(_) => format!("stale for {} after {lifetime}", format::span(left.unsigned_abs())),
    }
}

fn varies(by: &[CacheField]) -> String {
    let by: Vec<_> = by.iter().map(|field| format!("{}: {}", field.name, value_words(field))).collect();
    by.join(", ")
}

fn value_words(field: &CacheField) -> String {
    match (&field.value, field.hidden) {
        (Some(value), true) => format!("secret, {value}"),
        (Some(value), false) => value.clone(),
        (None, true) => "secret".to_owned(),
        (None, false) => "absent".to_owned(),
    }
}

fn fields(fields: Vec<CacheField>) -> AnyView {
    let rows: Vec<_> = fields
        .into_iter()
        .map(|field| {
            let value = value_words(&field);
            view! {
                <dt>
                    <code>{field.name}</code>
                </dt>
                <dd>{value}</dd>
            }
        })
        .collect();
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

/// A key, part by part in the order in which the parts narrow it down.
pub(super) fn key_facts(key: &CacheKey, environment: Option<String>) -> AnyView {
    let absent = || "none".to_owned();
    let environment = environment.or_else(|| key.environment.map(|id| id.to_string())).unwrap_or_else(absent);
    let version = key
        .version
        .map_or_else(|| "shared by all revisions".to_owned(), |version| format!("revision {version}"));
    let headers = if key.headers.is_empty() { absent() } else { key.headers.join(", ") };
    let cookies = if key.cookies.is_empty() { absent() } else { varies(&key.cookies) };
    let facts = vec![
        fact("Environment", environment),
        fact("Tenant", key.tenant.clone()),
        fact("API", key.api.clone()),
        fact("Version", version),
        fact("Epoch", key.epoch.to_string()),
        fact("Operation", key.route.clone()),
        fact("Method", key.method.clone()),
        fact("Scheme", key.scheme.clone()),
        fact("Host", if key.host.is_empty() { absent() } else { key.host.clone() }),
        fact("Path", view! { <code class="break">{key.path.clone()}</code> }),
        fact(
            "Query",
            key.query
                .clone()
                .map_or_else(absent, |query| if query.is_empty() { "empty".to_owned() } else { query }),
        ),
        fact("Headers", headers),
        fact("Cookies", cookies),
        fact("Caller", caller_words(&key.caller)),
        fact("Body", key.body.as_ref().map_or_else(absent, |body| format!("sha256:{body}"))),
    ];
    view! { <dl class="facts">{facts}</dl> }.into_any()
}

fn caller_words(caller: &CacheCaller) -> String {
    let name = caller.application_name.clone().or_else(|| caller.application.map(|id| id.to_string()));
    match (caller.kind, name) {
        (CacheCallerKind::Shared, _) => "none: one copy for all".to_owned(),
        (CacheCallerKind::Application, name) => format!("application {}", name.unwrap_or_default()),
        (CacheCallerKind::Credentials, Some(name)) => {
            format!("credentials that were sent, of the application {name}")
        }
        (CacheCallerKind::Credentials, None) => "credentials that were sent".to_owned(),
    }
}
