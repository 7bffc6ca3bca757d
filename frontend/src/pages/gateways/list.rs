//! All gateways of the environments that the tenant may use.

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::rest::gateways::Gateway;

use super::state_badge;
use crate::components::{
    Ago, Badge, Column, Crumb, DataTable, EmptyState, Kind, LinkButton, PageHead, Tone, set_page,
};
use crate::format;
use crate::icons::{PLUS, SERVER};
use crate::session::use_current;
use crate::state::{paged, url_text};

#[component]
pub fn GatewayList() -> impl IntoView {
    set_page(|| vec![Crumb::here("Gateways")]);
    let current = use_current();
    let sort = url_text("sort");
    let list = paged::<Gateway>(move || {
        current.path(&format!("/gateways{}", format::query(&[("sort", sort.get())])))
    })
    .every(Duration::from_secs(5));
    view! {
        <PageHead
            title=Signal::stored("Gateways".to_owned())
            note=Signal::stored(
                "Workers of the data plane. Each applies the journal of its environment and reports how far it is.".to_owned(),
            )
        >
            <Show when=move || current.is_platform_admin()>
                <LinkButton href="/gateways/enrolment" kind=Kind::Primary icon=PLUS>
                    "Add gateways"
                </LinkButton>
            </Show>
        </PageHead>
        <DataTable
            label="Gateways"
            columns=columns()
            list
            sort
            href=|gateway: &Gateway| format!("/gateways/{}", gateway.id)
            empty=no_gateways
        />
    }
}

fn columns() -> Vec<Column<Gateway>> {
    vec![
        Column::new("Name", |gateway: &Gateway| gateway.name.clone()).sort("name"),
        Column::new("State", |gateway: &Gateway| state_badge(gateway.state)),
        Column::new("Environment", |gateway: &Gateway| gateway.environment_slug.clone()),
        Column::new("Region", |gateway: &Gateway| gateway.region.clone().unwrap_or_else(|| "–".to_owned())),
        Column::new("Applied", applied),
        Column::new("Version", |gateway: &Gateway| gateway.version.clone()),
        Column::new("Memory", |gateway: &Gateway| {
            gateway
                .health
                .as_ref()
                .map_or_else(|| "–".to_owned(), |health| format::bytes(health.memory_bytes))
        })
        .end(),
        Column::new("Heard of", |gateway: &Gateway| gateway.last_seen_at.map(|at| view! { <Ago at /> })),
    ]
}

fn applied(gateway: &Gateway) -> AnyView {
    let behind = gateway.head.saturating_sub(gateway.applied);
    let text = format!("{} of {}", gateway.applied, gateway.head);
    if !gateway.failed_parts.is_empty() {
        let text = format::plural(gateway.failed_parts.len(), "part failed", "parts failed");
        return view! { <Badge tone=Tone::Bad text /> }.into_any();
    }
    let class = if behind > 0 { "num tone-warn" } else { "num" };
    view! { <span class=class>{text}</span> }.into_any()
}

fn no_gateways() -> impl IntoView {
    view! {
        <EmptyState
            icon=SERVER
            title="No gateway yet"
            note="APIs can be released all the same: the release waits until a gateway joins. A platform administrator adds gateways with an enrolment token."
        />
    }
}
