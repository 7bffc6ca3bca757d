//! APIs and their drafts.

use serde_json::json;
use sluice_contract::rest::apis::{Api, ApiSummary};
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::teams::Team;
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

use crate::publishing::{ask_release, draft, make_api, make_revision, release, save_draft};

#[tokio::test]
async fn an_api_is_made_changed_and_removed_and_the_audit_log_tells_each_field() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await;
        assert_eq!((&*api.slug, &*api.base_path, api.changed), ("items", "/acme/items", true));
        let mut changed = draft();
        changed["routes"][0]["path"] = json!("/things");
        let after = save_draft(&app, api.id, changed).await;
        assert_eq!((&*after.draft.routes[0].path, after.version), ("/things", 2));

        let path = app.path(&format!("/apis/{}", api.id));
        let etag = app.admin.get(&path).await.expect(200).etag();
        app.admin.delete_if(&path, &etag).await.expect(204);
        app.admin.get(&path).await.expect_problem(404, "not_found");

        let audit: Page<AuditEntry> =
            app.admin.get(&app.path("/audit?resource=api")).await.expect(200).json();
        let actions: Vec<_> = audit.items.iter().map(|entry| &*entry.action).collect();
        assert_eq!(actions, ["delete_api", "update_api", "create_api"]);
        let change = &audit.items[1].changes[0];
        assert_eq!(change.path, "/draft/routes/listItems/path");
        assert_eq!((&change.before, &change.after), (&Some(json!("/items")), &Some(json!("/things"))));
    })
    .await;
}

#[tokio::test]
async fn of_two_people_who_edit_one_api_the_second_is_told() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await;
        let path = app.path(&format!("/apis/{}", api.id));
        let etag = app.admin.get(&path).await.expect(200).etag();
        let body = |name: &str| json!({"name": name, "description": "", "team": null, "listed": false, "draft": draft()});
        app.admin.put(&path, &etag, &body("First")).await.expect(200);
        app.admin.put(&path, &etag, &body("Second")).await.expect_problem(412, "stale_version");
        app.admin.delete_if(&path, &etag).await.expect_problem(412, "stale_version");
        let unversioned = app.admin.request(http::Method::PUT, &path);
        app.admin.send_json(unversioned, &body("Third")).await.expect_problem(428, "precondition_required");
        assert_eq!(app.admin.get(&path).await.json::<Api>().name, "First");
    })
    .await;
}

#[tokio::test]
async fn every_mistake_in_a_draft_is_named_by_its_pointer() {
    each_database(|app| async move {
        let wrong = json!({
            "hosts": ["Not A Host"],
            "routes": [
                {"id": "a", "path": "no-slash", "upstream": "nowhere"},
                {"id": "a", "path": "/a", "policies": [{"type": "cache", "settings": {"no_such": 1}}]}
            ],
            "upstreams": [{"name": "main", "targets": [{"url": "ftp://x"}],
                "breaker": {"failures": 0, "open_s": 3601}}],
            "policies": [{"type": "no-such-policy"}]
        });
        let new = json!({"slug": "Wrong Slug", "name": "", "draft": wrong});
        let problem = app.admin.post(&app.path("/apis"), &new).await.expect_problem(422, "invalid");
        let pointers: Vec<_> = problem.fields.iter().map(|field| &*field.pointer).collect();
        for expected in [
            "/slug",
            "/name",
            "/draft/hosts/0",
            "/draft/routes/0/path",
            "/draft/routes/0/upstream",
            "/draft/routes/1/id",
            "/draft/upstreams/0/targets/0/url",
            "/draft/upstreams/0/breaker/failures",
            "/draft/upstreams/0/breaker/open_s",
            "/draft/policies/0/type",
        ] {
            assert!(pointers.contains(&expected), "{expected} is not among {pointers:?}");
        }
        assert!(pointers.iter().any(|pointer| pointer.starts_with("/draft/routes/1/policies/0/settings")));
        make_api(&app, "items", draft()).await;
        let again = json!({"slug": "items", "name": "Other"});
        let taken = app.admin.post(&app.path("/apis"), &again).await.expect_problem(409, "not_unique");
        assert_eq!(taken.fields[0].pointer, "/slug");
    })
    .await;
}

#[tokio::test]
async fn an_upstream_on_a_forbidden_network_is_refused_at_save() {
    each_database(|app| async move {
        for target in
            ["http://10.0.0.1", "http://169.254.169.254/latest", "http://[fd00::1]:80", "http://2130706433.1"]
        {
            let mut draft = draft();
            draft["upstreams"][0]["targets"] = json!([{"url": "http://127.0.0.1:9"}, {"url": target}]);
            let new = json!({"slug": "items", "name": "Items", "draft": draft});
            let reply = app.admin.post(&app.path("/apis"), &new).await;
            if target.contains("2130706433") {
                // Not an address, and no name that resolves: decided at connect.
                reply.expect(201);
                continue;
            }
            let problem = reply.expect_problem(422, "invalid");
            assert_eq!(problem.fields[0].pointer, "/draft/upstreams/0/targets/1/url", "{target}");
            assert_eq!(problem.fields[0].code, "forbidden_network", "{target}");
        }
    })
    .await;
}

#[tokio::test]
async fn names_that_lead_to_a_forbidden_network_are_refused_as_the_address_is() {
    let database = sluice_testkit::TestDatabase::sqlite().await;
    let mut settings = sluice_testkit::TestApp::settings();
    settings.loopback_allowed = false;
    let app = sluice_testkit::TestApp::with(database, settings).await;
    for target in ["http://localhost:9", "http://127.0.0.1:9", "http://[::1]:9"] {
        let mut draft = draft();
        draft["upstreams"][0]["targets"][0]["url"] = json!(target);
        let new = json!({"slug": "items", "name": "Items", "draft": draft});
        let problem = app.admin.post(&app.path("/apis"), &new).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].code, "forbidden_network", "{target}");
    }
}

#[tokio::test]
async fn an_api_that_is_live_cannot_be_removed_until_it_is_withdrawn() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await;
        let revision = make_revision(&app, api.id).await;
        release(&app, api.id, revision).await;
        let path = app.path(&format!("/apis/{}", api.id));
        let etag = app.admin.get(&path).await.expect(200).etag();
        app.admin.delete_if(&path, &etag).await.expect_problem(409, "live");
        ask_release(&app, api.id, None).await.expect(201);
        app.admin.delete_if(&path, &etag).await.expect(204);
    })
    .await;
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged_by_the_server() {
    each_database(|app| async move {
        for slug in ["alpha", "beta", "gamma"] {
            make_api(&app, slug, draft()).await;
        }
        let list = async |query: &str| -> Page<ApiSummary> {
            app.admin.get(&app.path(&format!("/apis?{query}"))).await.expect(200).json()
        };
        let slugs =
            |page: &Page<ApiSummary>| page.items.iter().map(|api| api.slug.clone()).collect::<Vec<_>>();
        let first = list("limit=2&sort=-slug").await;
        assert_eq!(slugs(&first), ["gamma", "beta"]);
        let rest = list(&format!("limit=2&sort=-slug&after={}", first.next.unwrap())).await;
        assert_eq!((slugs(&rest), rest.next), (vec!["alpha".to_owned()], None));
        assert_eq!(slugs(&list("q=ET").await), ["beta"]);
        assert!(list("listed=true").await.items.is_empty());
        assert_eq!(list("sort=slug").await.items[0].routes, 1);
        app.admin.get(&app.path("/apis?sort=nothing")).await.expect_problem(422, "invalid");
    })
    .await;
}

#[tokio::test]
async fn an_api_of_a_team_is_changed_by_its_members_only() {
    each_database(|app| async move {
        let publisher = app.member(&[Role::Publisher]).await;
        let me: sluice_contract::rest::session::Session = publisher.get("/api/v1/session").await.json();
        let make_team = async |name: &str, members: serde_json::Value| -> Team {
            let new = json!({"name": name, "members": members});
            app.admin.post(&app.path("/teams"), &new).await.expect(201).json()
        };
        let (own, other) = (make_team("Own", json!([me.user])).await, make_team("Other", json!([])).await);
        let new =
            |team: &Team, slug: &str| json!({"slug": slug, "name": slug, "team": team.id, "draft": draft()});
        publisher.post(&app.path("/apis"), &new(&other, "theirs")).await.expect_problem(403, "forbidden");
        let mine: Api = publisher.post(&app.path("/apis"), &new(&own, "mine")).await.expect(201).json();
        let theirs: Api = app.admin.post(&app.path("/apis"), &new(&other, "theirs")).await.expect(201).json();
        publisher.get(&app.path(&format!("/apis/{}", theirs.id))).await.expect(200);
        let path = app.path(&format!("/apis/{}", theirs.id));
        publisher.delete_if(&path, "\"1\"").await.expect_problem(403, "forbidden");
        publisher.delete_if(&app.path(&format!("/apis/{}", mine.id)), "\"1\"").await.expect(204);
    })
    .await;
}

#[tokio::test]
async fn only_a_platform_admin_gives_an_api_a_host_of_its_own() {
    each_database(|app| async move {
        let publisher = app.member(&[Role::Publisher]).await;
        let mut with_host = draft();
        with_host["hosts"] = json!(["api.example.com"]);
        let new = json!({"slug": "items", "name": "Items", "draft": with_host});
        publisher.post(&app.path("/apis"), &new).await.expect_problem(403, "forbidden");
        app.admin.post(&app.path("/apis"), &new).await.expect(201);
    })
    .await;
}
