//! One API: its head, its tabs, and the draft that they share.

use leptos::prelude::*;
use leptos_router::components::Outlet;
use leptos_router::hooks::use_params_map;
use sluice_contract::rest::apis::Api;
use sluice_contract::rest::session::Permission;

use super::draft::{Draft, DraftConflict};
use super::release::ReleaseDialog;
use crate::api::{self, Tagged};
use crate::components::{Badge, Button, Crumb, Kind, PageHead, Skeleton, TabLink, Tabs, Tone, set_page};
use crate::icons::ROCKET;
use crate::session::use_current;
use crate::state::{Remote, remote};

#[component]
pub fn ApiDetail() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
    let current = use_current();
    let found = remote(move || {
        let path = current.path(&format!("/apis/{}", id.get()));
        async move { api::get_tagged::<Api>(&path).await }
    });
    set_page(move || {
        let name = found.get().map_or_else(|| "API".to_owned(), |it| it.value.name);
        vec![Crumb::link("APIs", "/apis"), Crumb::here(name)]
    });
    view! {
        {found.heading("API")}
        {found.live(Skeleton::Lines(8), move |latest| view! { <Frame latest found /> })}
    }
}

#[component]
fn Frame(latest: Signal<Tagged<Api>>, found: Remote<Tagged<Api>>) -> impl IntoView {
    let draft = Draft::provide(latest, found);
    let current = use_current();
    let releasing = RwSignal::new(false);
    let id = latest.get_untracked().value.id;
    let tabs = [
        ("Overview", ""),
        ("Routes", "/routes"),
        ("Upstreams", "/upstreams"),
        ("Policies", "/policies"),
        ("Cache", "/cache"),
        ("Try it", "/try"),
        ("Plans", "/plans"),
        ("Revisions", "/revisions"),
    ];
    let tabs = tabs.map(|(title, rest)| TabLink::new(title, format!("/apis/{id}{rest}"))).to_vec();
    let may_edit = move || current.can(Permission::ManageApis);
    view! {
        <PageHead
            title=Signal::derive(move || latest.with(|it| it.value.name.clone()))
            note=Signal::derive(move || latest.with(|it| it.value.base_path.clone()))
            aside=move || view! { {move || latest.with(|it| badges(&it.value))} }
        >
            <Show when=may_edit>
                <Button kind=Kind::Primary icon=ROCKET on_click=move |()| releasing.set(true)>
                    "Release"
                </Button>
            </Show>
        </PageHead>
        <Tabs label="API" tabs />
        <Outlet />
        <ReleaseDialog open=releasing number=Signal::stored(None) on_change=move |()| draft.reload() />
        <DraftConflict />
    }
}

fn badges(api: &Api) -> impl IntoView + use<> {
    let live = api.live.iter().map(|live| {
        let text = format!("{} r{}", live.environment_slug, live.revision);
        view! { <Badge tone=Tone::Ok dot=true text /> }
    });
    let live = live.collect_view();
    let changed = api.changed.then(|| view! { <Badge tone=Tone::Warn text="unreleased changes" /> });
    view! {
        {live}
        {changed}
    }
}
