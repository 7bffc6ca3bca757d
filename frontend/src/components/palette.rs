//! The command palette (Ctrl-K): go anywhere by typing.

use leptos::ev::KeyboardEvent;
use leptos::html;
use leptos::prelude::*;

use crate::icons::{Glyph, Icon};
use crate::state::{effect, go};

/// One thing that the palette offers.
#[derive(Clone, PartialEq)]
pub struct Command {
    pub title: String,
    /// What kind of thing it is: "Page", "API".
    pub hint: &'static str,
    pub icon: Icon,
    pub href: String,
}

/// The palette. `typed` is shared, so that its owner can add what a search on the server finds.
#[component]
pub fn CommandPalette(
    open: RwSignal<bool>,
    typed: RwSignal<String>,
    #[prop(into)] commands: Signal<Vec<Command>>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let chosen = RwSignal::new(0_usize);
    let go = go();
    effect(move || {
        let Some(dialog) = dialog.get() else { return };
        if open.get() && !dialog.open() {
            typed.set(String::new());
            drop(dialog.show_modal());
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    let found = Memo::new(move |_| typed.with(|typed| matching(&commands.get(), typed)));
    effect(move || {
        typed.track();
        chosen.set(0);
    });
    let run = move |i: usize| {
        if let Some(command) = found.with_untracked(|found| found.get(i).cloned()) {
            open.set(false);
            go.run(command.href);
        }
    };
    let press = move |event: KeyboardEvent| {
        let count = found.with_untracked(Vec::len);
        match event.key().as_str() {
            "ArrowDown" if count > 0 => chosen.update(|i| *i = (*i + 1) % count),
            "ArrowUp" if count > 0 => chosen.update(|i| *i = (*i + count - 1) % count),
            "Enter" => run(chosen.get_untracked()),
            _ => return,
        }
        event.prevent_default();
    };
    let items = move || {
        let found = found.get();
        if found.is_empty() {
            return view! { <p class="palette-none">"Nothing matches."</p> }.into_any();
        }
        let options = found.into_iter().enumerate().map(|(i, command)| {
            view! {
                <li
                    class="palette-item"
                    role="option"
                    id=format!("palette-{i}")
                    aria-selected=move || (chosen.get() == i).to_string()
                    on:pointermove=move |_| chosen.set(i)
                    on:click=move |_| run(i)
                >
                    <Glyph icon=command.icon />
                    <span class="truncate">{command.title}</span>
                    <span class="palette-hint">{command.hint}</span>
                </li>
            }
        });
        view! {
            <ul class="palette-list" id="palette-list" role="listbox" aria-label="Results">
                {options.collect_view()}
            </ul>
        }
        .into_any()
    };
    view! {
        <dialog
            class="dialog palette"
            node_ref=dialog
            aria-label="Go to"
            on:close=move |_| open.set(false)
            on:click=move |event| {
                if dialog.get_untracked().is_some_and(|dialog| event.target().as_ref() == Some(dialog.as_ref())) {
                    open.set(false);
                }
            }
        >
            <Show when=move || open.get()>
                <input
                    class="palette-input"
                    type="text"
                    role="combobox"
                    aria-label="Go to"
                    aria-expanded="true"
                    aria-controls="palette-list"
                    aria-activedescendant=move || format!("palette-{}", chosen.get())
                    autocomplete="off"
                    autofocus=true
                    placeholder="Go to a page, an API, an application…"
                    prop:value=typed
                    on:input=move |event| typed.set(event_target_value(&event))
                    on:keydown=press
                />
                {items}
            </Show>
        </dialog>
    }
}

/// What matches, best first: by prefix, by word, by substring.
fn matching(commands: &[Command], typed: &str) -> Vec<Command> {
    let typed = typed.trim().to_lowercase();
    let mut found: Vec<(u8, &Command)> = commands
        .iter()
        .filter_map(|command| {
            let title = command.title.to_lowercase();
            let rank = if title.starts_with(&typed) {
                0
            } else if title.split_whitespace().any(|word| word.starts_with(&typed)) {
                1
            } else if title.contains(&typed) {
                2
            } else {
                return None;
            };
            Some((rank, command))
        })
        .collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().take(40).map(|(_, command)| command.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icons::SEARCH;

    #[test]
    fn what_begins_with_the_text_comes_first() {
        let commands = ["Call log", "Users & teams", "API calls", "Recall"].map(|title| Command {
            title: title.to_owned(),
            hint: "Page",
            icon: SEARCH,
            href: String::new(),
        });
        let titles = |typed| -> Vec<String> {
            matching(&commands, typed).into_iter().map(|command| command.title).collect()
        };
        assert_eq!(titles("CALL"), ["Call log", "API calls", "Recall"]);
        assert_eq!(titles("").len(), 4);
        assert!(titles("zzz").is_empty());
    }
}
