//! Tabs that are links: each has an address, so that a reload or a bookmark opens the same one.

use leptos::prelude::*;
use leptos_router::components::A;

/// One tab.
#[derive(Clone)]
pub struct TabLink {
    pub title: String,
    pub href: String,
    /// Open only at its very address, not at those below it.
    exact: bool,
}

impl TabLink {
    pub fn new(title: impl Into<String>, href: impl Into<String>) -> Self {
        Self { title: title.into(), href: href.into(), exact: true }
    }

    /// A tab that is also open at the addresses below its own.
    pub fn and_below(self) -> Self {
        Self { exact: false, ..self }
    }
}

/// A row of tabs. `label` names the set.
#[component]
pub fn Tabs(#[prop(into)] label: String, tabs: Vec<TabLink>) -> impl IntoView {
    let links = tabs.into_iter().map(|tab| {
        view! {
            <A href=tab.href exact=tab.exact>
                {tab.title}
            </A>
        }
    });
    view! {
        <nav class="tabs" aria-label=label>
            {links.collect_view()}
        </nav>
    }
}
