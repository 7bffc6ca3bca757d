//! Deletes one thing of a list, once somebody has said that it is meant.

use leptos::prelude::*;

use super::{ConfirmDialog, use_toasts};
use crate::api;
use crate::state::{Task, opened_by};

/// What is to be deleted, as it was seen: one that has changed since is refused.
#[derive(Clone)]
pub struct Deletion {
    /// Its address in the admin API.
    pub path: String,
    pub version: u64,
    /// What it is, in a word or two: "plan".
    pub kind: &'static str,
    pub name: String,
    /// What will happen, in plain words.
    pub note: &'static str,
}

#[component]
pub fn DeleteDialog(
    deleting: RwSignal<Option<Deletion>>,
    #[prop(into)] on_deleted: Callback<()>,
) -> impl IntoView {
    let toasts = use_toasts();
    let task = Task::new();
    let open = opened_by(deleting);
    let delete = move |()| {
        let Some(Deletion { path, version, kind, name, .. }) = deleting.get_untracked() else { return };
        let work = async move { api::delete(&path, Some(&api::version_tag(version))).await };
        task.run(work, move |()| {
            open.set(false);
            toasts.done(format!("Deleted {kind} {name}"));
            on_deleted.run(());
        });
    };
    let said = move |words: fn(&Deletion) -> String| {
        Signal::derive(move || deleting.with(|it| it.as_ref().map(words)).unwrap_or_default())
    };
    view! {
        <ConfirmDialog
            open
            title=said(|it| format!("Delete {} {}?", it.kind, it.name))
            note=said(|it| it.note.to_owned())
            action=said(|it| format!("Delete {}", it.kind))
            on_confirm=delete
            task
        />
    }
}
