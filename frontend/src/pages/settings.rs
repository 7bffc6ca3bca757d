//! Settings: one's account, tokens, environments, the platform, and what runs here.

mod about;
mod account;
mod environment;
mod environments;
mod platform;
mod tokens;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Redirect, Route};
use leptos_router::path;
use sluice_contract::rest::session::Permission;

use crate::components::{PageHead, TabLink, Tabs};
use crate::lazy::lazy_pages;
use crate::session::use_current;
use about::AboutTab;
use account::Account;
use environment::EnvironmentDetail;
use environments::Environments;
use platform::Platform;
use tokens::Tokens;

lazy_pages!(publishing/settings: Frame, Account, Tokens, Environments, EnvironmentDetail, Platform, AboutTab);

#[component(transparent)]
pub fn SettingsRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/settings") view=lazy(Page::Frame)>
            <Route path=path!("") view=|| view! { <Redirect path="/settings/account" /> } />
            <Route path=path!("account") view=lazy(Page::Account) />
            <Route path=path!("tokens") view=lazy(Page::Tokens) />
            <Route path=path!("environments") view=lazy(Page::Environments) />
            <Route path=path!("environments/:id") view=lazy(Page::EnvironmentDetail) />
            <Route path=path!("platform") view=lazy(Page::Platform) />
            <Route path=path!("about") view=lazy(Page::AboutTab) />
        </ParentRoute>
    }
    .into_inner()
}

#[component]
fn Frame() -> impl IntoView {
    let current = use_current();
    let tabs = move || {
        let mut tabs = vec![TabLink::new("Account", "/settings/account")];
        if current.can(Permission::ManageTenant) {
            tabs.push(TabLink::new("Tokens", "/settings/tokens"));
        }
        if current.is_platform_admin() {
            tabs.push(TabLink::new("Environments", "/settings/environments").and_below());
            tabs.push(TabLink::new("Platform", "/settings/platform"));
        }
        tabs.push(TabLink::new("About", "/settings/about"));
        view! { <Tabs label="Settings" tabs /> }
    };
    view! {
        <PageHead title=Signal::stored("Settings".to_owned()) />
        {tabs}
        <Outlet />
    }
}
