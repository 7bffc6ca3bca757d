//! What runs here.

use leptos::prelude::*;
use sluice_contract::rest::settings::About;
use sluice_contract::rest::setup::DatabaseKind;

use crate::api;
use crate::components::{Crumb, Panel, Skeleton, set_page};
use crate::icons::{BOOK, Glyph};
use crate::state::remote;

#[component]
pub fn AboutTab() -> impl IntoView {
    set_page(|| vec![Crumb::link("Settings", "/settings"), Crumb::here("About")]);
    let about = remote(|| api::get::<About>("/about"));
    about.view(Skeleton::Lines(3), |about| {
        let database = match about.database {
            DatabaseKind::Sqlite => "SQLite, embedded: one machine, one control plane",
            DatabaseKind::Postgres => "Postgres",
        };
        let shape = if about.embedded { "Control plane and gateway in one process" } else { "Control plane" };
        view! {
            <div class="stack">
                <Panel title="This installation">
                    <dl class="facts">
                        <dt>"Version"</dt>
                        <dd>{about.version}</dd>
                        <dt>"Database"</dt>
                        <dd>{database}</dd>
                        <dt>"Runs as"</dt>
                        <dd>{shape}</dd>
                    </dl>
                </Panel>
                <Panel title="Admin API" note="Everything that the console does can be done by a script.">
                    <p class="row">
                        <a class="button" href="/api/docs" rel="external">
                            <Glyph icon=BOOK />
                            "API reference"
                        </a>
                        <a class="button" href="/api/openapi.json" rel="external">
                            "OpenAPI document"
                        </a>
                    </p>
                </Panel>
            </div>
        }
    })
}
