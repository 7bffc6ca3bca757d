//! Releases, rollbacks and withdrawals, and what gateways are told of them.

use serde_json::json;
use sluice_contract::journal::Change;
use sluice_contract::part::ApiPart;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::releases::{ProgressState, Release};
use sluice_store::parts;
use sluice_testkit::each_database;

use crate::publishing::{ask_release, draft, make_api, make_revision, production, release, save_draft, told};

#[tokio::test]
async fn a_release_is_accepted_while_no_gateway_is_up_and_waits_for_one() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await;
        let revision = make_revision(&app, api.id).await;
        let made = release(&app, api.id, revision).await;
        assert_eq!((made.revision, made.replaces, made.rollback), (Some(1), None, false));
        assert_eq!(made.progress.state, ProgressState::Waiting);
        let path = app.path(&format!("/apis/{}/releases/{}", api.id, made.id));
        let shown: Release = app.admin.get(&path).await.expect(200).json();
        assert_eq!(shown, made);

        let changes = told(&app).await;
        let Some(Change::ApiReleased(released)) = changes.last() else { panic!("{changes:?}") };
        assert_eq!((released.api, released.release, released.revision), (api.id, made.id, 1));
        let bytes = parts::get(app.database.store.read(), released.part).await.unwrap().unwrap();
        let part: ApiPart = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&*part.tenant_slug, &*part.slug, part.tenant), ("acme", "items", app.tenant));
        assert_eq!(part.definition, api.draft);
    })
    .await;
}

#[tokio::test]
async fn going_back_releases_the_older_part_again() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        make_revision(&app, api).await;
        release(&app, api, 1).await;
        let mut changed = draft();
        changed["routes"][0]["path"] = json!("/things");
        save_draft(&app, api, changed).await;
        make_revision(&app, api).await;
        let second = release(&app, api, 2).await;
        assert_eq!((second.replaces, second.rollback), (Some(1), false));
        let back = release(&app, api, 1).await;
        assert_eq!((back.replaces, back.rollback), (Some(2), true));
        assert_eq!(back.position, second.position + 1);
        let parts: Vec<_> = told(&app)
            .await
            .into_iter()
            .filter_map(|change| match change {
                Change::ApiReleased(released) => Some(released.part),
                _ => None,
            })
            .collect();
        assert_eq!(parts[0], parts[2]);
        assert_ne!(parts[0], parts[1]);
        let path = app.path(&format!("/apis/{api}/releases"));
        let list: Page<Release> = app.admin.get(&path).await.expect(200).json();
        let revisions: Vec<_> = list.items.iter().map(|release| release.revision).collect();
        assert_eq!(revisions, [Some(1), Some(2), Some(1)]);
    })
    .await;
}

#[tokio::test]
async fn a_withdrawn_api_is_gone_from_gateways_and_cannot_be_withdrawn_again() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        ask_release(&app, api, None).await.expect_problem(409, "not_live");
        make_revision(&app, api).await;
        release(&app, api, 1).await;
        let withdrawn: Release = ask_release(&app, api, None).await.expect(201).json();
        assert_eq!((withdrawn.revision, withdrawn.replaces), (None, Some(1)));
        assert!(matches!(told(&app).await.last(), Some(Change::ApiWithdrawn { api: gone }) if *gone == api));
        ask_release(&app, api, None).await.expect_problem(409, "not_live");
        release(&app, api, 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_route_conflict_is_refused_and_names_both_routes() {
    each_database(|app| async move {
        let mut conflicting = draft();
        conflicting["routes"] = json!([
            {"id": "byId", "methods": ["GET"], "path": "/items/{id}"},
            {"id": "byName", "methods": ["GET", "PUT"], "path": "/items/{name}"}
        ]);
        let api = make_api(&app, "items", conflicting).await.id;
        make_revision(&app, api).await;
        let before = told(&app).await.len();
        let problem = ask_release(&app, api, Some(1)).await.expect_problem(409, "route_conflict");
        assert!(
            problem.detail.contains("`byId`") && problem.detail.contains("`byName`"),
            "{}",
            problem.detail
        );
        assert_eq!(told(&app).await.len(), before);
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_served_is_not_released() {
    each_database(|app| async move {
        let api = make_api(&app, "items", json!({})).await.id;
        make_revision(&app, api).await;
        ask_release(&app, api, Some(1)).await.expect_problem(409, "no_routes");
        save_draft(&app, api, json!({"routes": [{"id": "a", "path": "/a"}]})).await;
        make_revision(&app, api).await;
        ask_release(&app, api, Some(2)).await.expect_problem(409, "no_upstream");
        let unknown = ask_release(&app, api, Some(9)).await.expect_problem(422, "invalid");
        assert_eq!(unknown.fields[0].pointer, "/revision");
        let nowhere = json!({"environment": uuid::Uuid::new_v4(), "revision": 1});
        let path = app.path(&format!("/apis/{api}/releases"));
        let unknown = app.admin.post(&path, &nowhere).await.expect_problem(422, "invalid");
        assert_eq!(unknown.fields[0].pointer, "/environment");
    })
    .await;
}

#[tokio::test]
async fn a_release_into_an_environment_that_forbids_the_upstream_is_refused() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        make_revision(&app, api).await;
        let new = json!({"slug": "strict", "name": "Strict"});
        let strict: sluice_contract::rest::environments::Environment =
            app.admin.post("/api/v1/environments", &new).await.expect(201).json();
        let body = json!({"environment": strict.id, "revision": 1});
        let path = app.path(&format!("/apis/{api}/releases"));
        let problem = app.admin.post(&path, &body).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].code, "forbidden_network");
        release(&app, api, 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_host_answers_for_one_api_only() {
    each_database(|app| async move {
        let mut with_host = draft();
        with_host["hosts"] = json!(["api.example.com"]);
        let (one, two) = (
            make_api(&app, "one", with_host.clone()).await.id,
            make_api(&app, "two", with_host.clone()).await.id,
        );
        for api in [one, two] {
            make_revision(&app, api).await;
        }
        release(&app, one, 1).await;
        ask_release(&app, two, Some(1)).await.expect_problem(409, "host_taken");
        release(&app, one, 1).await;
        ask_release(&app, one, None).await.expect(201);
        release(&app, two, 1).await;
    })
    .await;
}

#[tokio::test]
async fn releases_at_once_get_positions_in_one_order() {
    each_database(|app| async move {
        let environment = production(&app).await;
        let mut apis = Vec::new();
        for i in 0..4 {
            let api = make_api(&app, &format!("api-{i}"), draft()).await.id;
            make_revision(&app, api).await;
            apis.push(app.path(&format!("/apis/{api}/releases")));
        }
        let body = json!({"environment": environment, "revision": 1});
        let release = |i: usize| app.admin.post(&apis[i], &body);
        let (a, b, c, d) = tokio::join!(release(0), release(1), release(2), release(3));
        let position = |reply: sluice_testkit::Reply| reply.expect(201).json::<Release>().position;
        let mut positions = [a, b, c, d].map(position);
        positions.sort_unstable();
        assert!(positions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{positions:?}");
    })
    .await;
}
