//! What is stored, told to people: of responses everything but their bodies and what is secret.

mod copies;

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use http::{HeaderMap, HeaderName, Method};
use sluice_contract::ids::{ApiId, ApplicationId, EnvironmentId, TenantId};
use sluice_contract::rest::cache::{
    CacheAudience, CacheCaller, CacheCallerKind, CacheEntries, CacheEntry, CacheField, CacheKey, CacheLevel,
    CacheState, SecondLevelKey, VALUE_MAX,
};
use sluice_contract::rest::purges::SecondLevelAmount;

use super::explain::named;
use super::key::{self, Digest, Keys, Parts, ShortDigest, Who};
use super::labels::Label;
use super::purges::{ApiPurges, Verdict};
use super::rules::Audience;
use super::shelves::Kept;
use super::stored::Stored;
use crate::compile::Api;
use crate::pipeline::assume;
use crate::shared::Shared;
use crate::state::Snapshot;
pub(super) use copies::{Sought, copies};

/// Entries that are told, and bytes of their fields.
const MOST: usize = 64;
const MOST_BYTES: usize = 256 << 10;
/// Entries whose copies in the second level are looked at.
const MOST_COPIES: usize = 16;

/// What somebody looks up: a URL of an API as callers ask for it.
pub(crate) struct Address {
    pub(crate) api: ApiId,
    /// With its query.
    pub(crate) path: String,
    pub(crate) host: String,
    pub(crate) https: bool,
}

/// What the memory and the second level have of a URL, if the API is this tenant's.
pub(crate) async fn look_up(
    shared: &Arc<Shared>,
    tenant: TenantId,
    address: Address,
) -> Option<CacheEntries> {
    let memory = Arc::clone(shared);
    let looked = tokio::task::spawn_blocking(move || in_memory(&memory, tenant, &address)).await;
    let InMemory { mut told, wanted, asked } = looked.ok()?;
    let mut copies = copies(shared, wanted).await.into_iter();
    let of_asked = copies.next().flatten();
    told.asked = asked.zip(of_asked).map(|((hash, key), copy)| Box::new(SecondLevelKey { hash, key, copy }));
    for (entry, copy) in told.entries.iter_mut().zip(copies) {
        entry.copy = copy;
    }
    Some(told)
}

/// What is told of the memory, and what is to be looked for in the second level.
struct InMemory {
    told: CacheEntries,
    /// The key under which somebody without credentials finds the URL, and its digest.
    asked: Option<(String, CacheKey)>,
    /// Of that key, then of the first entries in their order.
    wanted: Vec<Option<Sought>>,
}

fn in_memory(shared: &Shared, tenant: TenantId, address: &Address) -> InMemory {
    let second_level = match shared.cache.second_level() {
        Some(_) => SecondLevelAmount::Unknown,
        None => SecondLevelAmount::None,
    };
    let mut told = CacheEntries { entries: Vec::new(), more: 0, second_level, asked: None };
    let snapshot = shared.snapshot();
    let Some(served) = snapshot.apis.get(address.api).filter(|served| served.tenant == tenant) else {
        return InMemory { told, asked: None, wanted: Vec::new() };
    };
    let teller = Teller::new(shared, &snapshot, served);
    let (asked, first) = asked(shared, &snapshot, served, address, &teller).unzip();
    let mut wanted = vec![first];
    let mut bytes = 0;
    for (path, query) in key::purged_urls(Some(served), &address.path) {
        let url = key::url(&path, &query);
        for variants in shared.cache.of_url(address.api, &path, url) {
            let of_url = |kept: &&Kept| {
                key::api(&kept.stored.key) == Some(address.api) && kept.stored.labels.url == url
            };
            for kept in variants.kept.iter().rev().filter(of_url) {
                bytes += kept
                    .stored
                    .headers
                    .iter()
                    .map(|(name, value)| name.as_str().len() + value.len() + 64)
                    .sum::<usize>();
                if told.entries.len() < MOST && bytes < MOST_BYTES {
                    told.entries.push(teller.entry(kept));
                } else {
                    told.more += 1;
                }
                if wanted.len() <= MOST_COPIES {
                    wanted.push(Sought::same((shared, &snapshot, served), query.as_bytes(), &kept.stored));
                }
            }
        }
    }
    InMemory { told, asked, wanted }
}

/// None: the URL is not cached, or there is no second level.
fn asked(
    shared: &Shared,
    snapshot: &Snapshot,
    served: &Arc<Api>,
    address: &Address,
    teller: &Teller<'_>,
) -> Option<((String, CacheKey), Sought)> {
    let headers = HeaderMap::new();
    let assumed = assume(snapshot, served, &Method::GET, &address.path, &headers)?;
    let rule = assumed.matched.policies().cache.as_ref().filter(|rule| !rule.strong)?;
    let named = named(served, &assumed, rule, (address.https, &address.host), &headers);
    let keys = Keys::new(&named, Who::default(), rule);
    let (path, key) = (&assumed.matched.path, keys.shared().bytes);
    let place = (&**path, keys.query(), keys.url(path));
    let told = teller.key(key, &[])?;
    let wanted = Sought::new((shared, snapshot, served), place, key, HeaderMap::new())?;
    Some(((digest(key), told), wanted))
}

/// How a stored response stands.
struct Standing {
    state: CacheState,
    age: Duration,
    lifetime: Duration,
}

impl Standing {
    fn of(stored: &Stored, purges: &ApiPurges, now: u64) -> Self {
        let verdict = purges.verdict(&stored.labels.as_ref(), stored.stamp);
        let lifetime = match verdict {
            Verdict::Stale { since } => stored.storable.lifetime.min(stored.age(since)),
            Verdict::Good | Verdict::Gone => stored.storable.lifetime,
        };
        let age = stored.age(now);
        let state = match verdict {
            Verdict::Gone => CacheState::Purged,
            Verdict::Stale { .. } => CacheState::SoftlyPurged,
            Verdict::Good if age < lifetime => CacheState::Fresh,
            Verdict::Good => CacheState::Stale,
        };
        Self { state, age, lifetime }
    }
}

/// Whole seconds for which it is fresh yet.
fn left(lifetime: Duration, age: Duration) -> i64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    seconds(lifetime) - seconds(age)
}

/// Tells of an API's responses.
pub(super) struct Teller<'s> {
    environment: Option<EnvironmentId>,
    snapshot: &'s Snapshot,
    api: &'s Api,
    now: u64,
    /// By what a response is labelled with that is for one alone.
    applications: std::cell::OnceCell<HashMap<u64, ApplicationId>>,
}

impl<'s> Teller<'s> {
    pub(super) fn new(shared: &Shared, snapshot: &'s Snapshot, api: &'s Api) -> Self {
        let now = shared.clock.now();
        Self { environment: shared.environment(), snapshot, api, now, applications: Default::default() }
    }

    pub(super) fn entry(&self, kept: &Kept) -> CacheEntry {
        let stored = &kept.stored;
        let Standing { state, age, lifetime } = Standing::of(stored, &self.api.purges, self.now);
        let key = self.key(&stored.key, &stored.labels.tags);
        CacheEntry {
            level: CacheLevel::Memory,
            key_hash: stored.digest.as_str().to_owned(),
            key,
            state,
            status: stored.status.as_u16(),
            headers: self.fields(stored.headers.iter().map(|(name, value)| (name, Some(value.as_bytes())))),
            varies_by: self.fields(stored.selecting.fields()),
            for_whom: for_whom(stored.storable.audience),
            age_s: age.as_secs(),
            lifetime_s: lifetime.as_secs(),
            fresh_for_s: left(lifetime, age),
            stale_while_revalidate_s: stored.storable.while_revalidate.as_secs(),
            stale_if_error_s: stored.storable.if_error.map(|window| window.as_secs()),
            no_cache: stored.storable.no_cache,
            must_revalidate: stored.storable.must_revalidate,
            tags: stored.labels.names(),
            bytes: kept.bytes,
            body_bytes: stored.body.len() as u64,
            hits: Some(stored.hits.get()),
            copy: None,
        }
    }

    /// A key in its parts; `tags` are of the response that has it, if one has.
    pub(super) fn key(&self, key: &[u8], tags: &[u64]) -> Option<CacheKey> {
        let route = key::route(key)?;
        let route = self.api.routes.iter().find(|known| known.id.as_bytes() == route)?;
        let rule = route.policies.cache.as_ref()?;
        let Parts { https, epoch, revision, body, route, host, path, query, cookies, caller } =
            key::read(key, rule)?;
        let named = rule.cookies.iter().zip(cookies).flat_map(|(name, values)| {
            let digests = values.into_iter().map(digest).map(|digest| format!("sha256:{digest}"));
            digests.map(move |value| CacheField { name: name.to_string(), value: Some(value), hidden: true })
        });
        Some(CacheKey {
            environment: self.environment,
            tenant: self.api.tenant_slug.to_string(),
            api: self.api.slug.to_string(),
            version: revision,
            epoch,
            method: if body.is_some() { "POST" } else { "GET" }.to_owned(),
            scheme: if https { "https" } else { "http" }.to_owned(),
            host: text(host),
            route: text(route),
            path: text(path),
            query: query.map(text),
            headers: rule.vary_headers.iter().map(|name| name.as_str().to_owned()).collect(),
            cookies: named.collect(),
            caller: self.caller(caller, tags),
            body: body.map(|body| ShortDigest::beginning(body).as_str().to_owned()),
        })
    }

    fn caller(&self, identity: Option<&Digest>, tags: &[u64]) -> CacheCaller {
        let (kind, application) = match identity {
            None => (CacheCallerKind::Shared, None),
            Some(identity) => match key::application_of(identity) {
                Some(application) => (CacheCallerKind::Application, Some(application)),
                None => (CacheCallerKind::Credentials, self.labelled(tags)),
            },
        };
        CacheCaller { kind, application, application_name: None }
    }

    fn fields<'f>(
        &self,
        fields: impl Iterator<Item = (&'f HeaderName, Option<&'f [u8]>)>,
    ) -> Vec<CacheField> {
        let field = |(name, value): (&HeaderName, Option<&[u8]>)| {
            let hidden = is_secret(name) || self.carries_keys(name);
            let value = value.filter(|_| !hidden).map(text);
            CacheField { name: name.as_str().to_owned(), value, hidden }
        };
        fields.map(field).collect()
    }

    /// Whether keys stand in this field on a route of the API.
    fn carries_keys(&self, name: &HeaderName) -> bool {
        let of_routes = self.api.routes.iter().filter_map(|route| route.policies.key.as_ref());
        of_routes.chain(&self.snapshot.settings.policies.key).any(|rule| rule.is_in(name))
    }

    /// The application that a response was stored for.
    fn labelled(&self, tags: &[u64]) -> Option<ApplicationId> {
        let applications = self.applications.get_or_init(|| {
            let own = self.snapshot.credentials.iter().filter(|known| known.tenant == self.api.tenant);
            own.map(|known| (Label::application(known.application).hash(), known.application)).collect()
        });
        tags.iter().find_map(|tag| applications.get(tag)).copied()
    }
}

/// The beginning of a SHA-256.
pub(super) fn digest(bytes: &[u8]) -> String {
    ShortDigest::of(bytes).as_str().to_owned()
}

pub(super) fn for_whom(audience: Audience) -> CacheAudience {
    match audience {
        Audience::Everyone => CacheAudience::Everyone,
        Audience::Anonymous => CacheAudience::Anonymous,
        Audience::Caller => CacheAudience::Caller,
    }
}

/// Whether a field carries, by its name, what lets somebody in.
fn is_secret(name: &HeaderName) -> bool {
    const SIGNS: [&str; 11] = [
        "cookie",
        "authoriz",
        "authentic",
        "token",
        "secret",
        "passw",
        "api-key",
        "apikey",
        "session",
        "signature",
        "credential",
    ];
    // What browsers may do with credentials is none (Fetch §3.3.3).
    !name.as_str().starts_with("access-control-") && SIGNS.iter().any(|sign| name.as_str().contains(sign))
}

/// What can be shown of bytes, not too much of it.
fn text(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(VALUE_MAX)]).into_owned();
    if bytes.len() > VALUE_MAX { shown + "..." } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_let_somebody_in_are_secret_and_those_about_them_are_not() {
        for (name, secret) in [
            ("set-cookie", true),
            ("x-session-id", true),
            ("x-amz-credential", true),
            ("access-control-allow-credentials", false),
            ("access-control-allow-headers", false),
            ("etag", false),
        ] {
            assert_eq!(is_secret(&HeaderName::from_static(name)), secret, "{name}");
        }
    }
}
