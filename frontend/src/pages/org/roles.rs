//! What each role may do, in words.

use leptos::prelude::*;
use sluice_contract::rest::users::Role;

use crate::components::{Crumb, Panel, set_page};

/// Every role that can be given in a tenant, most powerful first.
pub(super) const ROLES: [Role; 5] =
    [Role::TenantAdmin, Role::Publisher, Role::Approver, Role::Consumer, Role::Viewer];

pub(super) fn title(role: Role) -> &'static str {
    match role {
        Role::TenantAdmin => "Administrator",
        Role::Publisher => "Publisher",
        Role::Approver => "Approver",
        Role::Consumer => "Consumer",
        Role::Viewer => "Viewer",
    }
}

fn note(role: Role) -> &'static str {
    match role {
        Role::TenantAdmin => {
            "Everything in this tenant: users, teams, tokens, and what all other roles may do."
        }
        Role::Publisher => "Creates and edits APIs, plans and policies; releases, rolls back and purges.",
        Role::Approver => "Decides who may subscribe to an API.",
        Role::Consumer => "Owns applications and their keys, browses the catalogue, asks for subscriptions.",
        Role::Viewer => "Reads APIs, applications, calls and analytics, and changes nothing.",
    }
}

#[component]
pub fn Roles() -> impl IntoView {
    set_page(|| vec![Crumb::link("Users & teams", "/org/users"), Crumb::here("Roles")]);
    let rows = ROLES.map(|role| view! { <dt>{title(role)}</dt><dd>{note(role)}</dd> });
    view! {
        <Panel title="Roles" note="A person may have several.">
            <dl class="facts">
                {rows.collect_view()} <dt>"Platform administrator"</dt>
                <dd>"Tenants, environments, gateways and platform settings, beside every tenant."</dd>
            </dl>
        </Panel>
    }
}
