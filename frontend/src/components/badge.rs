//! Small facts: states, counts, methods, status codes.

use leptos::prelude::*;

/// What a colour means, everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Idle,
    Ok,
    Warn,
    Bad,
    Info,
    Accent,
}

impl Tone {
    pub fn attribute(self) -> Option<&'static str> {
        match self {
            Self::Idle => None,
            Self::Ok => Some("ok"),
            Self::Warn => Some("warn"),
            Self::Bad => Some("bad"),
            Self::Info => Some("info"),
            Self::Accent => Some("accent"),
        }
    }

    /// Of an HTTP status.
    pub fn of_status(status: u16) -> Self {
        match status {
            0..200 => Self::Idle,
            200..300 => Self::Ok,
            300..400 => Self::Info,
            400..500 => Self::Warn,
            500.. => Self::Bad,
        }
    }
}

/// A state in one or two words.
#[component]
pub fn Badge(
    #[prop(optional)] tone: Tone,
    /// A dot before the word, for states of things that live.
    #[prop(optional)]
    dot: bool,
    /// The dot breathes: something is going on.
    #[prop(optional)]
    live: bool,
    #[prop(into)] text: String,
) -> impl IntoView {
    view! {
        <span class="badge" data-tone=tone.attribute() data-dot=dot data-live=live>
            {text}
        </span>
    }
}

/// A number of things that wait.
#[component]
pub fn Count(#[prop(into)] value: Signal<u64>, #[prop(optional)] tone: Tone) -> impl IntoView {
    view! { <span class="count" data-tone=tone.attribute()>{move || crate::format::count(value.get())}</span> }
}

/// An HTTP method.
#[component]
pub fn MethodTag(#[prop(into)] method: String) -> impl IntoView {
    let word = method.clone();
    view! { <span class="method" data-method=method>{word}</span> }
}

/// An HTTP status in the colour of its class.
#[component]
pub fn StatusCode(status: u16) -> impl IntoView {
    let tone = match Tone::of_status(status) {
        Tone::Ok => "tone-ok",
        Tone::Warn => "tone-warn",
        Tone::Bad => "tone-bad",
        Tone::Info => "tone-info",
        Tone::Idle | Tone::Accent => "muted",
    };
    view! { <span class=format!("status-code {tone}")>{status}</span> }
}
