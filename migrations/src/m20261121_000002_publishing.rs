//! What is published and who may call it: APIs, revisions, releases, plans, applications, credentials, subscriptions.

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
            apis(),
            api_drafts(),
            revisions(),
            revision_definitions(),
            plans(),
            releases(),
            live_apis(),
            live_hosts(),
            applications(),
            credentials(),
            subscriptions(),
            purges(),
        ];
        let indexes = vec![
            index("apis_by_team", "apis", &["tenant_id", "team_id"]),
            index("releases_by_api", "releases", &["tenant_id", "api_id", "created_at"]),
            index("live_apis_by_api", "live_apis", &["tenant_id", "api_id"]),
            index("live_hosts_by_api", "live_hosts", &["environment_id", "api_id"]),
            index("applications_by_team", "applications", &["tenant_id", "team_id"]),
            index("applications_by_owner", "applications", &["tenant_id", "owner_id"]),
            index("credentials_by_application", "credentials", &["tenant_id", "application_id"]),
            index("subscriptions_by_application", "subscriptions", &["tenant_id", "application_id"]),
            index("subscriptions_by_api", "subscriptions", &["tenant_id", "api_id", "plan_id"]),
            index("subscriptions_by_state", "subscriptions", &["tenant_id", "state"]),
            index("purges_by_tenant", "purges", &["tenant_id", "created_at"]),
            index("purges_by_api", "purges", &["tenant_id", "api_id"]),
            one_subscription_at_a_time(),
        ];
        create_all(manager, tables, indexes).await
    }
}

fn apis() -> TableCreateStatement {
    Table::create()
        .table("apis")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid_null("team_id"))
        .col(string("slug"))
        .col(string("name"))
        .col(text("description"))
        .col(boolean("listed"))
        .col(integer("routes"))
        .col(string_len("draft_hash", 64))
        .col(version())
        .col(created_at())
        .col(timestamp_with_time_zone("updated_at"))
        .index(&mut unique("apis_in_tenant", &["tenant_id", "id"]))
        .index(&mut unique("apis_slug", &["tenant_id", "slug"]))
        .foreign_key(&mut tenant_owned())
        .foreign_key(&mut team_owned())
        .take()
}

/// What is being edited, apart from its API: a definition can have megabytes and lists never need it.
fn api_drafts() -> TableCreateStatement {
    Table::create()
        .table("api_drafts")
        .col(uuid("tenant_id"))
        .col(pk_uuid("api_id"))
        .col(json_binary("definition"))
        .foreign_key(&mut of_api())
        .take()
}

/// Immutable copies of drafts. `hash` is that of the definition's canonical bytes, as on the draft.
fn revisions() -> TableCreateStatement {
    Table::create()
        .table("revisions")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("api_id"))
        .col(integer("number"))
        .col(string_len("hash", 64))
        .col(text("note"))
        .col(string("created_by"))
        .col(created_at())
        .index(&mut unique("revisions_in_tenant", &["tenant_id", "id"]))
        .index(&mut unique("revisions_number", &["tenant_id", "api_id", "number"]))
        .foreign_key(&mut of_api())
        .take()
}

/// Apart from the revisions for the same reason as drafts.
fn revision_definitions() -> TableCreateStatement {
    Table::create()
        .table("revision_definitions")
        .col(uuid("tenant_id"))
        .col(pk_uuid("revision_id"))
        .col(json_binary("definition"))
        .foreign_key(&mut refers(
            &["tenant_id", "revision_id"],
            "revisions",
            &["tenant_id", "id"],
            ForeignKeyAction::Cascade,
        ))
        .take()
}

fn plans() -> TableCreateStatement {
    Table::create()
        .table("plans")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("api_id"))
        .col(string("name"))
        .col(text("description"))
        .col(string("approval"))
        .col(json_binary("policies"))
        .col(boolean("closed"))
        .col(version())
        .col(created_at())
        .index(&mut unique("plans_of_api", &["tenant_id", "api_id", "id"]))
        .index(&mut unique("plans_name", &["api_id", "name"]))
        .foreign_key(&mut of_api())
        .take()
}

/// Acts of putting a revision into an environment. Without a revision: the API was withdrawn.
fn releases() -> TableCreateStatement {
    Table::create()
        .table("releases")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("api_id"))
        .col(uuid("environment_id"))
        .col(integer_null("revision"))
        .col(integer_null("replaces"))
        .col(boolean("rollback"))
        .col(string_len_null("part_hash", 64))
        .col(big_integer("position"))
        .col(string("created_by"))
        .col(created_at())
        .foreign_key(&mut of_api())
        .foreign_key(&mut of_revision())
        .foreign_key(&mut in_environment())
        .take()
}

/// What each environment serves now.
fn live_apis() -> TableCreateStatement {
    Table::create()
        .table("live_apis")
        .col(uuid("environment_id"))
        .col(uuid("api_id"))
        .col(uuid("tenant_id"))
        .col(uuid("release_id"))
        .col(integer("revision"))
        .primary_key(&mut primary_key(&["environment_id", "api_id"]))
        .foreign_key(&mut of_api())
        .foreign_key(&mut of_revision())
        .foreign_key(&mut in_environment())
        .foreign_key(&mut refers(&["release_id"], "releases", &["id"], ForeignKeyAction::Cascade))
        .take()
}

/// A host answers for one API of an environment, whoever's it is.
fn live_hosts() -> TableCreateStatement {
    Table::create()
        .table("live_hosts")
        .col(uuid("environment_id"))
        .col(string("host"))
        .col(uuid("api_id"))
        .primary_key(&mut primary_key(&["environment_id", "host"]))
        .foreign_key(&mut refers(
            &["environment_id", "api_id"],
            "live_apis",
            &["environment_id", "api_id"],
            ForeignKeyAction::Cascade,
        ))
        .take()
}

/// Consumers. One without owner was made by a token, or outlived the account of the person who made it.
fn applications() -> TableCreateStatement {
    applications_table("applications", refers(&["owner_id"], "users", &["id"], ForeignKeyAction::SetNull))
}

/// Keys. Only the SHA-256 is kept; `revoked_position` is where the journal says so.
fn credentials() -> TableCreateStatement {
    Table::create()
        .table("credentials")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("application_id"))
        .col(uuid("environment_id"))
        .col(string("name"))
        .col(string("prefix"))
        .col(string_len_uniq("hash", 64))
        .col(string("created_by"))
        .col(created_at())
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .col(big_integer_null("revoked_position"))
        .foreign_key(&mut of_application())
        .foreign_key(&mut in_environment())
        .take()
}

fn subscriptions() -> TableCreateStatement {
    Table::create()
        .table("subscriptions")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("application_id"))
        .col(uuid("api_id"))
        .col(uuid("plan_id"))
        .col(string("state"))
        .col(text("message"))
        .col(text("reason"))
        .col(string("requested_by"))
        .col(string_null("decided_by"))
        .col(version())
        .col(created_at())
        .col(timestamp_with_time_zone_null("decided_at"))
        .foreign_key(&mut of_application())
        .foreign_key(&mut of_api())
        .foreign_key(&mut refers(
            &["tenant_id", "api_id", "plan_id"],
            "plans",
            &["tenant_id", "api_id", "id"],
            ForeignKeyAction::NoAction,
        ))
        .take()
}

/// An application has at most one subscription to an API that is open or in force; older ones stay as history.
fn one_subscription_at_a_time() -> IndexCreateStatement {
    Index::create()
        .name("subscriptions_one_at_a_time")
        .table("subscriptions")
        .col("application_id")
        .col("api_id")
        .unique()
        .cond_where(Expr::col("state").is_in(["pending", "approved", "suspended"]))
        .take()
}

fn purges() -> TableCreateStatement {
    Table::create()
        .table("purges")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("environment_id"))
        .col(uuid("api_id"))
        .col(json_binary("scope"))
        .col(big_integer("position"))
        .col(string("created_by"))
        .col(created_at())
        .foreign_key(&mut of_api())
        .foreign_key(&mut in_environment())
        .take()
}

fn of_api() -> ForeignKeyCreateStatement {
    refers(&["tenant_id", "api_id"], "apis", &["tenant_id", "id"], ForeignKeyAction::Cascade)
}

fn of_revision() -> ForeignKeyCreateStatement {
    refers(
        &["tenant_id", "api_id", "revision"],
        "revisions",
        &["tenant_id", "api_id", "number"],
        ForeignKeyAction::NoAction,
    )
}

fn of_application() -> ForeignKeyCreateStatement {
    refers(&["tenant_id", "application_id"], "applications", &["tenant_id", "id"], ForeignKeyAction::Cascade)
}

fn in_environment() -> ForeignKeyCreateStatement {
    refers(&["environment_id"], "environments", &["id"], ForeignKeyAction::Restrict)
}
