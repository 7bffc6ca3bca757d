//! The application: every page of the console by its address, and what all pages share.

use leptos::prelude::*;
use leptos_router::components::{ParentRoute, Route, Router, Routes};
use leptos_router::path;

use crate::api;
use crate::components::{Crumb, EmptyState, LinkButton, PageHead, ToastRegion, Toasts, set_page};
use crate::format::query_value;
use crate::icons::HELP;
use crate::pages::analytics::AnalyticsRoutes;
use crate::pages::apis::ApisRoutes;
use crate::pages::applications::ApplicationsRoutes;
use crate::pages::approvals::ApprovalsRoutes;
use crate::pages::audit::AuditRoutes;
use crate::pages::calls::CallsRoutes;
use crate::pages::catalogue::CatalogueRoutes;
use crate::pages::gateways::GatewaysRoutes;
use crate::pages::org::OrgRoutes;
use crate::pages::overview::Overview;
use crate::pages::settings::SettingsRoutes;
use crate::pages::setup::Setup;
use crate::pages::sign_in::SignIn;
use crate::pages::welcome::Welcome;
use crate::session::Current;
use crate::shell::Shell;
use crate::state::go_replacing;

#[component]
pub fn App() -> impl IntoView {
    Current::provide();
    Toasts::provide();
    view! {
        <Router>
            <SignedOutRedirect />
            <Routes fallback=|| view! { <NotFound /> }>
                <Route path=path!("/login") view=SignIn />
                <Route path=path!("/setup") view=Setup />
                <Route path=path!("/welcome") view=Welcome />
                <ParentRoute path=path!("") view=Shell>
                    <Route path=path!("/") view=Overview />
                    <ApisRoutes />
                    <CatalogueRoutes />
                    <ApprovalsRoutes />
                    <ApplicationsRoutes />
                    <AnalyticsRoutes />
                    <CallsRoutes />
                    <GatewaysRoutes />
                    <OrgRoutes />
                    <AuditRoutes />
                    <SettingsRoutes />
                    <Route path=path!("/*any") view=NotFound />
                </ParentRoute>
            </Routes>
        </Router>
        <ToastRegion />
    }
}

/// Leads to the sign-in page when a session ends, and back afterwards.
#[component]
fn SignedOutRedirect() -> impl IntoView {
    let current = crate::session::use_current();
    let go = go_replacing();
    api::on_signed_out(move || {
        if untrack(|| current.is_signed_in()) {
            current.sign_out();
            go.run(sign_in_path());
        }
    });
}

/// The sign-in page, and where to go from there.
pub fn sign_in_path() -> String {
    let location = window().location();
    let path = location.pathname().unwrap_or_default() + &location.search().unwrap_or_default();
    if path == "/" { "/login".to_owned() } else { format!("/login?next={}", query_value(&path)) }
}

#[component]
fn NotFound() -> impl IntoView {
    set_page(|| vec![Crumb::here("Not found")]);
    view! {
        <PageHead title=Signal::stored("Not found".to_owned()) />
        <EmptyState
            icon=HELP
            title="There is no such page"
            note="The address may be mistyped, or what it led to was removed."
        >
            <LinkButton href="/">"Go to the overview"</LinkButton>
        </EmptyState>
    }
}
