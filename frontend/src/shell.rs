//! The frame around every signed-in page: navigation, tenant, search, the person.

mod guard;
mod nav;
mod person;
mod plain;
mod search;
mod tenant;
mod theme_menu;

use leptos::html;
use leptos::prelude::*;
use leptos_router::components::{A, Outlet};
use leptos_router::hooks::use_location;

pub use guard::PendingApprovals;
pub use plain::Plain;

use crate::components::{Breadcrumbs, Button, Kind, PageCrumbs, ShortcutSheet, listen};
use crate::icons::{BrandMark, Glyph, MENU, SEARCH};
use crate::state::effect;
use guard::Guard;
use nav::{CHORDS, Navigation};
use person::PersonMenu;
use search::Search;
use tenant::TenantSwitcher;
use theme_menu::ThemeMenu;

/// Shows the pages inside of the frame, once it is known who is signed in.
#[component]
pub fn Shell() -> impl IntoView {
    view! { <Guard>{|| view! { <Frame /> }}</Guard> }
}

#[component]
fn Frame() -> impl IntoView {
    let crumbs = PageCrumbs::provide();
    let drawer = RwSignal::new(false);
    let palette = RwSignal::new(false);
    let sheet = RwSignal::new(false);
    listen(CHORDS, palette, sheet);

    let content = NodeRef::<html::Main>::new();
    let path = use_location().pathname;
    effect(move || {
        // Reading it, not just tracking: what nobody reads is not computed, and so never changes.
        let _ = path.get();
        drawer.set(false);
    });
    let skip = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        if let Some(content) = content.get_untracked() {
            drop(content.focus());
        }
    };
    view! {
        <a class="skip-link" href="#content" on:click=skip>
            "Skip to content"
        </a>
        <div
            class="shell"
            data-drawer=move || if drawer.get() { "open" } else { "closed" }
            on:keydown=move |event| {
                if event.key() == "Escape" {
                    drawer.set(false);
                }
            }
        >
            <aside class="side" aria-label="Sidebar">
                <div class="side-head">
                    <A href="/" attr:class="brand">
                        <BrandMark />
                        "Sluice"
                    </A>
                    <TenantSwitcher />
                </div>
                <Navigation />
                <div class="side-foot">
                    <PersonMenu sheet />
                    <ThemeMenu side="above-start" />
                </div>
            </aside>
            <button class="side-scrim" type="button" aria-label="Close navigation" on:click=move |_| drawer.set(false)></button>
            <div class="main" inert=drawer>
                <header class="top">
                    <span class="menu-button">
                        <Button
                            kind=Kind::Quiet
                            icon=MENU
                            label="Open navigation"
                            on_click=move |()| drawer.set(true)
                        />
                    </span>
                    <Breadcrumbs crumbs />
                    <div class="top-actions">
                        <button
                            class="search-button"
                            type="button"
                            aria-label="Search"
                            on:click=move |_| palette.set(true)
                        >
                            <Glyph icon=SEARCH />
                            <span class="search-text">"Search"</span>
                            <kbd>"Ctrl K"</kbd>
                        </button>
                    </div>
                </header>
                <main class="content" id="content" tabindex="-1" node_ref=content>
                    <Outlet />
                </main>
            </div>
        </div>
        <Search open=palette />
        <ShortcutSheet open=sheet chords=CHORDS />
    }
}
