//! Things that happen one after the other, or at several places, while a person watches.

use leptos::prelude::*;

use crate::icons::{CIRCLE_CHECK, CIRCLE_DASHED, CIRCLE_X, CLOCK, Glyph, LOADER};

/// How far one item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Waiting,
    Running,
    Done,
    Late,
    Failed,
}

/// One line of a [`ProgressList`].
#[derive(Clone, Debug, PartialEq)]
pub struct ProgressItem {
    pub name: String,
    pub stage: Stage,
    /// What happens there, in words.
    pub detail: String,
    /// At the right: how long it took.
    pub note: String,
}

/// A list of items and how far each is. Announces changes.
#[component]
pub fn ProgressList(
    #[prop(into)] label: String,
    #[prop(into)] items: Signal<Vec<ProgressItem>>,
) -> impl IntoView {
    let rows = move || items.get().into_iter().map(row).collect_view();
    view! {
        <ul class="progress" aria-label=label aria-live="polite">
            {rows}
        </ul>
    }
}

fn row(item: ProgressItem) -> impl IntoView {
    let (icon, state) = match item.stage {
        Stage::Waiting => (CIRCLE_DASHED, "waiting"),
        Stage::Running => (LOADER, "running"),
        Stage::Done => (CIRCLE_CHECK, "done"),
        Stage::Late => (CLOCK, "late"),
        Stage::Failed => (CIRCLE_X, "failed"),
    };
    let spin = item.stage == Stage::Running;
    view! {
        <li data-state=state class:spin=spin>
            <Glyph icon />
            <span class="stack" data-gap="0">
                <strong>{item.name}</strong>
                <span class="secondary tiny break">{item.detail}</span>
            </span>
            <span class="num muted tiny">{item.note}</span>
        </li>
    }
}
