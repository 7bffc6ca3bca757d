//! Buttons, and links that look like them.

use leptos::prelude::*;
use leptos_router::components::A;

use crate::icons::{Glyph, Icon, LOADER};

/// How much a button asks for attention. At most one `Primary` on a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Plain,
    Primary,
    Quiet,
    Danger,
    /// Destructive, but not the main thing here.
    DangerQuiet,
}

impl Kind {
    fn attribute(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Primary => Some("primary"),
            Self::Quiet => Some("quiet"),
            Self::Danger => Some("danger"),
            Self::DangerQuiet => Some("danger-quiet"),
        }
    }
}

/// A button. Without `children` it shows its icon only and `label` names it.
#[component]
pub fn Button(
    #[prop(optional)] kind: Kind,
    #[prop(optional, into)] icon: Option<Icon>,
    /// `sm` or `lg`.
    #[prop(optional)]
    size: Option<&'static str>,
    /// The accessible name, where the text doesn't say enough or there is none.
    #[prop(optional, into)]
    label: Option<Signal<String>>,
    /// Shows a spinner and takes no clicks.
    #[prop(optional, into)]
    busy: Signal<bool>,
    #[prop(optional, into)] disabled: Signal<bool>,
    /// Submits the form that it stands in.
    #[prop(optional)]
    submit: bool,
    #[prop(optional, into)] on_click: Option<Callback<()>>,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    let square = children.is_none();
    let shown = move || if busy.get() { Some(LOADER) } else { icon };
    view! {
        <button
            class="button"
            type=if submit { "submit" } else { "button" }
            data-kind=kind.attribute()
            data-size=size
            data-square=square
            aria-label=move || label.map(|label| label.get())
            title=move || if square { label.map(|label| label.get()) } else { None }
            aria-busy=move || busy.get().then_some("true")
            disabled=move || disabled.get() || busy.get()
            on:click=move |_| {
                if let Some(on_click) = on_click {
                    on_click.run(());
                }
            }
        >
            {move || shown().map(|icon| view! { <Glyph icon /> })}
            {children.map(|children| children())}
        </button>
    }
}

/// A link to another page of the console that looks like a button.
#[component]
pub fn LinkButton(
    #[prop(into)] href: String,
    #[prop(optional)] kind: Kind,
    #[prop(optional, into)] icon: Option<Icon>,
    #[prop(optional)] size: Option<&'static str>,
    children: Children,
) -> impl IntoView {
    view! {
        <A href=href attr:class="button" attr:data-kind=kind.attribute() attr:data-size=size>
            {icon.map(|icon| view! { <Glyph icon /> })}
            {children()}
        </A>
    }
}
