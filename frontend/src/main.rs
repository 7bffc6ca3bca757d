//! The console: a Leptos application that runs in the browser and speaks to the admin API.
//!
//! `app` names every page, `shell` is the frame around them, `pages` holds one folder for each area,
//! `components` the design system, `state` how data gets from the API into a view.

mod api;
mod app;
mod components;
mod curl;
mod format;
mod icons;
mod lazy;
mod pages;
mod session;
mod shell;
mod state;
mod theme;

use leptos::prelude::*;

fn main() {
    theme::apply_saved();
    leptos::mount::mount_to_body(app::App);
    announce_ready();
}

/// Takes the loading mark away and tells tests and tools that the application has taken over the page.
fn announce_ready() {
    let document = document();
    if let Some(mark) = document.get_element_by_id("boot") {
        mark.remove();
    }
    if let Some(root) = document.document_element() {
        // Nothing depends on the attribute inside of the console, so that a failure has nobody to tell.
        drop(root.set_attribute("data-ready", "true"));
    }
}
