//! What gateways hold of an API in memory now.

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::ids::ApiId;
use sluice_contract::rest::gateways::{Gateway, GatewayState};
use sluice_contract::rest::page::Page;

use crate::api;
use crate::components::{Bar, BarList, Panel, Skeleton};
use crate::format;
use crate::session::use_current;
use crate::state::remote;

/// By gateway, of those that are heard of.
#[component]
pub fn Held(api: ApiId) -> impl IntoView {
    let current = use_current();
    let gateways = remote(move || {
        let path = current.path("/gateways?limit=100");
        async move { api::get::<Page<Gateway>>(&path).await }
    })
    .every(Duration::from_secs(5));
    view! {
        <Panel title="Held in memory" note="By gateway, of those that are alive.">
            {gateways.live(Skeleton::Lines(2), move |page| view! { {move || page.with(|page| bars(&page.items, api))} })}
        </Panel>
    }
}

fn bars(gateways: &[Gateway], api: ApiId) -> AnyView {
    let alive = gateways.iter().filter(|it| matches!(it.state, GatewayState::Live | GatewayState::Behind));
    let bars: Vec<Bar> = alive.filter_map(|gateway| bar(gateway, api)).collect();
    if bars.is_empty() {
        return view! { <p class="secondary small">"No gateway holds anything of this API."</p> }.into_any();
    }
    view! { <BarList bars label="Held in memory by gateway" /> }.into_any()
}

fn bar(gateway: &Gateway, api: ApiId) -> Option<Bar> {
    let cache = gateway.health.as_ref()?.cache.as_ref()?;
    let held = cache.apis.iter().find(|held| held.api == api && held.entries > 0)?;
    Some(Bar {
        name: gateway.name.clone(),
        href: Some(format!("/gateways/{}", gateway.id)),
        value: held.bytes as f64,
        text: format!(
            "{} · {}",
            format::bytes(held.bytes),
            format::plural(held.entries as usize, "response", "responses")
        ),
    })
}
