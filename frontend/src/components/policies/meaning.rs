//! What the settings of a policy mean for those who read through it: how old their data may be, and who sees whose.

use leptos::prelude::*;
use serde_json::{Value, json};
use sluice_policies::cache::{Sharing, sharing_of, staleness_of};

use crate::components::{CheckBox, Notice, Tone};

/// How old the data may be that readers see, while the form is filled in.
#[component]
pub(super) fn Staleness(kind: RwSignal<String>, settings: RwSignal<Value>) -> impl IntoView {
    let words = Memo::new(move |_| settings.with(|settings| staleness_of(&kind.get(), settings)));
    let shown = move |words| {
        view! {
            <div class="policy-meaning" role="status">
                <Notice tone=Tone::Info>{words}</Notice>
            </div>
        }
    };
    move || words.get().map(shown)
}

/// What the settings share between callers, each to be confirmed: that is how they are said twice.
#[component]
pub(super) fn Confirmations(
    kind: RwSignal<String>,
    settings: RwSignal<Value>,
    /// Somebody tried to save before everything was confirmed.
    missed: RwSignal<bool>,
) -> impl IntoView {
    let shared = Memo::new(move |_| settings.with(|settings| sharing_of(&kind.get(), settings)));
    let box_of = move |sharing: Sharing| {
        let checked = Signal::derive(move || settings.with(|settings| is_confirmed(settings, sharing)));
        let change = move |now: bool| settings.update(|settings| confirm(settings, sharing, now));
        view! { <CheckBox label=sharing.means() checked on_change=change /> }
    };
    let boxes = move || shared.get().into_iter().map(box_of).collect_view();
    view! {
        <Show when=move || shared.with(|shared| !shared.is_empty())>
            <Notice tone=Tone::Warn title="Callers will see what was meant for others. Confirm each:">
                <div class="stack" data-gap="2">
                    {boxes}
                </div>
                <Show when=move || missed.get()>
                    <p class="field-error" role="alert">
                        "Confirm what is shared, or take it back. Nothing has been saved."
                    </p>
                </Show>
            </Notice>
        </Show>
    }
}

/// The settings as they are saved: confirmed is what they share and nothing else. None: something has not been confirmed.
pub(super) fn confirmed_whole(kind: &str, settings: &Value) -> Option<Value> {
    let shared = sharing_of(kind, settings);
    let mut whole = settings.clone();
    if let Some(Value::Array(names)) = whole.get_mut("confirmed") {
        names.retain(|name| shared.iter().any(|sharing| name == sharing.name()));
    }
    if let Some(fields) = whole.as_object_mut().filter(|_| shared.is_empty()) {
        fields.remove("confirmed");
    }
    shared.iter().all(|sharing| is_confirmed(&whole, *sharing)).then_some(whole)
}

fn is_confirmed(settings: &Value, sharing: Sharing) -> bool {
    let names = settings.get("confirmed").and_then(Value::as_array);
    names.is_some_and(|names| names.iter().any(|name| name == sharing.name()))
}

fn confirm(settings: &mut Value, sharing: Sharing, now: bool) {
    let Some(settings) = settings.as_object_mut() else { return };
    let names = settings.entry("confirmed").or_insert_with(|| json!([]));
    let Some(names) = names.as_array_mut() else { return };
    names.retain(|name| name != sharing.name());
    if now {
        names.push(json!(sharing.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_saved_until_everything_that_is_shared_is_confirmed() {
        let mut settings = json!({ "shared": true, "store_set_cookie": true });
        assert_eq!(confirmed_whole("cache", &settings), None);
        confirm(&mut settings, Sharing::Shared, true);
        assert_eq!(confirmed_whole("cache", &settings), None);
        confirm(&mut settings, Sharing::StoreSetCookie, true);
        assert_eq!(confirmed_whole("cache", &settings), Some(settings.clone()));
        confirm(&mut settings, Sharing::Shared, false);
        assert_eq!(confirmed_whole("cache", &settings), None);
    }

    #[test]
    fn a_confirmation_goes_with_the_setting_that_it_was_for() {
        let settings = json!({ "shared": false, "confirmed": ["shared"] });
        let saved = confirmed_whole("cache", &settings).unwrap();
        assert_eq!(saved, json!({ "shared": false }));
    }

    #[test]
    fn other_policies_have_nothing_to_confirm() {
        let settings = json!({ "requests": 1 });
        assert_eq!(confirmed_whole("rate-limit", &settings), Some(settings));
        assert_eq!(confirmed_whole("headers", &Value::Null), Some(Value::Null));
    }
}
