//! Asking for a purge, and watching the gateways take it.

use leptos::prelude::*;
use sluice_contract::journal::PurgeScope;
use sluice_contract::rest::purges::{CreatePurge, PurgeRecord};

use super::name_of;
use crate::api;
use crate::components::{
    Change, DialogForm, EnvironmentChoice, EnvironmentField, RolloutDialog, SelectField, TextField,
    use_toasts,
};
use crate::pages::apis::draft::use_draft;
use crate::session::{Current, use_current};
use crate::state::{Task, effect, opened_by};

/// Everything of the API or one path; then each gateway as it removes it. `on_change` runs when a purge was made, and
/// when the person has seen how far it got.
#[component]
pub(super) fn PurgeDialog(
    open: RwSignal<bool>,
    environments: EnvironmentChoice,
    #[prop(into)] on_change: Callback<()>,
) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let change = RwSignal::new(None::<Change>);
    let what = RwSignal::new("url".to_owned());
    let path = RwSignal::new(String::new());
    effect(move || {
        if open.get() {
            task.clear();
            path.set(String::new());
        }
    });
    let submit = move |()| {
        let api = draft.api();
        let scope = if what.with_untracked(|what| what == "url") {
            let path = below_base(path.get_untracked().trim(), &api.base_path);
            PurgeScope::Url { api: api.id, path }
        } else {
            PurgeScope::Api { api: api.id }
        };
        let (environment, path) = (environments.picked(), untrack(|| current.path("/purges")));
        let work = async move {
            let body = CreatePurge { environment: environment.await?.id, scope, soft: false };
            api::post::<_, PurgeRecord>(&path, &body).await
        };
        task.run(work, move |purge| {
            toasts.done("Purge started");
            change.set(Some(change_of(current, purge)));
            on_change.run(());
        });
    };
    let kinds = Signal::stored(vec![
        ("url".to_owned(), "One address".to_owned()),
        ("api".to_owned(), "Everything of this API".to_owned()),
    ]);
    let address = move || {
        what.with(|what| what == "url").then(|| {
            view! {
                <TextField
                    label="Address"
                    value=path
                    required=true
                    mono=true
                    placeholder="/items?page=2"
                    help="As callers ask for it, below the API's base, with its query. A whole URL will do, too. Every stored variant of it goes."
                    error=task.field("/scope/path")
                />
            }
        })
    };
    view! {
        <RolloutDialog open title="Purge the cache" change on_close=on_change>
            <DialogForm open task action="Purge now" on_submit=submit>
                <EnvironmentField choice=environments />
                <SelectField label="What" value=what options=kinds />
                {address}
            </DialogForm>
        </RolloutDialog>
    }
}

/// A purge of the list, while the signal holds one.
#[component]
pub(super) fn ShownPurge(
    shown: RwSignal<Option<PurgeRecord>>,
    #[prop(into)] on_close: Callback<()>,
) -> impl IntoView {
    let current = use_current();
    let open = opened_by(shown);
    let change = RwSignal::new(None::<Change>);
    effect(move || {
        if let Some(purge) = shown.get() {
            change.set(Some(change_of(current, purge)));
        }
    });
    let title = Signal::derive(move || {
        shown.with(|shown| {
            shown.as_ref().map(|it| format!("Purge of {}", name_of(&it.scope))).unwrap_or_default()
        })
    });
    view! { <RolloutDialog open title change on_close /> }
}

fn change_of(current: Current, purge: PurgeRecord) -> Change {
    Change { path: untrack(|| current.path(&format!("/purges/{}", purge.id))), first: purge.progress }
}

/// What the API takes of what a person pastes: `https://host/acme/items/list?page=2` is `/list?page=2` below
/// `/acme/items`.
fn below_base(text: &str, base: &str) -> String {
    let after_host = text.split_once("://").map(|(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = after_host.unwrap_or(text);
    match path.strip_prefix(base) {
        Some("") => "/".to_owned(),
        Some(below) if below.starts_with('/') => below.to_owned(),
        Some(query) if query.starts_with('?') => format!("/{query}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::below_base;

    #[test]
    fn an_address_may_be_pasted_whole() {
        let below = |text| below_base(text, "/acme/items");
        assert_eq!(below("/list?page=2"), "/list?page=2");
        assert_eq!(below("/acme/items/list?page=2"), "/list?page=2");
        assert_eq!(below("https://gateway.example.com/acme/items/list"), "/list");
        assert_eq!(below("https://items.example.com/list"), "/list");
        assert_eq!(below("http://127.0.0.1:8000/acme/items"), "/");
        assert_eq!(below("http://127.0.0.1:8000/acme/items?a=1"), "/?a=1");
        assert_eq!(below("https://items.example.com"), "/");
        assert_eq!(below("/acme/items-old/list"), "/acme/items-old/list");
    }
}
