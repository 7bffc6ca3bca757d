//! The request as it is typed: its kinds of purges, and headers one a line.

use leptos::prelude::*;
use sluice_contract::rest::cdn_hooks::{CdnHeader, PurgeKind};

use super::kind_name;
use crate::components::CheckBox;
use crate::state::Task;

/// `authorization: Bearer {secret}`, one a line.
pub(super) fn headers_of(text: &str) -> Vec<CdnHeader> {
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        CdnHeader { name: name.trim().to_owned(), value: value.trim().to_owned() }
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(header).collect()
}

pub(super) fn text_of(headers: &[CdnHeader]) -> String {
    headers.iter().map(|CdnHeader { name, value }| format!("{name}: {value}\n")).collect()
}

/// What is wrong with any header, by its line.
pub(super) fn header_problem(task: Task) -> Signal<Option<String>> {
    let problem = task.problem();
    Signal::derive(move || {
        problem.with(|problem| {
            let fields = &problem.as_ref()?.fields;
            let wrong = fields.iter().find(|field| field.pointer.starts_with("/headers"))?;
            let line = wrong.pointer.split('/').nth(2).and_then(|index| index.parse::<usize>().ok());
            Some(match line {
                Some(index) => format!("Line {}: {}", index + 1, wrong.message),
                None => wrong.message.clone(),
            })
        })
    })
}

#[component]
pub(super) fn KindBoxes(kinds: RwSignal<Vec<PurgeKind>>, task: Task) -> impl IntoView {
    let error = task.field("/kinds");
    let boxes = PurgeKind::ALL.map(|kind| {
        let checked = Signal::derive(move || kinds.with(|kinds| kinds.contains(&kind)));
        let change = move |on: bool| {
            kinds.update(|kinds| {
                kinds.retain(|known| *known != kind);
                if on {
                    kinds.push(kind);
                }
                kinds.sort_unstable();
            });
        };
        view! { <CheckBox label=kind_name(kind) checked on_change=change /> }
    });
    view! {
        <fieldset class="fieldset">
            <legend>"Sent for purges of"</legend>
            <div class="row">{boxes.into_iter().collect_view()}</div>
            {move || error.get().map(|error| view! { <p class="field-error">{error}</p> })}
        </fieldset>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_typed_one_a_line() {
        let typed = "Authorization: Bearer {secret}\n\nx-odd:a:b\nnone\n";
        let headers = headers_of(typed);
        let pairs: Vec<_> = headers.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect();
        assert_eq!(pairs, [("Authorization", "Bearer {secret}"), ("x-odd", "a:b"), ("none", "")]);
        assert_eq!(headers_of(&text_of(&headers)), headers);
    }
}
