//! "Are you sure": says what will happen; for what cannot be undone, by typing a name.

use leptos::prelude::*;

use super::{Button, Dialog, Kind, TaskProblem, TextField};
use crate::state::{Task, effect};

/// Asks before something destructive. With a `phrase`, it must be typed first.
#[component]
pub fn ConfirmDialog(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    /// What will happen, in plain words.
    #[prop(into)]
    note: Signal<String>,
    #[prop(optional, into)] phrase: Option<Signal<String>>,
    /// The words on the button: "Delete API".
    #[prop(into)]
    action: Signal<String>,
    /// Runs the action; it closes the dialog when it is done.
    #[prop(into)]
    on_confirm: Callback<()>,
    task: Task,
) -> impl IntoView {
    let typed = RwSignal::new(String::new());
    effect(move || {
        if open.get() {
            typed.set(String::new());
            task.clear();
        }
    });
    let blocked = Signal::derive(move || phrase.is_some_and(|phrase| phrase.get() != typed.get().trim()));
    let confirm = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if !blocked.get_untracked() {
            on_confirm.run(());
        }
    };
    view! {
        <Dialog open title note>
            <form class="form" on:submit=confirm>
                <TaskProblem task />
                {phrase
                    .map(|phrase| {
                        view! {
                            <TextField
                                label=Signal::derive(move || format!("Type {} to confirm", phrase.get()))
                                value=typed
                                mono=true
                                autocomplete="off"
                            />
                        }
                    })}
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Danger submit=true busy=task.busy() disabled=blocked>
                        {action}
                    </Button>
                </div>
            </form>
        </Dialog>
    }
}
