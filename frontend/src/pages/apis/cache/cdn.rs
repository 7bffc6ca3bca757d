//! What CDNs in front of the gateways are told of purges: requests as templates, and what became of each.

mod calls;
mod edit;
mod templates;

use leptos::prelude::*;
use sluice_contract::rest::cdn_hooks::{CdnCallState, CdnHook, PurgeKind};
use sluice_contract::rest::session::Permission;

use crate::components::{
    Ago, Badge, Button, Column, DataTable, DeleteDialog, Deletion, EmptyState, EnvironmentChoice, Kind,
    Panel, Tone,
};
use crate::icons::{HISTORY, PENCIL, PLUS, TRASH, WAYPOINTS};
use crate::pages::apis::draft::{Draft, use_draft};
use crate::session::use_current;
use crate::state::paged;
use calls::Calls;
use edit::{Edit, Subject};

/// What can be done with one of them.
#[derive(Clone, Copy)]
struct Acts {
    draft: Draft,
    editing: RwSignal<Option<Subject>>,
    looking: RwSignal<Option<CdnHook>>,
    deleting: RwSignal<Option<Deletion>>,
}

#[component]
pub fn Cdns(environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let may_edit = use_current().can(Permission::ManageCache);
    let list = paged::<CdnHook>(move || draft.path("/cdn-hooks?sort=name"));
    let acts = Acts {
        draft,
        editing: RwSignal::new(None),
        looking: RwSignal::new(None),
        deleting: RwSignal::new(None),
    };
    let create = move |()| acts.editing.set(Some(Subject::New));
    let actions = move || {
        may_edit.then(|| view! { <Button size="sm" icon=PLUS on_click=create>"New CDN request"</Button> })
    };
    view! {
        <Panel
            title="Told to a CDN"
            note="Each purge is sent on to what caches in front of the gateways, until that has taken it."
            actions
            flush=true
        >
            <DataTable
                label="CDN requests"
                columns=columns(environments, acts, may_edit)
                list
                empty=|| view! {
                    <EmptyState
                        icon=WAYPOINTS
                        title="No CDN is told"
                        note="If a CDN caches what the gateways answer, let it forget what is purged here."
                    />
                }
            />
        </Panel>
        <Edit editing=acts.editing environments list />
        <Calls looking=acts.looking on_close=move |()| list.reload() />
        <DeleteDialog deleting=acts.deleting on_deleted=move |()| list.reload() />
    }
}

fn columns(environments: EnvironmentChoice, acts: Acts, may_edit: bool) -> Vec<Column<CdnHook>> {
    vec![
        Column::new("Name", |it: &CdnHook| {
            let state = (!it.enabled).then(|| view! { <Badge text="off" /> });
            view! {
                <span class="stack" data-gap="0">
                    <span class="row">
                        <strong>{it.name.clone()}</strong>
                        {state}
                    </span>
                    <code class="tiny muted break">{format!("{} {}", it.method, it.url)}</code>
                </span>
            }
        }),
        Column::new("Environment", move |it: &CdnHook| {
            let id = it.environment;
            view! { {move || environments.name_of(id)} }
        }),
        Column::new("For", |it: &CdnHook| {
            let kinds = it.kinds.iter().map(|kind| view! { <Badge text=kind_name(*kind) /> });
            view! { <span class="row" data-gap="1">{kinds.collect_view()}</span> }
        }),
        Column::new("Last request", |it: &CdnHook| match it.last {
            Some(last) => view! {
                <span class="row" data-gap="1">
                    <Ago at=last.at />
                    {state_badge(last.state)}
                </span>
            }
            .into_any(),
            None => view! { <span class="muted">"none yet"</span> }.into_any(),
        }),
        Column::new("", move |it: &CdnHook| buttons(it, acts, may_edit)).end(),
    ]
}

fn buttons(it: &CdnHook, acts: Acts, may_edit: bool) -> AnyView {
    let [looked, edited] = [(); 2].map(|()| it.clone());
    let name = &it.name;
    let deletion = Deletion {
        path: acts.draft.path(&format!("/cdn-hooks/{}", it.id)),
        version: it.version,
        kind: "CDN request",
        name: name.clone(),
        note: "The CDN is told nothing from then on, not even what is still to be sent.",
    };
    let quiet = |icon, label: String, act: Callback<()>| {
        view! { <Button size="sm" kind=Kind::Quiet icon=icon label=label on_click=act /> }
    };
    let look = Callback::new(move |()| acts.looking.set(Some(looked.clone())));
    let edit = Callback::new(move |()| acts.editing.set(Some(Subject::Of(edited.clone().into()))));
    let delete = Callback::new(move |()| acts.deleting.set(Some(deletion.clone())));
    let look = quiet(HISTORY, format!("Requests of {name}"), look);
    let changes = may_edit.then(|| {
        view! {
            {quiet(PENCIL, format!("Edit {name}"), edit)}
            {quiet(TRASH, format!("Delete {name}"), delete)}
        }
    });
    view! {
        {look}
        {changes}
    }
    .into_any()
}

fn kind_name(kind: PurgeKind) -> &'static str {
    match kind {
        PurgeKind::Tag => "tag",
        PurgeKind::Url => "address",
        PurgeKind::Prefix => "prefix",
        PurgeKind::Api => "whole API",
        PurgeKind::Everything => "everything",
    }
}

fn state_badge(state: CdnCallState) -> impl IntoView {
    let (tone, text, live) = match state {
        CdnCallState::Waiting => (Tone::Info, "to be sent", true),
        CdnCallState::Done => (Tone::Ok, "taken", false),
        CdnCallState::Failed => (Tone::Bad, "failed", false),
    };
    view! { <Badge tone text dot=true live /> }
}
