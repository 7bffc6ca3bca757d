//! The memory of a gateway's cache: how full it is, whose it is, and why responses left it.

use leptos::prelude::*;
use sluice_contract::link::{CacheArriving, CacheEvictions, CacheHealth, CacheUse};

use crate::components::{Badge, Bar, BarList, Panel, Stat};
use crate::format;

/// `bytes` and `entries` are those of all tenants, the APIs those of one.
pub(super) fn memory(cache: Option<CacheHealth>, bytes: u64, entries: u64) -> impl IntoView {
    let Some(cache) = cache else {
        return view! {
            <Panel title="Memory of the cache">
                <p class="secondary small">"This gateway is of a version that does not say."</p>
            </Panel>
        }
        .into_any();
    };
    let CacheHealth { capacity_bytes, eviction, api_share, tenant_share, evictions, arriving, apis } = cache;
    let CacheArriving { bytes: arriving, max_bytes, crowded_out } = arriving;
    let filled = format::share(bytes, capacity_bytes).unwrap_or_else(|| "–".to_owned());
    let of = format!("{} of {}", format::bytes(bytes), format::bytes(capacity_bytes));
    let note =
        format!("While room is short, an API may hold {api_share} % of it and a tenant {tenant_share} %.");
    let CacheEvictions { size, age, api_share, tenant_share, replaced, purged } = evictions;
    view! {
        <Panel title="Memory of the cache" note actions=move || view! { <Badge text=eviction /> }>
            <div class="stack">
                <div class="stats">
                    {stat("Filled", filled, of)}
                    {stat("Responses", format::count(entries), "of all tenants".to_owned())}
                    {stat(
                        "On their way in",
                        format::bytes(arriving),
                        format!("of {}; {} not stored for want of it", format::bytes(max_bytes), format::grouped(crowded_out)),
                    )}
                    {stat("Left for want of room", format::count(size), "since it started".to_owned())}
                    {stat(
                        "Left for a share",
                        format::count(api_share + tenant_share),
                        format!("{} of an API, {} of a tenant", format::grouped(api_share), format::grouped(tenant_share)),
                    )}
                    {stat(
                        "Left otherwise",
                        format::count(age + replaced + purged),
                        format!(
                            "{} too old, {} replaced, {} purged",
                            format::grouped(age),
                            format::grouped(replaced),
                            format::grouped(purged),
                        ),
                    )}
                </div>
                <div class="stack" data-gap="2">
                    <h3>"Held for this tenant's APIs"</h3>
                    {held(apis)}
                </div>
            </div>
        </Panel>
    }
    .into_any()
}

fn held(mut apis: Vec<CacheUse>) -> AnyView {
    apis.retain(|held| held.entries > 0);
    if apis.is_empty() {
        return view! { <p class="secondary small">"Nothing at the moment."</p> }.into_any();
    }
    let bar = |CacheUse { api, slug, tenant: _, entries, bytes, evictions: _ }| Bar {
        name: slug,
        href: Some(format!("/apis/{api}/cache")),
        value: bytes as f64,
        text: format!(
            "{} · {}",
            format::bytes(bytes),
            format::plural(entries as usize, "response", "responses")
        ),
    };
    let bars = apis.into_iter().map(bar).collect();
    view! { <BarList bars label="Held for this tenant's APIs" /> }.into_any()
}

fn stat(label: &'static str, value: String, note: String) -> impl IntoView {
    view! { <Stat label value=Signal::stored(value) note=Signal::stored(note) /> }
}
