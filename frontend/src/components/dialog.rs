//! Dialogs on the browser's own `<dialog>`: focus stays inside, Escape closes, focus returns.

use leptos::html;
use leptos::prelude::*;

use super::{Button, Kind};
use crate::icons::X;
use crate::state::{effect, unique_id};

/// A modal dialog, shown while `open` is true. Its content is built anew each time.
#[component]
pub fn Dialog(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(optional, into)] note: Option<Signal<String>>,
    #[prop(optional)] wide: bool,
    children: ChildrenFn,
) -> impl IntoView {
    let element = NodeRef::<html::Dialog>::new();
    let heading = unique_id("dialog");
    let labelled_by = heading.clone();
    effect(move || {
        let Some(dialog) = element.get() else { return };
        if open.get() && !dialog.open() {
            // Fails only when the dialog is not in the page any more; then there is nothing to show.
            drop(dialog.show_modal());
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    let children = StoredValue::new(children);
    let heading = StoredValue::new(heading);
    view! {
        <dialog
            class="dialog"
            node_ref=element
            data-wide=wide
            aria-labelledby=labelled_by
            on:close=move |_| open.set(false)
        >
            <Show when=move || open.get()>
                <div class="dialog-head">
                    <div>
                        <h2 id=heading.get_value()>{title}</h2>
                        {note.map(|note| view! { <p class="dialog-note">{note}</p> })}
                    </div>
                    <Button
                        kind=Kind::Quiet
                        size="sm"
                        icon=X
                        label="Close"
                        on_click=move |()| open.set(false)
                    />
                </div>
                <div class="dialog-body">{children.with_value(|children| children())}</div>
            </Show>
        </dialog>
    }
}
