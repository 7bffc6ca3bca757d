//! Choosing one of a few: as cards that explain themselves, or as segments.

use leptos::prelude::*;

use crate::state::unique_id;

/// One card of [`Choices`].
#[derive(Clone)]
pub struct Choice {
    pub value: &'static str,
    pub title: &'static str,
    pub note: &'static str,
}

/// Radio buttons as cards.
#[component]
pub fn Choices(#[prop(into)] label: String, value: RwSignal<String>, choices: Vec<Choice>) -> impl IntoView {
    let name = unique_id("choice");
    let cards = choices.into_iter().map(|choice| {
        let mine = choice.value;
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name=name.clone()
                    value=mine
                    prop:checked=move || value.with(|value| value == mine)
                    on:change=move |_| value.set(mine.to_owned())
                />
                <span class="choice-text">
                    <strong>{choice.title}</strong>
                    <small>{choice.note}</small>
                </span>
            </label>
        }
    });
    view! {
        <fieldset class="fieldset">
            <legend>{label}</legend>
            <div class="choices">{cards.collect_view()}</div>
        </fieldset>
    }
}

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
