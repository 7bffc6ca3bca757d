//! From the sources of a plan to URLs.

use std::collections::HashSet;

use chrono::TimeDelta;
use sluice_contract::rest::warmings::{MOST_URLS, WarmingPlan, WarmingSource};
use sluice_store::telemetry::Hottest;
use sluice_store::warmings::{PATH_MAX, Urls, What};
use sluice_store::{apis, gateways, releases, revisions, tenants};

use super::sitemap::{self, Places, Unread};
use crate::fetch::{self, FetchError};
use crate::problem::ApiError;
use crate::state::App;

/// How far back the call log is looked at.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// Why there are no URLs.
pub(super) enum Unresolved {
    /// This source gives none, which whoever wrote the plan has to know.
    Source {
        index: usize,
        code: &'static str,
        message: String,
    },
    Failed(ApiError),
}

impl From<sluice_store::Error> for Unresolved {
    fn from(error: sluice_store::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Unresolved> for ApiError {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Source { index, code, message } => {
                Self::invalid_field(format!("/sources/{index}/url"), code, message)
            }
            Unresolved::Failed(error) => error,
        }
    }
}

/// Paths below the API's base with their queries, each once, in the order of the plan's sources.
pub(super) async fn resolve(app: &App, what: What, plan: &WarmingPlan) -> Result<Urls, Unresolved> {
    let mut urls = Urls::default();
    for (index, source) in plan.sources.iter().enumerate() {
        match source {
            WarmingSource::List { paths } => urls.paths.extend(paths.iter().cloned()),
            WarmingSource::Top { count } => hottest(app, what, *count, &mut urls).await?,
            WarmingSource::Sitemap { url } => {
                let guard = fetch::guard(app, what.tenant).await.map_err(Unresolved::Failed)?;
                let places = places(app, what, plan).await?;
                let read = sitemap::read(&guard, &places, url, &mut urls).await;
                read.map_err(|error| unread(index, &error))?;
            }
        }
    }
    let mut seen = HashSet::new();
    urls.paths.retain(|url| seen.insert(url.clone()));
    urls.leave_out("over_limit", urls.paths.len().saturating_sub(MOST_URLS) as u64);
    urls.paths.truncate(MOST_URLS);
    Ok(urls)
}

fn unread(index: usize, error: &Unread) -> Unresolved {
    let code = match error {
        Unread::Fetch(FetchError::WrongUrl(_)) => "invalid_url",
        Unread::Fetch(FetchError::Forbidden(_)) => "forbidden_network",
        Unread::Fetch(FetchError::TooLarge) => "document_too_large",
        Unread::Fetch(FetchError::NotFetched(_) | FetchError::Client(_)) | Unread::TooLate => "not_fetched",
        Unread::Malformed(_) => "invalid_sitemap",
    };
    Unresolved::Source { index, code, message: format!("The sitemap: {error}.") }
}

/// Where callers reach the API in the environment.
async fn places(app: &App, what: What, plan: &WarmingPlan) -> sluice_store::Result<Places> {
    let db = app.store.read();
    let own = match releases::live_revision(db, what.environment, what.api).await? {
        Some(revision) => revisions::get(db, what.tenant, what.api, revision).await?.definition.hosts,
        None => Vec::new(),
    };
    let gateways = gateways::urls_by_environment(db).await?.remove(&what.environment).unwrap_or_default();
    let shared: Vec<String> = plan.address.iter().cloned().chain(gateways).collect();
    Ok(Places::new(base(app, what).await?, own, &shared))
}

async fn base(app: &App, what: What) -> sluice_store::Result<String> {
    let db = app.store.read();
    let tenant = tenants::get(db, what.tenant).await?.slug;
    let api = apis::get(db, what.tenant, what.api).await?.slug;
    Ok(format!("/{tenant}/{api}"))
}

/// What was asked for most lately.
async fn hottest(app: &App, what: What, count: u32, urls: &mut Urls) -> sluice_store::Result<()> {
    let wanted = Hottest {
        api: what.api,
        gateways: gateways::of_environment(app.store.read(), what.environment).await?,
        since: sluice_store::now() - LOOK_BACK,
        count,
    };
    let base = base(app, what).await?;
    for (path, query) in app.telemetry.hottest(what.tenant, &wanted).await? {
        let url = below(&base, &path, query.as_deref());
        match url.len() > PATH_MAX {
            true => urls.leave_out("too_long", 1),
            false => urls.paths.push(url),
        }
    }
    Ok(())
}

/// A recorded path without the base that it has on hosts that APIs share; on a host of the API's own it has none.
fn below(base: &str, path: &str, query: Option<&str>) -> String {
    let path = sitemap::below(base, path).unwrap_or(path);
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_recorded_path_loses_the_base_that_it_has() {
        let base = "/acme/shop";
        for (path, query, expected) in [
            ("/acme/shop/items", None, "/items"),
            ("/acme/shop/items", Some("page=2"), "/items?page=2"),
            ("/acme/shop", None, "/"),
            ("/acme/shopping", None, "/acme/shopping"),
            ("/items", Some(""), "/items?"),
        ] {
            assert_eq!(below(base, path, query), expected);
        }
    }
}
