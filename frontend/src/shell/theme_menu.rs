//! Light, dark or as the system.

use leptos::prelude::*;

use crate::components::{Menu, MenuItem};
use crate::icons::{Glyph, SUN_MOON};
use crate::theme::{self, Theme};

#[component]
pub(super) fn ThemeMenu(side: &'static str) -> impl IntoView {
    let chosen = RwSignal::new(theme::saved());
    let items = move || {
        Theme::ALL
            .into_iter()
            .map(|theme| {
                let checked = Signal::derive(move || chosen.get() == theme);
                let pick = move |()| {
                    theme::choose(theme);
                    chosen.set(theme);
                };
                view! { <MenuItem checked on_click=pick>{theme.label()}</MenuItem> }
            })
            .collect_view()
    };
    view! {
        <div class="theme-menu">
            <Menu label=Signal::stored("Theme".to_owned()) class="button icon-button" side trigger=move || view! { <Glyph icon=SUN_MOON /> }>
                {items}
            </Menu>
        </div>
    }
}
