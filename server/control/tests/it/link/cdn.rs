//! CDNs are told of a purge when the gateways have it.

use serde_json::json;
use sluice_contract::rest::cdn_hooks::CdnCallState;
use sluice_testkit::each_database;

use super::simulated::{Served, credential};
use crate::cdn_hooks::{Cdn, make, purge, save, until};
use crate::publishing::{draft, make_api};

#[tokio::test]
async fn a_cdn_is_not_told_before_the_gateways_have_the_purge() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let (cdn, base) = Cdn::start(&[]).await;
        let api = make_api(&served.app, "items", draft()).await.id;
        let hook = make(&served.app, api, &save(&served.app, &base).await).await;
        purge(&served.app, json!({"by": "tag", "api": api, "tag": "red"})).await;
        // It was looked at, and put off.
        let waiting = until(&served.app, &hook, |calls| {
            calls.iter().any(|call| call.next_at.is_none_or(|next| next > call.at))
        })
        .await;
        assert_eq!((waiting[0].state, waiting[0].attempts), (CdnCallState::Waiting, 0));
        assert!(cdn.all().is_empty());
        let later = served.append(credential("a")).await;
        gateway.acknowledge(later, Vec::new()).await.unwrap();
        cdn.until(1).await;
        until(&served.app, &hook, |calls| calls[0].state == CdnCallState::Done).await;
    })
    .await;
}
