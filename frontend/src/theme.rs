//! Light, dark, or what the system says. The choice lives in this browser and nowhere else.

use leptos::prelude::*;

const KEY: &str = "sluice.theme";

/// What the person chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub fn label(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    fn attribute(self) -> Option<&'static str> {
        match self {
            Self::System => None,
            Self::Light => Some("light"),
            Self::Dark => Some("dark"),
        }
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// The saved choice; `System` when there is none or the browser keeps nothing.
pub fn saved() -> Theme {
    match storage().and_then(|storage| storage.get_item(KEY).ok().flatten()).as_deref() {
        Some("light") => Theme::Light,
        Some("dark") => Theme::Dark,
        _ => Theme::System,
    }
}

/// Applies and remembers a choice.
pub fn choose(theme: Theme) {
    if let Some(storage) = storage() {
        // A browser that refuses storage still gets the theme for as long as the page is open.
        drop(match theme.attribute() {
            Some(value) => storage.set_item(KEY, value),
            None => storage.remove_item(KEY),
        });
    }
    apply(theme);
}

/// Applies the saved choice, before anything is drawn.
pub fn apply_saved() {
    apply(saved());
}

fn apply(theme: Theme) {
    let Some(root) = document().document_element() else { return };
    drop(match theme.attribute() {
        Some(value) => root.set_attribute("data-theme", value),
        None => root.remove_attribute("data-theme"),
    });
}
