//! From the sources of a plan to URLs.

use std::collections::HashSet;

use chrono::TimeDelta;
use sluice_contract::rest::warmings::{MOST_URLS, WarmingSource};
use sluice_store::telemetry::Hottest;
use sluice_store::warmings::What;
use sluice_store::{apis, gateways, tenants};

use crate::state::App;

/// How far back the call log is looked at.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// Paths below the API's base with their queries, each once, in the order of the sources.
pub(super) async fn resolve(
    app: &App,
    what: What,
    sources: &[WarmingSource],
) -> sluice_store::Result<Vec<String>> {
    let mut urls = Vec::new();
    for source in sources {
        match source {
            WarmingSource::List { paths } => urls.extend(paths.iter().cloned()),
            WarmingSource::Top { count } => urls.extend(hottest(app, what, *count).await?),
        }
    }
    let mut seen = HashSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    urls.truncate(MOST_URLS);
    Ok(urls)
}

/// What was asked for most lately.
async fn hottest(app: &App, what: What, count: u32) -> sluice_store::Result<Vec<String>> {
    let db = app.store.read();
    let tenant = tenants::get(db, what.tenant).await?.slug;
    let api = apis::get(db, what.tenant, what.api).await?.slug;
    let wanted = Hottest {
        api: what.api,
        gateways: gateways::of_environment(db, what.environment).await?,
        since: sluice_store::now() - LOOK_BACK,
        count,
    };
    let found = app.telemetry.hottest(what.tenant, &wanted).await?;
    let base = format!("/{tenant}/{api}");
    Ok(found.into_iter().map(|(path, query)| below(&base, &path, query.as_deref())).collect())
}

/// A recorded path without the base that it has on hosts that APIs share; on a host of the API's own it has none.
fn below(base: &str, path: &str, query: Option<&str>) -> String {
    let path = match path.strip_prefix(base) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
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
