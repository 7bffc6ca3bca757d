//! What was purged in the time that is shown: marks on the charts, and a list.

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::ids::ApiId;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::purges::PurgeRecord;

use crate::api;
use crate::components::{Ago, ChartMark, Panel, Range, Skeleton};
use crate::format;
use crate::pages::analytics::filters::Filters;
use crate::pages::apis::cache::{kind_of, named};
use crate::session::use_current;
use crate::state::{Remote, remote};

/// Purges that are shown; who purges more often reads the list of the API.
const SHOWN: usize = 100;

#[derive(Clone, Copy)]
pub(super) struct Purged(Remote<Page<PurgeRecord>>);

pub(super) fn use_purges(range: Range, filters: Filters) -> Purged {
    let current = use_current();
    let list = remote(move || {
        let path = current.path(&format!("/purges?limit={SHOWN}&{}{}", range.query(), filters.of_api()));
        async move { api::get::<Page<PurgeRecord>>(&path).await }
    });
    Purged(list.every(Duration::from_secs(15)))
}

impl Purged {
    pub(super) fn marks(self) -> Signal<Vec<ChartMark>> {
        let mark = |purge: &PurgeRecord| ChartMark { at: purge.created_at, text: in_words(purge) };
        Signal::derive(move || {
            self.0.get().map(|page| page.items.iter().map(mark).collect()).unwrap_or_default()
        })
    }
}

/// `Purge: prefix /items`.
fn in_words(purge: &PurgeRecord) -> String {
    let soft = if purge.soft { "Soft purge" } else { "Purge" };
    let name = named(&purge.scope).map(|name| format!(" {name}")).unwrap_or_default();
    format!("{soft}: {}{name}", kind_of(&purge.scope))
}

#[component]
pub(super) fn Purges(purges: Purged) -> impl IntoView {
    view! {
        <Panel title="Purges" note="In the time that is shown, the newest first">
            {purges.0.live(Skeleton::Lines(2), |page| view! { {move || page.with(list)} })}
        </Panel>
    }
}

fn list(page: &Page<PurgeRecord>) -> AnyView {
    if page.items.is_empty() {
        return view! { <p class="secondary small">"Nothing was purged in this time."</p> }.into_any();
    }
    let more = page.next.is_some().then(|| format!("Those before the newest {SHOWN} are not shown."));
    let rows = page.items.iter().map(|purge| {
        let api = purge.scope.api();
        view! {
            <li class="row">
                <Ago at=purge.created_at />
                <span class="break">{in_words(purge)}</span>
                <span class="secondary small">{format!("by {}", purge.created_by)}</span>
                {api.map(link)}
            </li>
        }
    });
    view! {
        <ul class="stack" data-gap="2" aria-label=format::plural(page.items.len(), "purge", "purges")>
            {rows.collect_view()}
        </ul>
        {more.map(|more| view! { <p class="secondary small">{more}</p> })}
    }
    .into_any()
}

fn link(api: ApiId) -> impl IntoView {
    view! {
        <a class="small" href=format!("/apis/{api}/cache")>
            "Its API"
        </a>
    }
}
