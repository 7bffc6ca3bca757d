//! The outline of what is being loaded.

use leptos::prelude::*;

/// What the missing content will look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skeleton {
    /// Lines of text.
    Lines(u8),
    /// A row of numbers.
    Stats,
    /// A chart.
    Chart,
}

impl Skeleton {
    /// Draws it.
    pub fn into_any(self) -> AnyView {
        let (shape, bars) = match self {
            Self::Lines(lines) => (None, lines),
            Self::Stats => (Some("stats"), 4),
            Self::Chart => (Some("chart"), 1),
        };
        view! {
            <div class="skeleton" data-shape=shape role="status" aria-label="Loading">
                {(0..bars).map(|_| view! { <span></span> }).collect_view()}
            </div>
        }
        .into_any()
    }
}
