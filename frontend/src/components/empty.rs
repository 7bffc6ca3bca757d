//! Nothing here yet: says why that is so and what to do next.

use leptos::prelude::*;

use crate::icons::{Glyph, Icon};

/// An empty list or page, with the next step as its children.
#[component]
pub fn EmptyState(
    icon: Icon,
    #[prop(into)] title: String,
    #[prop(into)] note: String,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="empty">
            <span class="empty-icon">
                <Glyph icon />
            </span>
            <h2>{title}</h2>
            <p class="empty-note">{note}</p>
            {children.map(|children| view! { <div class="empty-actions">{children()}</div> })}
        </div>
    }
}
