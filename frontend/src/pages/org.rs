//! People: users, teams, roles; and the tenants of the platform.

mod roles;
mod teams;
mod tenants;
mod users;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Redirect, Route};
use leptos_router::path;

use crate::components::{PageHead, TabLink, Tabs};
use crate::lazy::lazy_pages;
use crate::session::use_current;
use roles::Roles;
use teams::Teams;
use tenants::Tenants;
use users::Users;

lazy_pages!(operating/org: Frame, Users, Teams, Roles, Tenants);

#[component(transparent)]
pub fn OrgRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/org") view=lazy(Page::Frame)>
            <Route path=path!("") view=|| view! { <Redirect path="/org/users" /> } />
            <Route path=path!("users") view=lazy(Page::Users) />
            <Route path=path!("teams") view=lazy(Page::Teams) />
            <Route path=path!("roles") view=lazy(Page::Roles) />
            <Route path=path!("tenants") view=lazy(Page::Tenants) />
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
