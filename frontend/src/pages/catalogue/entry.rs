//! One API as its consumers read it: operations by tag, plans, how to call it.

use std::collections::BTreeMap;

use leptos::prelude::*;
use sluice_contract::definition::Access;
use sluice_contract::rest::catalogue::{CatalogueEntry, CatalogueRoute};
use sluice_contract::rest::plans::{Approval, Plan};
use sluice_contract::rest::session::Permission;

use super::found::Found;
use super::subscribe::Subscribe;
use crate::components::{
    Badge, Button, CodeBlock, EmptyState, Kind, LinkButton, MethodTag, PageHead, Panel, SearchField, Tone,
};
use crate::icons::{DOWNLOAD, Glyph, ROCKET, TAG};
use crate::session::use_current;
use crate::state::url_text;

/// Operations that are drawn at once; the rest is found by searching.
const SHOWN: usize = 200;

#[component]
pub fn Entry() -> impl IntoView {
    view! { <Found draw=|entry| view! { <Body entry /> }.into_any() /> }
}

#[component]
fn Body(entry: CatalogueEntry) -> impl IntoView {
    let current = use_current();
    let CatalogueEntry { api, base_path, hosts: _, revision, routes, releases: _, plans } = entry;
    let document = untrack(|| current.path(&format!("/catalogue/{}/openapi.json", api.id)));
    let sample = routes.iter().find(|route| route.methods.is_empty() || route.methods[0] == "GET");
    let path = sample.or(routes.first()).map(|route| route.path.clone()).unwrap_or_default();
    let curl = format!("curl -H 'X-API-Key: <key>' 'http://<gateway>{base_path}{path}'");
    view! {
        <PageHead
            title=Signal::stored(api.name.clone())
            note=Signal::stored(api.description.clone())
            aside=move || view! { <Badge tone=Tone::Ok text=format!("revision {revision}") /> }
        >
            <a class="button" href=format!("/api/v1{document}") download="openapi.json">
                <Glyph icon=DOWNLOAD />
                "OpenAPI document"
            </a>
            <LinkButton href=format!("/catalogue/{}/try", api.id) icon=ROCKET>
                "Try it"
            </LinkButton>
        </PageHead>
        <div class="stack">
            <Plans api=api.id api_name=api.name plans />
            <Panel title="How to call it">
                <CodeBlock title="curl" text=Signal::stored(curl) wrap=true />
            </Panel>
            <Operations routes />
        </div>
    }
}

#[component]
fn Plans(api: sluice_contract::ids::ApiId, api_name: String, plans: Vec<Plan>) -> impl IntoView {
    let current = use_current();
    let chosen = RwSignal::new(None::<Plan>);
    let may_subscribe = current.can(Permission::ManageApplications);
    let none = plans.is_empty().then(|| {
        view! {
            <EmptyState icon=TAG title="No open plan" note="Its publisher takes no subscriptions at the moment." />
        }
    });
    let rows = plans.into_iter().map(move |plan| {
        let mine = plan.clone();
        let approval = match plan.approval {
            Approval::Automatic => "approved at once",
            Approval::Manual => "a person approves",
        };
        let button = may_subscribe.then(|| {
            view! {
                <Button
                    kind=Kind::Primary
                    size="sm"
                    label=format!("Subscribe to {}", plan.name)
                    on_click=move |()| chosen.set(Some(mine.clone()))
                >
                    "Subscribe"
                </Button>
            }
        });
        view! {
            <div class="list-row">
                <span class="stack grow" data-gap="0">
                    <strong>{plan.name}</strong>
                    <span class="secondary small">{plan.description} " · " {approval}</span>
                </span>
                {button}
            </div>
        }
    });
    view! {
        <Panel title="Plans" note="What a subscription allows.">
            <div class="list">{rows.collect_view()}</div>
            {none}
        </Panel>
        <Subscribe api api_name chosen />
    }
}

#[component]
fn Operations(routes: Vec<CatalogueRoute>) -> impl IntoView {
    let search = url_text("q");
    let routes = StoredValue::new(routes);
    let groups = move || {
        let wanted = search.get().to_lowercase();
        let found = routes.with_value(|routes| {
            let about = |route: &&CatalogueRoute| {
                [&route.id, &route.path, &route.summary]
                    .into_iter()
                    .any(|it| it.to_lowercase().contains(&wanted))
            };
            routes.iter().filter(about).take(SHOWN).cloned().collect::<Vec<_>>()
        });
        let mut groups = BTreeMap::<String, Vec<CatalogueRoute>>::new();
        for route in found {
            groups.entry(route.tags.first().cloned().unwrap_or_default()).or_default().push(route);
        }
        groups.into_iter().map(|(tag, routes)| group(tag, routes)).collect_view()
    };
    let count = routes.with_value(Vec::len);
    let note = (count > SHOWN).then(|| format!("{SHOWN} of {count} are shown: search for the others."));
    view! {
        <Panel title="Operations" note=note.unwrap_or_default()>
            <div class="stack">
                <SearchField label="Search operations" value=search.signal() on_change=search.setter() />
                {groups}
            </div>
        </Panel>
    }
}

fn group(tag: String, routes: Vec<CatalogueRoute>) -> impl IntoView {
    let title = (!tag.is_empty()).then(|| view! { <h3>{tag}</h3> });
    let rows = routes.into_iter().map(|route| {
        let methods = if route.methods.is_empty() { vec!["ANY".to_owned()] } else { route.methods };
        let methods = methods.into_iter().map(|method| view! { <MethodTag method /> });
        let public = (route.access == Access::Public).then(|| view! { <Badge text="no key" /> });
        let old = route.deprecated.then(|| view! { <Badge tone=Tone::Warn text="deprecated" /> });
        view! {
            <div class="stack" data-gap="0">
                <div class="row">
                    {methods.collect_view()} <code class="break">{route.path}</code> {public} {old}
                </div>
                <span class="secondary small">{route.summary}</span>
            </div>
        }
    });
    view! {
        <section class="stack" data-gap="2">
            {title}
            {rows.collect_view()}
        </section>
    }
}
