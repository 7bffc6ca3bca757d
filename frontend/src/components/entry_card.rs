//! One thing of a short list that is edited in a dialog: its facts, and the buttons that edit and remove it.

use leptos::prelude::*;

use super::{Button, Kind, Panel};
use crate::icons::{PENCIL, TRASH};

/// `children` are its facts, as pairs of `dt` and `dd`.
#[component]
pub fn EntryCard(
    #[prop(into)] title: String,
    #[prop(optional, into)] note: String,
    /// Badges beside the title.
    #[prop(optional, into)]
    aside: ViewFnOnce,
    may_edit: bool,
    #[prop(into)] on_edit: Callback<()>,
    #[prop(into)] on_remove: Callback<()>,
    children: Children,
) -> impl IntoView {
    let (edit, remove) = (format!("Edit {title}"), format!("Remove {title}"));
    let buttons = may_edit.then(|| {
        view! {
            <div class="row">
                <Button size="sm" icon=PENCIL label=edit on_click=on_edit>
                    "Edit"
                </Button>
                <Button size="sm" kind=Kind::DangerQuiet icon=TRASH label=remove on_click=on_remove>
                    "Remove"
                </Button>
            </div>
        }
    });
    view! {
        <Panel title=title note=note actions=aside>
            <div class="stack">
                <dl class="facts">{children()}</dl>
                {buttons}
            </div>
        </Panel>
    }
}
