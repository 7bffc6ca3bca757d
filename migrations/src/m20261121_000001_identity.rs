//! Who there is: tenants, users and what they may do, sessions, tokens; environments; settings; the audit log.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::tools::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![
            tenants(),
            users(),
            memberships(),
            teams(),
            team_members(),
            environments(),
            sessions(),
            api_tokens(),
            one_time_tokens(),
            settings(),
            secrets(),
            audit(),
        ];
        let indexes = vec![
            index("memberships_by_user", "memberships", &["user_id"]),
            index("team_members_by_user", "team_members", &["tenant_id", "user_id"]),
            index("sessions_by_user", "sessions", &["user_id"]),
            index("sessions_by_last_seen", "sessions", &["last_seen_at"]),
            index("audit_by_tenant", "audit", &["tenant_id", "at", "id"]),
            index("audit_by_resource", "audit", &["tenant_id", "resource", "resource_id", "at"]),
            index("audit_by_time", "audit", &["at"]),
        ];
        create_all(manager, tables, indexes).await
    }
}

fn tenants() -> TableCreateStatement {
    Table::create()
        .table("tenants")
        .col(pk_uuid("id"))
        .col(string_uniq("slug"))
        .col(string("name"))
        .col(version())
        .col(created_at())
        .take()
}

/// People. The e-mail is kept in lower case; no password hash means that the invitation is still open.
fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(pk_uuid("id"))
        .col(string_uniq("email"))
        .col(string("name"))
        .col(text_null("password_hash"))
        .col(boolean("platform_admin"))
        .col(timestamp_with_time_zone_null("last_sign_in_at"))
        .col(created_at())
        .take()
}

/// What a person may do in a tenant: a JSON list of roles. Disabled ones may do nothing there.
fn memberships() -> TableCreateStatement {
    Table::create()
        .table("memberships")
        .col(uuid("tenant_id"))
        .col(uuid("user_id"))
        .col(json_binary("roles"))
        .col(boolean("disabled"))
        .col(version())
        .col(created_at())
        .primary_key(&mut primary_key(&["tenant_id", "user_id"]))
        .foreign_key(&mut tenant_owned())
        .foreign_key(&mut refers(&["user_id"], "users", &["id"], ForeignKeyAction::Cascade))
        .take()
}

fn teams() -> TableCreateStatement {
    Table::create()
        .table("teams")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(string("name"))
        .col(version())
        .col(created_at())
        .index(&mut unique("teams_in_tenant", &["tenant_id", "id"]))
        .index(&mut unique("teams_name", &["tenant_id", "name"]))
        .foreign_key(&mut tenant_owned())
        .take()
}

/// Team and member are of the same tenant because both keys carry it.
fn team_members() -> TableCreateStatement {
    Table::create()
        .table("team_members")
        .col(uuid("tenant_id"))
        .col(uuid("team_id"))
        .col(uuid("user_id"))
        .primary_key(&mut primary_key(&["team_id", "user_id"]))
        .foreign_key(&mut refers(
            &["tenant_id", "team_id"],
            "teams",
            &["tenant_id", "id"],
            ForeignKeyAction::Cascade,
        ))
        .foreign_key(&mut refers(
            &["tenant_id", "user_id"],
            "memberships",
            &["tenant_id", "user_id"],
            ForeignKeyAction::Cascade,
        ))
        .take()
}

fn environments() -> TableCreateStatement {
    Table::create()
        .table("environments")
        .col(pk_uuid("id"))
        .col(string_uniq("slug"))
        .col(string("name"))
        .col(uuid_null("dedicated_to"))
        .col(json_binary("settings"))
        .col(version())
        .col(created_at())
        .foreign_key(&mut refers(&["dedicated_to"], "tenants", &["id"], ForeignKeyAction::Restrict))
        .take()
}

/// Sessions of the console; the key is the SHA-256 of the cookie's value, so that the table opens no door.
fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(string("hash").primary_key())
        .col(uuid_null("user_id"))
        .col(json_binary("data"))
        .col(created_at())
        .col(timestamp_with_time_zone("last_seen_at"))
        .foreign_key(&mut refers(&["user_id"], "users", &["id"], ForeignKeyAction::Cascade))
        .take()
}

/// Tokens for automation, each of one tenant.
fn api_tokens() -> TableCreateStatement {
    Table::create()
        .table("api_tokens")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(string("name"))
        .col(string_uniq("hash"))
        .col(string("prefix"))
        .col(json_binary("permissions"))
        .col(string("created_by"))
        .col(created_at())
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone_null("last_used_at"))
        .index(&mut unique("api_tokens_name", &["tenant_id", "name"]))
        .foreign_key(&mut tenant_owned())
        .take()
}

/// Links that work once: to set the installation up (`purpose` `setup`, no user), or to choose a password (`invitation`).
fn one_time_tokens() -> TableCreateStatement {
    Table::create()
        .table("one_time_tokens")
        .col(string("hash").primary_key())
        .col(string("purpose"))
        .col(uuid_null("user_id"))
        .col(created_at())
        .col(timestamp_with_time_zone("expires_at"))
        .foreign_key(&mut refers(&["user_id"], "users", &["id"], ForeignKeyAction::Cascade))
        .take()
}

/// One row: the settings of the platform.
fn settings() -> TableCreateStatement {
    Table::create()
        .table("settings")
        .col(integer("id").primary_key())
        .col(json_binary("value"))
        .col(version())
        .take()
}

/// Sealed secrets (the link's TLS key, the key that signs access tokens, ...) by scope and name.
fn secrets() -> TableCreateStatement {
    Table::create()
        .table("secrets")
        .col(string("scope"))
        .col(string("name"))
        .col(text("sealed"))
        .col(created_at())
        .primary_key(&mut primary_key(&["scope", "name"]))
        .take()
}

/// Every change. It outlives what it is about, so it refers to nothing.
fn audit() -> TableCreateStatement {
    Table::create()
        .table("audit")
        .col(pk_uuid("id"))
        .col(uuid_null("tenant_id"))
        .col(timestamp_with_time_zone("at"))
        .col(string("actor"))
        .col(string_null("address"))
        .col(string("action"))
        .col(string("resource"))
        .col(string("resource_id"))
        .col(string("resource_name"))
        .col(json_binary("changes"))
        .col(string_null("request_id"))
        .take()
}
