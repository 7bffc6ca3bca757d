//! Field-level differences: what changed, from what, to what.

use leptos::prelude::*;
use serde_json::Value;
use sluice_contract::rest::revisions::{ChangeKind, FieldChange};

use super::{Badge, Tone};

/// A table of changed fields.
#[component]
pub fn DiffView(changes: Vec<FieldChange>, #[prop(into)] label: String) -> impl IntoView {
    if changes.is_empty() {
        return view! { <p class="secondary small">"No field differs."</p> }.into_any();
    }
    let rows = changes.into_iter().map(|change| {
        let (tone, word) = match change.kind {
            ChangeKind::Added => (Tone::Ok, "added"),
            ChangeKind::Removed => (Tone::Bad, "removed"),
            ChangeKind::Changed => (Tone::Info, "changed"),
        };
        view! {
            <tr>
                <td>{change.path}</td>
                <td>
                    <Badge tone text=word />
                </td>
                <td>{change.before.as_ref().map(|value| view! { <del>{text_of(value)}</del> })}</td>
                <td>{change.after.as_ref().map(|value| view! { <ins>{text_of(value)}</ins> })}</td>
            </tr>
        }
    });
    let caption = label.clone();
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label=label>
            <table class="diff">
                <caption class="visually-hidden">{caption}</caption>
                <thead>
                    <tr>
                        <th scope="col">"Field"</th>
                        <th scope="col">"Change"</th>
                        <th scope="col">"Before"</th>
                        <th scope="col">"After"</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => {
            serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
        }
        other => other.to_string(),
    }
}
