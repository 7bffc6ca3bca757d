//! Of several control planes the database says which takes what: here is asked in their place what they ask. None runs.

use sluice_contract::ids::{EnvironmentId, GatewayId};
use sluice_contract::link::{PROTOCOL, SessionRequest};
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::gateways::CreatedEnrolmentToken;
use sluice_store::Store;
use sluice_store::audit::Actor;
use sluice_store::gateways::NewGateway;
use sluice_testkit::TestApp;
use uuid::Uuid;

use super::super::simulated::secret_of;
use super::*;

const SECRET: &str = "its secret";

/// A gateway that has enrolled, in its first life.
async fn enrolled(app: &TestApp, environment: EnvironmentId) -> GatewayId {
    let path = format!("/api/v1/environments/{environment}/enrolment-tokens");
    let token: CreatedEnrolmentToken =
        app.admin.post(&path, &json!({"name": "fleet"})).await.expect(201).json();
    let new = NewGateway {
        token: Sha256Hash::of(secret_of(&token).as_bytes()),
        name: "worker".to_owned(),
        region: None,
        secret: Sha256Hash::of(SECRET.as_bytes()),
    };
    let tx = app.app.store.begin().await.unwrap();
    let gateway = gateways::enrol(&tx, new).await.unwrap().gateway;
    tx.commit().await.unwrap();
    boot(&app.app.store, gateway).await;
    gateway
}

/// It comes up, with an empty memory.
async fn boot(store: &Store, gateway: GatewayId) {
    let request = SessionRequest {
        gateway,
        secret: SECRET.to_owned(),
        boot: BootId::generate(),
        version: "0.1.0".to_owned(),
        protocol: PROTOCOL,
        public_url: None,
        lost_before: Vec::new(),
    };
    let tx = store.begin().await.unwrap();
    gateways::open_session(&tx, &request, Sha256Hash::of(SECRET.as_bytes())).await.unwrap();
    tx.commit().await.unwrap();
}

async fn make_public(app: &TestApp) -> ApiId {
    let mut draft = cached(json!({}));
    draft["access"] = "public".into();
    let api = make_api(app, "items", draft).await.id;
    make_revision(app, api).await;
    api
}

#[tokio::test]
async fn one_control_plane_has_a_gateway_and_another_goes_on_where_it_was() {
    each_database(|app| async move {
        let environment = publishing::production(&app).await;
        let gateway = enrolled(&app, environment).await;
        let api = make_public(&app).await;
        publishing::release(&app, api, 1).await;
        let store = &app.app.store;
        let what = What { tenant: app.tenant, api, environment, cause: WarmingCause::Demand, only: None };
        let urls = Urls { paths: vec!["/a".to_owned(), "/b".to_owned()], ..Urls::default() };
        let tx = store.begin().await.unwrap();
        let id = warmings::create(&tx, &Actor::system(), what, &WarmingPlan::default(), &urls).await.unwrap();
        tx.commit().await.unwrap();

        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        let tx = store.begin().await.unwrap();
        let mut share = warmings::claim(&tx, id, gateway, one).await.unwrap().unwrap();
        assert!(warmings::claim(&tx, id, gateway, other).await.unwrap().is_none(), "it is taken");
        share.next = 1;
        assert_eq!(warmings::renew(&tx, &share, &report(1, 0)).await.unwrap(), Some(true));
        tx.execute_unprepared("UPDATE warming_gateways SET lease_until = '2026-01-01 00:00:00+00:00'")
            .await
            .unwrap();
        let taken_over = warmings::claim(&tx, id, gateway, other).await.unwrap().unwrap();
        assert_eq!((taken_over.next, taken_over.report.stored), (1, 1));
        assert_eq!(warmings::renew(&tx, &share, &report(2, 0)).await.unwrap(), None, "it is another's now");
        assert_eq!(warmings::renew(&tx, &taken_over, &report(1, 0)).await.unwrap(), Some(true));
        assert_eq!(warmings::urls(&tx, id).await.unwrap(), urls.paths);
        warmings::end(&tx, id, gateway, GatewayWarmingState::Done, Some(&report(2, 0))).await.unwrap();
        assert!(warmings::urls(&tx, id).await.is_err(), "nobody needs them any more");
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_release_and_a_gateway_that_comes_up_are_taken_by_one_control_plane_and_once() {
    each_database(|app| async move {
        let environment = publishing::production(&app).await;
        let api = make_public(&app).await;
        let path = app.path(&format!("/apis/{api}/environments/{environment}/warming-plan"));
        let fresh = app.admin.get(&path).await.expect(200).etag();
        let list = json!([{"from": "list", "paths": ["/a"]}]);
        let plan = json!({"sources": list, "on_release": true, "on_gateway": true});
        app.admin.put(&path, &fresh, &plan).await.expect(200);
        publishing::release(&app, api, 1).await;
        let gateway = enrolled(&app, environment).await;
        let store = &app.app.store;

        let due = warmings::due(store.read()).await.unwrap();
        assert_eq!(due.iter().map(|due| due.what.cause).collect::<Vec<_>>(), [WarmingCause::Release]);
        let tx = store.begin().await.unwrap();
        assert!(warmings::take_due(&tx, &due[0]).await.unwrap());
        assert!(!warmings::take_due(&tx, &due[0]).await.unwrap());
        tx.commit().await.unwrap();
        assert!(warmings::due(store.read()).await.unwrap().is_empty());

        let arrivals = warmings::arrivals(store.read()).await.unwrap();
        assert_eq!(arrivals.iter().map(|arrival| arrival.gateway).collect::<Vec<_>>(), [gateway]);
        let tx = store.begin().await.unwrap();
        assert!(warmings::take_arrival(&tx, arrivals[0]).await.unwrap());
        assert!(!warmings::take_arrival(&tx, arrivals[0]).await.unwrap());
        tx.commit().await.unwrap();
        assert!(warmings::arrivals(store.read()).await.unwrap().is_empty());
        boot(store, gateway).await;
        assert_eq!(warmings::arrivals(store.read()).await.unwrap().len(), 1);
    })
    .await;
}
