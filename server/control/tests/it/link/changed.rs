//! What unsafe methods have changed on one gateway, on its way to the others.

use sluice_contract::ids::{ApiId, PurgeId};
use sluice_contract::journal::{Change, Purge, PurgeScope};
use sluice_contract::link::{CHANGED_MOST, CHANGED_PATH, ChangedUrl, ChangedUrls};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::purges::PurgeRecord;
use sluice_store::journal;
use sluice_testkit::each_database;

use super::simulated::Served;

async fn purges(served: &Served) -> Vec<Purge> {
    let entries = journal::entries_after(served.store().read(), served.environment, 0, 1_000).await.unwrap();
    let purge = |entry: journal::StoredEntry| match serde_json::from_str(&entry.change).unwrap() {
        Change::Purge(purge) => Some(purge),
        _ => None,
    };
    entries.into_iter().filter_map(purge).collect()
}

#[tokio::test]
async fn what_an_unsafe_method_has_changed_on_one_gateway_is_told_to_the_others() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let api = ApiId::generate();
        served.release(api, b"{}").await;
        let by = PurgeId::generate();
        let told = |api, paths: &[&str]| {
            let urls = paths.iter().map(|path| ChangedUrl { api, path: (*path).to_owned() }).collect();
            ChangedUrls { by, urls }
        };
        let one = served.gateway().await;
        one.post(CHANGED_PATH, &told(api, &["/a"])).await.unwrap();
        assert_eq!(purges(&served).await, [], "there is no other");

        let _other = served.gateway().await;
        one.post(CHANGED_PATH, &told(api, &["/a", "/b?x=1", "no path"])).await.unwrap();
        one.post(CHANGED_PATH, &told(ApiId::generate(), &["/elsewhere"])).await.unwrap();
        let passed_on = purges(&served).await;
        let scopes: Vec<_> = passed_on.iter().map(|purge| purge.scope.clone()).collect();
        let url = |path: &str| PurgeScope::Url { api, path: path.to_owned() };
        assert_eq!(scopes, [url("/a"), url("/b?x=1")]);
        assert!(passed_on.iter().all(|purge| purge.id == by && !purge.soft));
        assert!(passed_on.iter().all(|purge| purge.tenant.is_some()), "of the tenant that has the API");

        let many: Vec<String> = (0..CHANGED_MOST + 5).map(|number| format!("/{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        one.post(CHANGED_PATH, &told(api, &many)).await.unwrap();
        assert_eq!(purges(&served).await.len(), 2 + CHANGED_MOST);
        let listed: Page<PurgeRecord> =
            served.app.admin.get(&served.app.path("/purges")).await.expect(200).json();
        assert!(listed.items.is_empty(), "nobody has asked for them");
    })
    .await;
}
