//! The frame of pages before sign-in: one calm column.

use leptos::prelude::*;

use super::theme_menu::ThemeMenu;
use crate::icons::BrandMark;

/// A page without navigation.
#[component]
pub fn Plain(#[prop(optional)] wide: bool, children: Children) -> impl IntoView {
    view! {
        <div class="plain">
            <header class="plain-head">
                <span class="brand">
                    <BrandMark />
                    "Sluice"
                </span>
                <ThemeMenu side="below-end" />
            </header>
            <main class="plain-body">
                <div class="plain-card" data-wide=wide>
                    {children()}
                </div>
            </main>
            <footer class="plain-foot">"Publish, consume and observe APIs."</footer>
        </div>
    }
}
