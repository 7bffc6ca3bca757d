//! Form fields: a label, a control, help, and what is wrong, tied together for assistive technology.

use leptos::prelude::*;

use crate::icons::{CIRCLE_ALERT, Glyph, SEARCH};
use crate::state::unique_id;

/// What every field says about its control.
#[derive(Clone)]
struct Words {
    id: String,
    label: Signal<String>,
    optional: bool,
    help: Option<String>,
    error: Signal<Option<String>>,
}

impl Words {
    fn described_by(&self) -> impl Fn() -> Option<String> + Send + Sync + 'static {
        let (id, help, error) = (self.id.clone(), self.help.is_some(), self.error);
        move || {
            let wrong = error.with(Option::is_some);
            match (help, wrong) {
                (_, true) => Some(format!("{id}-error")),
                (true, false) => Some(format!("{id}-help")),
                (false, false) => None,
            }
        }
    }

    fn invalid(&self) -> impl Fn() -> Option<&'static str> + Send + Sync + 'static {
        let error = self.error;
        move || error.with(Option::is_some).then_some("true")
    }

    fn frame(self, control: AnyView) -> AnyView {
        let Self { id, label, optional, help, error } = self;
        let (help_id, error_id) = (format!("{id}-help"), format!("{id}-error"));
        view! {
            <div class="field">
                <label class="field-label" for=id>
                    {label}
                    {optional.then(|| view! { <span class="field-optional">"optional"</span> })}
                </label>
                {control}
                {help.map(|help| view! { <p class="field-help" id=help_id>{help}</p> })}
                {move || {
                    error
                        .get()
                        .map(|error| {
                            view! {
                                <p class="field-error" id=error_id.clone()>
                                    <Glyph icon=CIRCLE_ALERT />
                                    {error}
                                </p>
                            }
                        })
                }}
            </div>
        }
        .into_any()
    }
}

/// One line of text.
#[component]
pub fn TextField(
    #[prop(into)] label: Signal<String>,
    value: RwSignal<String>,
    #[prop(optional, into)] help: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    /// `text`, `password`, `email`, `url`, `number`, `datetime-local`.
    #[prop(default = "text")]
    kind: &'static str,
    #[prop(optional, into)] placeholder: Option<String>,
    #[prop(optional)] required: bool,
    /// Says "optional" beside the label.
    #[prop(optional)]
    optional: bool,
    #[prop(optional)] mono: bool,
    #[prop(optional)] autofocus: bool,
    #[prop(optional)] autocomplete: Option<&'static str>,
    #[prop(optional)] minlength: Option<u32>,
    #[prop(optional, into)] disabled: Signal<bool>,
) -> impl IntoView {
    let words = Words { id: unique_id("field"), label, optional, help, error };
    let control = view! {
        <input
            class="input"
            id=words.id.clone()
            type=kind
            step=(kind == "number").then_some("any")
            data-mono=mono
            placeholder=placeholder
            required=required
            autofocus=autofocus
            autocomplete=autocomplete
            minlength=minlength
            disabled=disabled
            aria-describedby=words.described_by()
            aria-invalid=words.invalid()
            prop:value=value
            on:input=move |event| value.set(event_target_value(&event))
        />
    };
    words.frame(control.into_any())
}

/// Several lines of text.
#[component]
pub fn TextArea(
    #[prop(into)] label: Signal<String>,
    value: RwSignal<String>,
    #[prop(optional, into)] help: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    #[prop(optional, into)] placeholder: Option<String>,
    #[prop(optional)] required: bool,
    #[prop(optional)] optional: bool,
    #[prop(optional)] mono: bool,
    #[prop(optional)] tall: bool,
) -> impl IntoView {
    let words = Words { id: unique_id("field"), label, optional, help, error };
    let control = view! {
        <textarea
            class="textarea"
            id=words.id.clone()
            data-mono=mono
            data-tall=tall
            placeholder=placeholder
            required=required
            spellcheck=(!mono).to_string()
            aria-describedby=words.described_by()
            aria-invalid=words.invalid()
            prop:value=value
            on:input=move |event| value.set(event_target_value(&event))
        ></textarea>
    };
    words.frame(control.into_any())
}

/// One of a list of `(value, text)`.
#[component]
pub fn SelectField(
    #[prop(into)] label: Signal<String>,
    value: RwSignal<String>,
    #[prop(into)] options: Signal<Vec<(String, String)>>,
    #[prop(optional, into)] help: Option<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    #[prop(optional)] optional: bool,
    #[prop(optional, into)] disabled: Signal<bool>,
) -> impl IntoView {
    let words = Words { id: unique_id("field"), label, optional, help, error };
    let control = view! {
        <select
            class="select"
            id=words.id.clone()
            disabled=disabled
            aria-describedby=words.described_by()
            aria-invalid=words.invalid()
            on:change=move |event| value.set(event_target_value(&event))
        >
            {move || option_list(options.get(), value)}
        </select>
    };
    words.frame(control.into_any())
}

fn option_list(options: Vec<(String, String)>, value: RwSignal<String>) -> impl IntoView {
    options
        .into_iter()
        .map(|(key, text)| {
            let mine = key.clone();
            view! { <option value=key prop:selected=move || value.with(|value| *value == mine)>{text}</option> }
        })
        .collect_view()
}

/// A setting that is on or off.
#[component]
pub fn Switch(
    #[prop(into)] label: String,
    checked: RwSignal<bool>,
    #[prop(optional, into)] help: Option<String>,
    #[prop(optional, into)] disabled: Signal<bool>,
) -> impl IntoView {
    let id = unique_id("switch");
    let help_id = help.is_some().then(|| format!("{id}-help"));
    view! {
        <div class="switch">
            <input
                type="checkbox"
                role="switch"
                id=id.clone()
                aria-describedby=help_id.clone()
                disabled=disabled
                prop:checked=checked
                on:change=move |event| checked.set(event_target_checked(&event))
            />
            <div class="switch-text">
                <label for=id>{label}</label>
                {help.map(|help| view! { <p class="field-help" id=help_id>{help}</p> })}
            </div>
        </div>
    }
}

/// One box of a set that can be ticked.
#[component]
pub fn CheckBox(
    #[prop(into)] label: String,
    #[prop(into)] checked: Signal<bool>,
    #[prop(into)] on_change: Callback<bool>,
) -> impl IntoView {
    view! {
        <label class="check">
            <input
                type="checkbox"
                prop:checked=checked
                on:change=move |event| on_change.run(event_target_checked(&event))
            />
            {label}
        </label>
    }
}

/// A search box above a list. Reports what was typed after a short rest.
#[component]
pub fn SearchField(
    #[prop(into)] label: String,
    #[prop(into)] value: Signal<String>,
    #[prop(into)] on_change: Callback<String>,
) -> impl IntoView {
    let mut settle = debounce(std::time::Duration::from_millis(250), move |text: String| on_change.run(text));
    view! {
        <div class="input-group">
            <Glyph icon=SEARCH />
            <input
                class="input"
                type="search"
                placeholder=label.clone()
                aria-label=label
                prop:value=value
                on:input=move |event| settle(event_target_value(&event))
            />
        </div>
    }
}
