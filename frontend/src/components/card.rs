//! The parts that pages are made of: head, panels, numbers, notices.

use leptos::prelude::*;

use super::Tone;
use crate::icons::{CIRCLE_ALERT, CIRCLE_CHECK, Glyph, INFO, Icon, TRIANGLE_ALERT};

/// The title of a page, what it is for, and what one can do here.
#[component]
pub fn PageHead(
    #[prop(into)] title: Signal<String>,
    #[prop(optional, into)] note: Option<Signal<String>>,
    /// Badges beside the title.
    #[prop(optional, into)]
    aside: ViewFnOnce,
    /// The actions of the page.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <header class="page-head">
            <div class="page-head-text">
                <div class="page-head-title">
                    <h1>{title}</h1>
                    {aside.run()}
                </div>
                {note.map(|note| view! { <p class="page-head-note">{note}</p> })}
            </div>
            {children.map(|children| view! { <div class="page-head-actions">{children()}</div> })}
        </header>
    }
}

/// A surface with a heading.
#[component]
pub fn Panel(
    #[prop(optional, into)] title: Option<String>,
    #[prop(optional, into)] note: Option<String>,
    /// What stands at the right of the heading.
    #[prop(optional, into)]
    actions: ViewFnOnce,
    /// Content to the edges, as for tables.
    #[prop(optional)]
    flush: bool,
    children: Children,
) -> impl IntoView {
    let head = title.map(|title| {
        view! {
            <div class="panel-head">
                <div>
                    <h2>{title}</h2>
                    {note.map(|note| view! { <p>{note}</p> })}
                </div>
                {actions.run()}
            </div>
        }
    });
    view! {
        <section class="panel">
            {head} <div class="panel-body" data-flush=flush>
                {children()}
            </div>
        </section>
    }
}

/// One number that matters, with what to compare it to.
#[component]
pub fn Stat(
    #[prop(into)] label: String,
    #[prop(into)] value: Signal<String>,
    #[prop(optional, into)] note: Option<Signal<String>>,
    /// A sparkline, or nothing.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    // "12.4 ms": the unit steps back behind the number.
    let parts = move || {
        let value = value.get();
        match value.rsplit_once(' ') {
            Some((number, unit)) if number.ends_with(|c: char| c.is_ascii_digit()) => {
                (number.to_owned(), unit.to_owned())
            }
            _ => (value, String::new()),
        }
    };
    view! {
        <div class="stat">
            <span class="stat-label">{label}</span>
            <span class="stat-value">
                {move || parts().0} <span class="stat-unit">{move || parts().1}</span>
            </span>
            {note.map(|note| view! { <span class="stat-note">{note}</span> })}
            {children.map(|children| children())}
        </div>
    }
}

/// Something that a person should know here.
#[component]
pub fn Notice(
    #[prop(optional)] tone: Tone,
    #[prop(optional, into)] title: Option<String>,
    children: Children,
) -> impl IntoView {
    let icon: Icon = match tone {
        Tone::Ok => CIRCLE_CHECK,
        Tone::Warn => TRIANGLE_ALERT,
        Tone::Bad => CIRCLE_ALERT,
        Tone::Idle | Tone::Info | Tone::Accent => INFO,
    };
    view! {
        <div class="notice" data-tone=tone.attribute() role=(tone == Tone::Bad).then_some("alert")>
            <Glyph icon />
            <div class="notice-text">
                {title.map(|title| view! { <strong>{title}</strong> })} <div>{children()}</div>
            </div>
        </div>
    }
}
