//! People: users, teams, roles; and the tenants of the platform.

mod roles;
mod teams;
mod tenants;
mod users;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Redirect, Route};
use leptos_router::path;

use crate::components::{PageHead, TabLink, Tabs};
use crate::session::use_current;
use roles::Roles;
use teams::Teams;
use tenants::Tenants;
use users::Users;

#[component(transparent)]
pub fn OrgRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/org") view=Frame>
            <Route path=path!("") view=|| view! { <Redirect path="/org/users" /> } />
            <Route path=path!("users") view=Users />
            <Route path=path!("teams") view=Teams />
            <Route path=path!("roles") view=Roles />
            <Route path=path!("tenants") view=Tenants />
        </ParentRoute>
    }
    .into_inner()
}

#[component]
fn Frame() -> impl IntoView {
    let current = use_current();
    let tabs = move || {
        let mut tabs = vec![
            TabLink::new("Users", "/org/users"),
            TabLink::new("Teams", "/org/teams"),
            TabLink::new("Roles", "/org/roles"),
        ];
        if current.is_platform_admin() {
            tabs.push(TabLink::new("Tenants", "/org/tenants"));
        }
        view! { <Tabs label="Users and teams" tabs /> }
    };
    view! {
        <PageHead
            title=Signal::stored("Users & teams".to_owned())
            note=Signal::stored("Who belongs to this tenant, and what each may do.".to_owned())
        />
        {tabs}
        <Outlet />
    }
}
