//! The fleet: who is alive, how far each gateway is, and how new ones join.

mod detail;
mod enrolment;
mod list;
mod memory;
mod over_time;
mod second_level;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Route};
use leptos_router::path;
use sluice_contract::rest::gateways::GatewayState;

use crate::components::{Badge, Tone};
use crate::lazy::lazy_pages;
use detail::GatewayDetail;
use enrolment::Enrolment;
use list::GatewayList;

lazy_pages!(operating/gateways: GatewayList, Enrolment, GatewayDetail);

#[component(transparent)]
pub fn GatewaysRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/gateways") view=Outlet>
            <Route path=path!("") view=lazy(Page::GatewayList) />
            <Route path=path!("enrolment") view=lazy(Page::Enrolment) />
            <Route path=path!(":id") view=lazy(Page::GatewayDetail) />
        </ParentRoute>
    }
    .into_inner()
}

fn state_badge(state: GatewayState) -> AnyView {
    let (tone, text, live) = match state {
        GatewayState::Live => (Tone::Ok, "live", true),
        GatewayState::Behind => (Tone::Warn, "behind", true),
        GatewayState::Silent => (Tone::Bad, "silent", false),
        GatewayState::Removed => (Tone::Idle, "removed", false),
    };
    view! { <Badge tone text dot=true live=live /> }.into_any()
}
