//! The form of a dialog: what went wrong at the top, its fields, "Cancel" and the action at the end.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;

use super::{Button, Kind, TaskProblem};
use crate::state::Task;

/// Submits by the button or by Enter; `children` are the fields.
#[component]
pub fn DialogForm(
    /// The flag of the dialog around it, for "Cancel".
    open: RwSignal<bool>,
    task: Task,
    /// The words on the button: "Create token".
    #[prop(into)]
    action: Signal<String>,
    #[prop(into)] on_submit: Callback<()>,
    /// Whether each field shows its own problem.
    #[prop(default = true)]
    fields_shown: bool,
    children: Children,
) -> impl IntoView {
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        on_submit.run(());
    };
    view! {
        <form class="form" on:submit=submit>
            <TaskProblem task fields_shown />
            {children()}
            <div class="form-actions">
                <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                <Button kind=Kind::Primary submit=true busy=task.busy()>
                    {action}
                </Button>
            </div>
        </form>
    }
}
