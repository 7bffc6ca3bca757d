//! Keyboard shortcuts: Ctrl-K, `?`, `/`, and `g` followed by a letter.

use std::time::Duration;

use leptos::ev::{KeyboardEvent, keydown};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::Dialog;
use crate::state::go;

const CHORD_WITHIN: Duration = Duration::from_millis(1_200);

/// A chord: `g`, then this letter, leads there.
pub type Chord = (char, &'static str, &'static str);

/// Listens for shortcuts for as long as the calling component lives.
pub fn listen(chords: &'static [Chord], palette: RwSignal<bool>, sheet: RwSignal<bool>) {
    let waiting = StoredValue::new(false);
    let go = go();
    let handle = window_event_listener(keydown, move |event: KeyboardEvent| {
        let key = event.key();
        if (event.ctrl_key() || event.meta_key()) && key.eq_ignore_ascii_case("k") {
            event.prevent_default();
            palette.update(|open| *open = !*open);
            return;
        }
        if event.ctrl_key() || event.meta_key() || event.alt_key() || is_typing(&event) || is_modal() {
            return;
        }
        if waiting.get_value() {
            waiting.set_value(false);
            if let Some((_, _, href)) = chords.iter().find(|(letter, ..)| key == letter.to_string()) {
                event.prevent_default();
                go.run((*href).to_owned());
            }
            return;
        }
        match key.as_str() {
            "g" => {
                waiting.set_value(true);
                let forget = move || {
                    waiting.try_set_value(false);
                };
                set_timeout(forget, CHORD_WITHIN);
            }
            "?" => sheet.set(true),
            "/" => {
                event.prevent_default();
                palette.set(true);
            }
            _ => {}
        }
    });
    on_cleanup(move || handle.remove());
}

fn is_typing(event: &KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlElement>().ok());
    target.is_some_and(|element| {
        element.is_content_editable()
            || matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
    })
}

fn is_modal() -> bool {
    document().query_selector("dialog[open]").ok().flatten().is_some()
}

/// All shortcuts.
#[component]
pub fn ShortcutSheet(open: RwSignal<bool>, chords: &'static [Chord]) -> impl IntoView {
    let keys = move || {
        let general = [
            ("Search and go to", vec!["Ctrl", "K"]),
            ("Search and go to", vec!["/"]),
            ("This sheet", vec!["?"]),
        ];
        let general = general.into_iter().map(|(name, keys)| {
            let keys = keys.into_iter().map(|key| view! { <kbd>{key}</kbd> });
            view! { <div><dt>{name}</dt><dd>{keys.collect_view()}</dd></div> }
        });
        let chords = chords.iter().map(|(letter, name, _)| {
            view! { <div><dt>{format!("Go to {name}")}</dt><dd><kbd>"g"</kbd><kbd>{letter.to_string()}</kbd></dd></div> }
        });
        view! { {general.collect_view()} {chords.collect_view()} }
    };
    view! {
        <Dialog open title="Keyboard shortcuts">
            <dl class="keys">{keys()}</dl>
        </Dialog>
    }
}
