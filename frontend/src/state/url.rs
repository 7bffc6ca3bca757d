//! State that lives in the URL, so that a reload, a bookmark and the back button restore a view.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_location, use_navigate, use_query_map};

/// A text in the query of the URL. Setting it replaces the history entry and does not scroll.
#[derive(Clone, Copy)]
pub struct UrlText {
    key: &'static str,
    value: Memo<String>,
}

/// The query parameter `key`; empty when it is absent.
pub fn url_text(key: &'static str) -> UrlText {
    let query = use_query_map();
    UrlText { key, value: Memo::new(move |_| query.with(|map| map.get(key).unwrap_or_default())) }
}

impl UrlText {
    pub fn get(self) -> String {
        self.value.get()
    }

    pub fn get_untracked(self) -> String {
        self.value.get_untracked()
    }

    pub fn signal(self) -> Signal<String> {
        self.value.into()
    }

    /// Returns what sets the parameter. Call it while the component is built: it needs the router's context.
    pub fn setter(self) -> Callback<String> {
        let set = set_url_values();
        Callback::new(move |value: String| set.run(vec![(self.key, value)]))
    }
}

/// Returns what sets several query parameters at once; an empty value removes one.
pub fn set_url_values() -> Callback<Vec<(&'static str, String)>> {
    let location = use_location();
    let navigate = StoredValue::new_local(use_navigate());
    Callback::new(move |values: Vec<(&'static str, String)>| {
        let mut query = location.query.get_untracked();
        for (key, value) in values {
            if value.is_empty() {
                query.remove(key);
            } else {
                query.replace(key.to_owned(), value);
            }
        }
        let target = format!("{}{}", location.pathname.get_untracked(), query.to_query_string());
        navigate.with_value(|navigate| {
            navigate(&target, NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() });
        });
    })
}

/// Returns what leads to another page. Call it while the component is built.
pub fn go() -> Callback<String> {
    navigation(false)
}

/// Like [`go`], but the present page leaves the history.
pub fn go_replacing() -> Callback<String> {
    navigation(true)
}

fn navigation(replace: bool) -> Callback<String> {
    let navigate = StoredValue::new_local(use_navigate());
    Callback::new(move |path: String| {
        navigate.with_value(|navigate| {
            navigate(&path, NavigateOptions { replace, ..NavigateOptions::default() });
        });
    })
}
