//! Teams.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::revisions::ChangeKind;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::teams::Team;
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

#[tokio::test]
async fn a_team_is_made_changed_and_removed_and_the_audit_log_tells() {
    each_database(|app| async move {
        let me: Session = app.admin.get("/api/v1/session").await.expect(200).json();
        let made = app.admin.post(&app.path("/teams"), &json!({"name": " Payments ", "members": []})).await;
        let team: Team = made.expect(201).json();
        assert_eq!(team.name, "Payments");

        let path = app.path(&format!("/teams/{}", team.id));
        let etag = app.admin.get(&path).await.expect(200).etag();
        let change = json!({"name": "Billing", "members": [me.user, me.user]});
        let changed: Team = app.admin.put(&path, &etag, &change).await.expect(200).json();
        assert_eq!((changed.name.as_str(), changed.members), ("Billing", vec![me.user]));

        app.admin.put(&path, &etag, &change).await.expect_problem(412, "stale_version");
        let unversioned = app.admin.request(http::Method::PUT, &path);
        app.admin.send_json(unversioned, &change).await.expect_problem(428, "precondition_required");

        let etag = app.admin.get(&path).await.expect(200).etag();
        app.admin.delete_if(&path, &etag).await.expect(204);
        app.admin.get(&path).await.expect_problem(404, "not_found");

        let audit: Page<AuditEntry> =
            app.admin.get(&app.path("/audit?resource=team")).await.expect(200).json();
        let actions: Vec<_> = audit.items.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["delete_team", "update_team", "create_team"]);
        assert_eq!(audit.items[1].actor, "ada@example.com");
        let renamed = &audit.items[1].changes[1];
        assert_eq!((renamed.path.as_str(), renamed.kind), ("/name", ChangeKind::Changed));
        assert_eq!((&renamed.before, &renamed.after), (&Some(json!("Payments")), &Some(json!("Billing"))));
    })
    .await;
}

#[tokio::test]
async fn wrong_teams_are_refused_with_the_field_at_fault() {
    each_database(|app| async move {
        let field = |problem: sluice_contract::problem::Problem| {
            (problem.fields[0].pointer.clone(), problem.fields[0].code.clone())
        };
        let path = app.path("/teams");
        let post = async |body: serde_json::Value| app.admin.post(&path, &body).await;
        post(json!({"name": "Payments", "members": []})).await.expect(201);
        let taken = post(json!({"name": "Payments", "members": []})).await.expect_problem(409, "not_unique");
        assert_eq!(field(taken), ("/name".into(), "not_unique".into()));
        let empty = post(json!({"name": " ", "members": []})).await.expect_problem(422, "invalid");
        assert_eq!(field(empty), ("/name".into(), "required".into()));
        let unknown = json!({"name": "x", "members": [uuid::Uuid::new_v4()]});
        let unknown = post(unknown).await.expect_problem(422, "invalid");
        assert_eq!(field(unknown), ("/members".into(), "unknown".into()));
        let missing = post(json!({"name": "x"})).await.expect_problem(422, "invalid");
        assert_eq!(field(missing), ("/members".into(), "required".into()));
    })
    .await;
}

#[tokio::test]
async fn nobody_of_another_tenant_can_be_in_a_team() {
    each_database(|app| async move {
        let other = app.another_tenant("other").await;
        let stranger = app.member_of(other, &[Role::TenantAdmin]).await;
        let stranger: Session = stranger.get("/api/v1/session").await.expect(200).json();
        let team = json!({"name": "x", "members": [stranger.user]});
        app.admin.post(&app.path("/teams"), &team).await.expect_problem(422, "invalid");
    })
    .await;
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_in_either_direction() {
    each_database(|app| async move {
        for n in 0..25 {
            let team = json!({"name": format!("team {n:02}"), "members": []});
            app.admin.post(&app.path("/teams"), &team).await.expect(201);
        }
        for (sort, first) in [("name", "team 00"), ("-name", "team 24"), ("created_at", "team 00")] {
            let (mut names, mut after) = (Vec::new(), String::new());
            loop {
                let query = format!("/teams?limit=7&sort={sort}{after}");
                let page: Page<Team> = app.admin.get(&app.path(&query)).await.expect(200).json();
                names.extend(page.items.into_iter().map(|team| team.name));
                match page.next {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert_eq!(names[0], first, "by {sort}");
            names.sort();
            names.dedup();
            assert_eq!(names.len(), 25, "by {sort}");
        }
        let found: Page<Team> = app.admin.get(&app.path("/teams?q=TEAM%201")).await.expect(200).json();
        assert_eq!(found.items.len(), 10);
        let found: Page<Team> = app.admin.get(&app.path("/teams?q=%25")).await.expect(200).json();
        assert!(found.items.is_empty(), "% is no wildcard");
        for bad in ["limit=0", "limit=201", "limit=x", "sort=members", "after=x"] {
            app.admin.get(&app.path(&format!("/teams?{bad}"))).await.expect_problem(422, "invalid");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_go_on_behind_names_that_look_like_something_else() {
    each_database(|app| async move {
        let mut names =
            ["2026-11-22T10:00:00Z", "01a205af-7e79-73d3-a945-064b9f533cf2", "12", "true", "null"];
        for name in names {
            app.admin.post(&app.path("/teams"), &json!({"name": name, "members": []})).await.expect(201);
        }
        names.sort_unstable();
        let (mut found, mut after) = (Vec::new(), Some(String::new()));
        while let Some(cursor) = after {
            let query = app.path(&format!("/teams?limit=1&sort=name{cursor}"));
            let page: Page<Team> = app.admin.get(&query).await.expect(200).json();
            found.extend(page.items.into_iter().map(|team| team.name));
            after = page.next.map(|next| format!("&after={next}"));
        }
        assert_eq!(found, names);
    })
    .await;
}

#[tokio::test]
async fn a_cursor_that_somebody_made_up_is_refused() {
    each_database(|app| async move {
        let id = uuid::Uuid::new_v4();
        let far = ["+262000-01-01T00:00:00Z", "-4800-01-01T00:00:00Z"];
        let wrong_for_times =
            [json!({"s": "x"}), json!({"n": 1}), json!({"t": far[0]}), json!({"t": far[1]})];
        let wrong_for_names = [json!({"t": "2026-01-01T00:00:00Z"}), json!({"u": id}), json!({"b": true})];
        for (sort, wrong) in [("created_at", &wrong_for_times[..]), ("name", &wrong_for_names[..])] {
            for key in wrong.iter().chain([&json!(5), &json!({"s": "\0"})]) {
                let cursor = json!({"s": sort, "k": key, "i": id}).to_string();
                let query = format!("/teams?sort={sort}&after={}", URL_SAFE_NO_PAD.encode(cursor));
                app.admin.get(&app.path(&query)).await.expect_problem(422, "invalid");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn only_tenant_admins_change_teams() {
    each_database(|app| async move {
        let viewer = app.member(&[Role::Viewer]).await;
        viewer.get(&app.path("/teams")).await.expect(200);
        let team = json!({"name": "x", "members": []});
        viewer.post(&app.path("/teams"), &team).await.expect_problem(403, "forbidden");
    })
    .await;
}
