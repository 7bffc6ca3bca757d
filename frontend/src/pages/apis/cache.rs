//! The cached answers of an API: how old they may be, removing them, who removed which before, and what is stored now.

mod advisor;
mod applications;
mod asked;
mod cdn;
mod entry;
mod events;
mod explain;
mod held;
mod inside;
mod preview;
mod purge;
mod scope;
mod staleness;
mod warming;

use leptos::prelude::*;
use sluice_contract::journal::PurgeScope;
use sluice_contract::rest::purges::PurgeRecord;
use sluice_contract::rest::releases::Progress;
use sluice_contract::rest::session::Permission;

use super::draft::use_draft;
use crate::components::{
    Ago, Badge, Button, Column, DataTable, EmptyState, EnvironmentChoice, Kind, LinkButton, Panel,
    progress_badge, until_settled, use_environments,
};
use crate::format;
use crate::icons::{CHART, LAYERS, TRASH};
use crate::session::use_current;
use crate::state::paged;
use advisor::Advisor;
use applications::{Applications, use_applications};
use cdn::Cdns;
use events::Events;
use explain::Explain;
use held::Held;
use inside::Inside;
use purge::{PurgeDialog, ShownPurge};
use staleness::Staleness;
use warming::WarmingPanel;

#[component]
pub fn CacheTab() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let id = draft.api().id;
    let asking = RwSignal::new(false);
    let shown = RwSignal::new(None::<PurgeRecord>);
    let environments = use_environments();
    let applications = use_applications();
    let list = paged::<PurgeRecord>(move || current.path(&format!("/purges?api={id}")));
    let list = until_settled(list, |purge| &purge.progress);
    let may_purge = move || current.can(Permission::ManageCache);
    view! {
        <div class="stack">
            <Staleness />
            <div class="toolbar">
                <p class="secondary small">
                    "A purge removes stored answers from every gateway of an environment. The next call fetches anew."
                </p>
                <span class="grow"></span>
                <LinkButton href=format!("/analytics/cache?api={id}") icon=CHART>
                    "Hit ratio"
                </LinkButton>
                <Show when=may_purge>
                    <Button icon=TRASH on_click=move |()| asking.set(true)>
                        "Purge"
                    </Button>
                </Show>
            </div>
            <Held api=id />
            <Show when=move || current.can(Permission::ReadCalls)>
                <Advisor />
            </Show>
            <Panel title="Purges" note="What was removed, by whom, and which gateways have it." flush=true>
                <DataTable
                    label="Purges"
                    columns=columns(environments, applications, shown)
                    list
                    empty=|| view! {
                        <EmptyState
                            icon=LAYERS
                            title="Nothing was purged"
                            note="Cached answers of this API leave when their time is over, or when somebody purges them."
                        />
                    }
                />
            </Panel>
            <Events environments />
            <Cdns environments />
            <WarmingPanel environments />
            <Show when=may_purge>
                <Inside environments />
                <Explain environments />
            </Show>
        </div>
        <PurgeDialog open=asking environments applications on_change=move |()| list.reload() />
        <ShownPurge shown applications on_close=move |()| list.reload() />
    }
}

fn columns(
    environments: EnvironmentChoice,
    applications: Applications,
    shown: RwSignal<Option<PurgeRecord>>,
) -> Vec<Column<PurgeRecord>> {
    vec![
        Column::new("What", move |it: &PurgeRecord| what(it, applications)),
        Column::new("Environment", move |it: &PurgeRecord| {
            let id = it.environment;
            let name = move || environments.name_of(id);
            view! { {name} }
        }),
        Column::new("By", |it: &PurgeRecord| it.created_by.clone()),
        Column::new("When", |it: &PurgeRecord| view! { <Ago at=it.created_at /> }),
        Column::new("State", |it: &PurgeRecord| progress_badge(it.progress.state)),
        Column::new("Gateways", |it: &PurgeRecord| acknowledged(&it.progress)),
        Column::new("", move |it: &PurgeRecord| {
            let mine = it.clone();
            let label = format!("Gateways of the purge of {}", name_of(&it.scope, applications));
            view! {
                <Button kind=Kind::Quiet size="sm" label on_click=move |()| shown.set(Some(mine.clone()))>
                    "Show"
                </Button>
            }
        })
        .end(),
    ]
}

fn what(purge: &PurgeRecord, applications: Applications) -> AnyView {
    let kind = kind_of(&purge.scope);
    let name = shown_name(&purge.scope, applications).map(|name| view! { <code class="break">{name}</code> });
    let soft = purge.soft.then(|| view! { <Badge text="soft" /> });
    view! { <span class="row">{kind} {name} {soft}</span> }.into_any()
}

pub(in crate::pages) fn kind_of(scope: &PurgeScope) -> &'static str {
    match scope {
        PurgeScope::Api { .. } => "everything of the API",
        PurgeScope::Url { .. } => "address",
        PurgeScope::Prefix { .. } => "prefix",
        PurgeScope::Tag { api: Some(_), .. } => "tag",
        PurgeScope::Tag { api: None, .. } => "tag in all APIs",
        PurgeScope::Application { .. } => "application",
        PurgeScope::Everything => "everything",
    }
}

pub(in crate::pages) fn named(scope: &PurgeScope) -> Option<String> {
    match scope {
        PurgeScope::Url { path, .. } | PurgeScope::Prefix { path, .. } => Some(path.clone()),
        PurgeScope::Tag { tag, .. } => Some(tag.clone()),
        PurgeScope::Application { application } => Some(application.to_string()),
        PurgeScope::Api { .. } | PurgeScope::Everything => None,
    }
}

/// The same, an application by its name.
fn shown_name(scope: &PurgeScope, applications: Applications) -> Option<String> {
    match scope {
        PurgeScope::Application { application } => Some(applications.name(*application)),
        other => named(other),
    }
}

/// What a purge covers, in words.
fn name_of(scope: &PurgeScope, applications: Applications) -> String {
    shown_name(scope, applications).unwrap_or_else(|| kind_of(scope).to_owned())
}

/// `2 of 2, slowest 12 ms`.
fn acknowledged(progress: &Progress) -> String {
    let all = progress.gateways.len();
    let applied = progress.gateways.iter().filter(|gateway| gateway.applied).count();
    let slowest = progress.gateways.iter().filter_map(|gateway| gateway.took_ms).max();
    let slowest =
        slowest.map(|took| format!(", slowest {}", format::micros(took * 1000))).unwrap_or_default();
    format!("{applied} of {all}{slowest}")
}
