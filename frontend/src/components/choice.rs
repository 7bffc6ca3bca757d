//! Choosing one of a few, as segments.

use leptos::prelude::*;

/// Buttons of which one is pressed. `options` are `(value, text)`.
#[component]
pub fn Segments(
    #[prop(into)] label: String,
    #[prop(into)] value: Signal<String>,
    options: Vec<(&'static str, &'static str)>,
    #[prop(into)] on_pick: Callback<String>,
) -> impl IntoView {
    let buttons = options.into_iter().map(|(mine, text)| {
        view! {
            <button
                type="button"
                aria-pressed=move || value.with(|value| value == mine).to_string()
                on:click=move |_| on_pick.run(mine.to_owned())
            >
                {text}
            </button>
        }
    });
    view! {
        <div class="segments" role="group" aria-label=label>
            {buttons.collect_view()}
        </div>
    }
}
