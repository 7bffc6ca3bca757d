//! What the schema itself refuses, whatever the code above it does; and what a transaction promises.

use std::os::unix::fs::PermissionsExt;

use sea_orm::{EntityTrait, Set, SqlErr};
use sluice_contract::ids::TenantId;
use sluice_contract::rest::page::PageQuery;
use sluice_contract::rest::teams::SaveTeam;
use sluice_contract::rest::tenants::CreateTenant;
use sluice_contract::rest::users::{CreateUser, Role};
use sluice_entity::{team_members, teams};
use sluice_store::audit::Actor;
use sluice_store::{DatabaseUrl, Error, Store, tenants, users};

use crate::databases::on_each;

async fn tenant(store: &Store, slug: &str) -> TenantId {
    let tx = store.begin().await.unwrap();
    let new = CreateTenant { slug: slug.to_owned(), name: slug.to_owned() };
    let tenant = tenants::create(&tx, &Actor::system(), &new).await.unwrap();
    tx.commit().await.unwrap();
    tenant.id
}

#[tokio::test]
async fn the_schema_has_no_row_that_joins_two_tenants() {
    on_each(|store| async move {
        let (ours, theirs) = (tenant(&store, "ours").await, tenant(&store, "theirs").await);
        let tx = store.begin().await.unwrap();
        let actor = Actor::system();
        let new = CreateUser {
            email: "bob@example.com".to_owned(),
            name: "Bob".to_owned(),
            roles: vec![Role::Viewer],
        };
        let (bob, _) = users::create(&tx, &actor, theirs, &new).await.unwrap();
        let new = SaveTeam { name: "Payments".to_owned(), members: Vec::new() };
        let team = sluice_store::teams::create(&tx, &actor, ours, &new).await.unwrap();
        tx.commit().await.unwrap();
        for tenant in [ours, theirs] {
            let joined = team_members::ActiveModel {
                tenant_id: Set(tenant.0),
                team_id: Set(team.id.0),
                user_id: Set(bob.id.0),
            };
            let refused = team_members::Entity::insert(joined).exec_without_returning(store.read()).await;
            let error = refused.unwrap_err().sql_err();
            assert!(matches!(error, Some(SqlErr::ForeignKeyConstraintViolation(_))), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_committed_never_happened() {
    on_each(|store| async move {
        let tx = store.begin().await.unwrap();
        let new = CreateTenant { slug: "gone".to_owned(), name: "Gone".to_owned() };
        tenants::create(&tx, &Actor::system(), &new).await.unwrap();
        drop(tx);
        // The next writer does not wait for the one that went away.
        tenant(&store, "kept").await;
        assert!(matches!(tenants::by_slug(store.read(), "gone").await, Err(Error::NotFound)));
        let all = tenants::list(store.read(), &PageQuery::default()).await.unwrap();
        assert_eq!(all.items.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn writers_at_once_take_turns() {
    on_each(|store| async move {
        let ours = tenant(&store, "ours").await;
        let writers = (0..20).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let tx = store.begin().await.unwrap();
                let new = SaveTeam { name: format!("team {n}"), members: Vec::new() };
                sluice_store::teams::create(&tx, &Actor::system(), ours, &new).await.unwrap();
                tx.commit().await.unwrap();
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(teams::Entity::find().all(store.read()).await.unwrap().len(), 20);
    })
    .await;
}

#[tokio::test]
async fn only_the_owner_may_read_the_database_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sluice.db");
    let store = Store::connect(&DatabaseUrl::Sqlite(file.clone())).await.unwrap();
    store.migrate().await.unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
    let nowhere = DatabaseUrl::Sqlite(directory.path().join("nowhere/sluice.db"));
    let error = Store::connect(&nowhere).await.unwrap_err().to_string();
    assert!(error.contains("nowhere/sluice.db: No such file or directory"), "{error}");
}
