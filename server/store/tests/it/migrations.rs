//! Migrations: only forward (going back is a backup's business), by several control planes at once, and again.

use sea_orm::{EntityTrait, Set, SqlErr};
use sea_orm_migration::MigratorTrait;
use sluice_entity::{applications, credentials, environments, memberships, tenants, users as user_rows};
use sluice_migrations::Migrator;
use sluice_store::{Store, users};
use uuid::Uuid;

use crate::databases::on_each_empty;

#[tokio::test]
async fn control_planes_that_start_at_once_migrate_once() {
    on_each_empty(|store| async move {
        let other = Store::connect(store.url()).await.unwrap();
        let (one, two) = tokio::join!(store.migrate(), other.migrate());
        one.unwrap();
        two.unwrap();
        assert!(!users::any_account(other.read()).await.unwrap());
        other.close().await.unwrap();
    })
    .await;
}

/// Migrations before the one that made owners members.
const BEFORE_OWNERS: u32 = 3;

struct Old {
    tenant: Uuid,
    member: Uuid,
    stranger: Uuid,
    applications: [Uuid; 2],
}

/// A tenant with an application of a member and one of a stranger, each with a key.
async fn fill(store: &Store) -> Old {
    let [tenant, member, stranger, environment, one, two] = [(); 6].map(|()| Uuid::now_v7());
    let (db, now) = (store.read(), sluice_store::now());
    let row = tenants::ActiveModel {
        id: Set(tenant),
        slug: Set("acme".to_owned()),
        name: Set("Acme".to_owned()),
        version: Set(1),
        created_at: Set(now),
    };
    tenants::Entity::insert(row).exec_without_returning(db).await.unwrap();
    let row = environments::ActiveModel {
        id: Set(environment),
        slug: Set("production".to_owned()),
        name: Set("Production".to_owned()),
        dedicated_to: Set(None),
        settings: Set(serde_json::json!({})),
        version: Set(1),
        created_at: Set(now),
    };
    environments::Entity::insert(row).exec_without_returning(db).await.unwrap();
    for user in [member, stranger] {
        let row = user_rows::ActiveModel {
            id: Set(user),
            email: Set(format!("{user}@example.com")),
            name: Set("Somebody".to_owned()),
            password_hash: Set(None),
            platform_admin: Set(false),
            last_sign_in_at: Set(None),
            created_at: Set(now),
        };
        user_rows::Entity::insert(row).exec_without_returning(db).await.unwrap();
    }
    let row = memberships::ActiveModel {
        tenant_id: Set(tenant),
        user_id: Set(member),
        roles: Set(serde_json::json!(["consumer"])),
        disabled: Set(false),
        version: Set(1),
        created_at: Set(now),
    };
    memberships::Entity::insert(row).exec_without_returning(db).await.unwrap();
    for (application, owner) in [(one, member), (two, stranger)] {
        let row = application_row(tenant, application, owner);
        applications::Entity::insert(row).exec_without_returning(db).await.unwrap();
        let row = credentials::ActiveModel {
            id: Set(Uuid::now_v7()),
            tenant_id: Set(tenant),
            application_id: Set(application),
            environment_id: Set(environment),
            name: Set("key".to_owned()),
            prefix: Set("slk_".to_owned()),
            hash: Set(format!("{:064x}", application.as_u128())),
            created_by: Set("somebody".to_owned()),
            created_at: Set(now),
            expires_at: Set(None),
            revoked_at: Set(None),
            revoked_position: Set(None),
        };
        credentials::Entity::insert(row).exec_without_returning(db).await.unwrap();
    }
    Old { tenant, member, stranger, applications: [one, two] }
}

fn application_row(tenant: Uuid, id: Uuid, owner: Uuid) -> applications::ActiveModel {
    applications::ActiveModel {
        id: Set(id),
        tenant_id: Set(tenant),
        owner_id: Set(Some(owner)),
        team_id: Set(None),
        name: Set(id.to_string()),
        description: Set("of old".to_owned()),
        policies: Set(serde_json::json!([])),
        version: Set(7),
        created_at: Set(sluice_store::now()),
    }
}

#[tokio::test]
async fn applications_of_before_keep_their_keys_and_the_owners_who_are_members() {
    on_each_empty(|store| async move {
        Migrator::up(store.read(), Some(BEFORE_OWNERS)).await.unwrap();
        let old = fill(&store).await;
        store.migrate().await.unwrap();
        store.migrate().await.unwrap();

        let db = store.read();
        let owner = async |id| applications::Entity::find_by_id(id).one(db).await.unwrap().unwrap().owner_id;
        assert_eq!(owner(old.applications[0]).await, Some(old.member));
        assert_eq!(owner(old.applications[1]).await, None);
        assert_eq!(credentials::Entity::find().all(db).await.unwrap().len(), 2, "no key went");

        // The schema holds from now on: no stranger owns, no owner goes, nothing loses its references.
        let refused = async |error: sea_orm::DbErr| {
            assert!(matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_))), "{error:?}");
        };
        let row = application_row(old.tenant, Uuid::now_v7(), old.stranger);
        refused(applications::Entity::insert(row).exec_without_returning(db).await.unwrap_err()).await;
        let member = memberships::Entity::delete_by_id((old.tenant, old.member));
        refused(member.exec(db).await.unwrap_err()).await;
        applications::Entity::delete_by_id(old.applications[1]).exec(db).await.unwrap();
        assert_eq!(credentials::Entity::find().all(db).await.unwrap().len(), 1, "its key went with it");
    })
    .await;
}
