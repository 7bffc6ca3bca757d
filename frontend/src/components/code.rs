//! Code, copying, and secrets that are shown once.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use super::{Button, Kind};
use crate::icons::{CHECK, COPY};

/// Copies a text. Its icon confirms for two seconds.
#[component]
pub fn CopyButton(
    #[prop(into)] text: Signal<String>,
    /// What is copied: "Copy key".
    #[prop(into)]
    label: String,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let copy = move |()| {
        let promise = window().navigator().clipboard().write_text(&text.get_untracked());
        spawn_local(async move {
            // Without permission nothing is copied and nothing is confirmed; the text can still be selected.
            if JsFuture::from(promise).await.is_ok() {
                copied.try_set(true);
                let forget = move || {
                    copied.try_set(false);
                };
                set_timeout(forget, Duration::from_secs(2));
            }
        });
    };
    let name = Signal::derive(move || if copied.get() { "Copied".to_owned() } else { label.clone() });
    view! {
        <span class="copy" aria-live="polite">
            {move || {
                let icon = if copied.get() { CHECK } else { COPY };
                view! { <Button kind=Kind::Quiet size="sm" icon=icon label=name on_click=copy /> }
            }}
        </span>
    }
}

/// A block of code, with a button that copies it.
#[component]
pub fn CodeBlock(
    #[prop(into)] text: Signal<String>,
    /// A heading above: the language, or what it is.
    #[prop(optional, into)]
    title: Option<String>,
    #[prop(optional)] wrap: bool,
) -> impl IntoView {
    let label = title.clone().unwrap_or_else(|| "Code".to_owned());
    let name = label.clone();
    let copy = move || view! { <CopyButton text label=format!("Copy {}", name.to_lowercase()) /> };
    view! {
        <div class="code" data-wrap=wrap>
            {match title {
                Some(title) => {
                    view! { <div class="code-head"><span>{title}</span>{copy()}</div> }.into_any()
                }
                None => copy().into_any(),
            }}
            <pre tabindex="0" role="region" aria-label=label><code>{text}</code></pre>
        </div>
    }
}

/// A secret that is shown once.
#[component]
pub fn Secret(#[prop(into)] text: String, #[prop(into)] label: String) -> impl IntoView {
    let copied = text.clone();
    view! {
        <div class="secret">
            <code>{text}</code>
            <CopyButton text=Signal::stored(copied) label=label />
        </div>
    }
}
