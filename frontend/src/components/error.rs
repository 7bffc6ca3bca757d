//! What went wrong, what to do about it, and the request id to ask somebody with.

use leptos::html::Div;
use leptos::prelude::*;
use sluice_contract::problem::{FieldProblem, Problem};
use web_sys::{ScrollIntoViewOptions, ScrollLogicalPosition};

use super::{Button, Notice, Tone};
use crate::icons::{Glyph, REFRESH, TRIANGLE_ALERT};
use crate::state::Task;

/// A view that could not be loaded.
#[component]
pub fn ErrorState(problem: Problem, #[prop(optional, into)] retry: Option<Callback<()>>) -> impl IntoView {
    let title = match problem.status {
        403 => "You may not see this".to_owned(),
        404 => "This does not exist".to_owned(),
        _ => problem.title,
    };
    let fields = problem.fields;
    let note = match (problem.status, problem.detail) {
        (404, _) => "It may have been removed, or belong to another tenant.".to_owned(),
        (403, detail) if detail.is_empty() => "Ask an administrator of your tenant for a role.".to_owned(),
        (_, detail) => detail,
    };
    view! {
        <div class="empty" role="alert">
            <span class="empty-icon tone-bad">
                <Glyph icon=TRIANGLE_ALERT />
            </span>
            <h2>{title}</h2>
            <p class="empty-note">{note}</p>
            {(!fields.is_empty()).then(|| view! { <ul class="empty-note">{at_fault(fields)}</ul> })}
            {problem.request_id.map(|id| view! { <p class="tiny muted">"Request " <code>{id}</code></p> })}
            {retry
                .map(|retry| {
                    view! {
                        <div class="empty-actions">
                            <Button icon=REFRESH on_click=retry>
                                "Try again"
                            </Button>
                        </div>
                    }
                })}
        </div>
    }
}

/// Why an action failed, at the top of its form. Field problems that the form shows itself are not repeated
/// when `fields_shown` is set.
#[component]
pub fn TaskProblem(task: Task, #[prop(optional)] fields_shown: bool) -> impl IntoView {
    move || task.problem().get().map(|problem| problem_notice(problem, fields_shown))
}

fn problem_notice(problem: Problem, fields_shown: bool) -> impl IntoView {
    let stale = problem.status == 412;
    let title = if stale { "Somebody else changed this meanwhile".to_owned() } else { problem.title };
    let fields = if fields_shown { Vec::new() } else { problem.fields };
    let place = NodeRef::<Div>::new();
    place.on_load(|notice| bring_into_view(&notice));
    view! {
        <div node_ref=place>
            <Notice tone=Tone::Bad title=title>
                <p>{problem.detail}</p>
                <ul>{at_fault(fields)}</ul>
                {problem.request_id.map(|id| view! { <p class="tiny muted">"Request " <code>{id}</code></p> })}
            </Notice>
        </div>
    }
}

/// Who has pressed the button at the end of a long form does not see its beginning.
fn bring_into_view(notice: &web_sys::Element) {
    let options = ScrollIntoViewOptions::new();
    options.set_block(ScrollLogicalPosition::Nearest);
    notice.scroll_into_view_with_scroll_into_view_options(&options);
}

/// Which fields, or parameters of the address, are wrong and why.
fn at_fault(fields: Vec<FieldProblem>) -> impl IntoView {
    let items = fields.into_iter().map(|FieldProblem { pointer, message, .. }| {
        view! { <li><code class="inline-code">{pointer}</code> " " {message}</li> }
    });
    items.collect_view()
}
