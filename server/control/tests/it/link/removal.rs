//! Removing gateways.

use serde_json::json;
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::gateways::{Gateway, GatewayState};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

use super::simulated::Served;

#[tokio::test]
async fn a_removed_gateway_is_refused_at_once_everywhere() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let mut gateway = served.gateway().await;
        let mut stream = gateway.follow(1).await.unwrap();
        stream.frame().await.unwrap();

        let path = format!("/api/v1/gateways/{}", gateway.id);
        served.app.admin.delete(&path).await.expect(204);
        assert!(stream.news().await.is_none(), "its stream ends");
        assert_eq!(gateway.heartbeat(0).await.unwrap_err().code, "no_session");
        assert_eq!(gateway.follow(1).await.err().unwrap().code, "no_session");
        let refused = gateway.open_session(Vec::new()).await.unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (403, "gateway_removed"));
        served.app.admin.delete(&path).await.expect_problem(404, "not_found");

        let list: Page<Gateway> =
            served.app.admin.get(&served.app.path("/gateways")).await.expect(200).json();
        assert!(list.items.is_empty());
        let one = served.app.path(&format!("/gateways/{}", gateway.id));
        let seen: Gateway = served.app.admin.get(&one).await.expect(200).json();
        assert_eq!(seen.state, GatewayState::Removed);

        // Its name is free again.
        let again = served.gateway().await;
        let one = served.app.path(&format!("/gateways/{}", again.id));
        let seen: Gateway = served.app.admin.get(&one).await.expect(200).json();
        assert_eq!(seen.name, "worker");

        let audit: Page<AuditEntry> =
            served.app.admin.get("/api/v1/audit?resource=gateway").await.expect(200).json();
        let actions: Vec<_> = audit.items.iter().map(|e| (e.action.as_str(), e.actor.as_str())).collect();
        let enrolled = ("enrol_gateway", "gateway:worker");
        assert_eq!(actions, [enrolled, ("delete_gateway", "ada@example.com"), enrolled]);
    })
    .await;
}

#[tokio::test]
async fn tenants_see_gateways_of_environments_that_they_may_use_and_only_the_platform_removes_them() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let gateway = served.gateway().await;
        let other = served.app.another_tenant("other").await;
        let new = json!({"slug": "private", "name": "Private", "dedicated_to": other});
        let private: serde_json::Value =
            served.app.admin.post("/api/v1/environments", &new).await.expect(201).json();
        let path = format!("/api/v1/environments/{}/enrolment-tokens", private["id"].as_str().unwrap());
        let token = served.app.admin.post(&path, &json!({"name": "fleet"})).await.expect(201).json();
        let secret = super::simulated::secret_of(&token);
        let hidden = super::simulated::Simulated::enrol(&served.base, &secret, "hidden").await.unwrap();

        let viewer = served.app.member(&[Role::Viewer]).await;
        let list: Page<Gateway> = viewer.get(&served.app.path("/gateways")).await.expect(200).json();
        assert_eq!(list.items.iter().map(|seen| seen.id).collect::<Vec<_>>(), [gateway.id]);
        let of_other = served.app.path(&format!("/gateways/{}", hidden.id));
        viewer.get(&of_other).await.expect_problem(404, "not_found");
        let remove = format!("/api/v1/gateways/{}", gateway.id);
        viewer.delete(&remove).await.expect_problem(403, "forbidden");
        served.app.stranger().delete(&remove).await.expect_problem(401, "unauthenticated");

        let theirs = served.app.member_of(other, &[Role::Viewer]).await;
        let list: Page<Gateway> = theirs
            .get(&format!("/api/v1/tenants/{other}/gateways?sort=-enrolled_at"))
            .await
            .expect(200)
            .json();
        assert_eq!(list.items.iter().map(|seen| seen.id).collect::<Vec<_>>(), [hidden.id, gateway.id]);
    })
    .await;
}
