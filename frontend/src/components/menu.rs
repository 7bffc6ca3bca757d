//! A menu behind a button: arrow keys move, Escape closes, focus returns to the button.
//!
//! The list is a popover, so that no table or sidebar that scrolls can clip it.

use leptos::context::Provider;
use leptos::ev::{FocusEvent, KeyboardEvent};
use leptos::html;
use leptos::prelude::*;
use leptos_router::components::A;
use wasm_bindgen::JsCast;

use crate::icons::{Glyph, Icon};
use crate::state::effect;

#[derive(Clone, Copy)]
struct MenuState {
    open: RwSignal<bool>,
    button: NodeRef<html::Button>,
}

/// A button (`trigger` is its content) and the menu that it opens.
#[component]
pub fn Menu(
    #[prop(into)] label: Signal<String>,
    /// Class of the button.
    #[prop(default = "button")]
    class: &'static str,
    /// `below-start`, `below-end` or `above-start`.
    #[prop(default = "below-end")]
    side: &'static str,
    #[prop(into)] trigger: ViewFnOnce,
    children: ChildrenFn,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let root = NodeRef::<html::Div>::new();
    let button = NodeRef::<html::Button>::new();
    let list = NodeRef::<html::Div>::new();
    let place = RwSignal::new(Place::default());
    effect(move || {
        if let (true, Some(list), Some(button)) = (open.get(), list.get(), button.get_untracked()) {
            // Refused only for an element that is not in the page; then there is nothing to show.
            drop(list.show_popover());
            place.set(Place::beside(&button, &list, side));
            focus_item(&list, Step::First);
        }
    });
    let scrolled = window_event_listener(leptos::ev::scroll, move |_| {
        open.try_set(false);
    });
    on_cleanup(move || scrolled.remove());
    let leave = move |event: FocusEvent| {
        // The focus also leaves when the button goes with its row or its page, and this menu with it.
        if open.try_get_untracked() != Some(true) {
            return;
        }
        let inside = root
            .get_untracked()
            .zip(event.related_target())
            .is_some_and(|(root, target)| root.contains(target.dyn_ref::<web_sys::Node>()));
        if !inside {
            open.set(false);
        }
    };
    let press = move |event: KeyboardEvent| {
        let step = match event.key().as_str() {
            "ArrowDown" => Step::Next,
            "ArrowUp" => Step::Previous,
            "Home" => Step::First,
            "End" => Step::Last,
            "Escape" => {
                open.set(false);
                focus(button.get_untracked().as_deref());
                return;
            }
            _ => return,
        };
        if let (true, Some(list)) = (open.get_untracked(), list.get_untracked()) {
            event.prevent_default();
            focus_item(&list, step);
        }
    };
    let children = StoredValue::new(children);
    view! {
        <div class="menu" node_ref=root on:focusout=leave on:keydown=press>
            <button
                node_ref=button
                type="button"
                class=class
                aria-haspopup="menu"
                aria-expanded=move || open.get().to_string()
                aria-label=label
                on:click=move |_| open.update(|open| *open = !*open)
            >
                {trigger.run()}
            </button>
            <Show when=move || open.get()>
                <div
                    class="menu-list"
                    popover="manual"
                    role="menu"
                    aria-label=label
                    node_ref=list
                    style:left=move || place.get().left
                    style:top=move || place.get().top
                    style:min-width=move || place.get().width
                >
                    <Provider value=MenuState { open, button }>{children.with_value(|children| children())}</Provider>
                </div>
            </Show>
        </div>
    }
}

/// Where a list stands, in CSS pixels of the viewport.
#[derive(Clone, Default)]
struct Place {
    left: String,
    top: String,
    width: String,
}

impl Place {
    /// On the wanted side of the button; on the other one when there is no room; never outside of the window.
    fn beside(button: &web_sys::Element, list: &web_sys::HtmlElement, side: &str) -> Self {
        const GAP: f64 = 4.0;
        let at = button.get_bounding_client_rect();
        let size =
            |value: Result<wasm_bindgen::JsValue, _>| value.ok().and_then(|v| v.as_f64()).unwrap_or(0.0);
        let (window_width, window_height) = (size(window().inner_width()), size(window().inner_height()));
        let width =
            f64::from(list.offset_width()).max(if side.ends_with("start") { at.width() } else { 0.0 });
        let height = f64::from(list.offset_height());
        let (below, above) = (at.bottom() + GAP, at.top() - GAP - height);
        let top = if side.starts_with("above") {
            if above < GAP { below } else { above }
        } else if below + height > window_height {
            above
        } else {
            below
        };
        let left = if side.ends_with("end") { at.right() - width } else { at.left() };
        Self {
            left: format!("{:.0}px", left.min(window_width - width - GAP).max(GAP)),
            top: format!("{:.0}px", top.max(GAP)),
            width: format!("{width:.0}px"),
        }
    }
}

enum Step {
    First,
    Last,
    Next,
    Previous,
}

fn focus_item(list: &web_sys::Element, step: Step) {
    let Ok(items) = list.query_selector_all("[role^=menuitem]:not(:disabled)") else { return };
    let count = items.length();
    if count == 0 {
        return;
    }
    let active = document().active_element();
    let present = (0..count).find(|&i| items.get(i).is_some_and(|item| item.is_same_node(active.as_deref())));
    let wanted = match (step, present) {
        (Step::First, _) | (Step::Next, None) => 0,
        (Step::Last, _) | (Step::Previous, None | Some(0)) => count - 1,
        (Step::Next, Some(i)) => (i + 1) % count,
        (Step::Previous, Some(i)) => i - 1,
    };
    focus(items.get(wanted).as_ref().and_then(|item| item.dyn_ref()));
}

fn focus(element: Option<&web_sys::HtmlElement>) {
    if let Some(element) = element {
        // Focus can only fail for an element that has left the page.
        drop(element.focus());
    }
}

/// An action in a menu.
#[component]
pub fn MenuItem(
    #[prop(optional, into)] icon: Option<Icon>,
    #[prop(optional)] danger: bool,
    /// For choices: whether it is the chosen one.
    #[prop(optional, into)]
    checked: Option<Signal<bool>>,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(into)] on_click: Callback<()>,
    children: Children,
) -> impl IntoView {
    let state = use_context::<MenuState>();
    let pick = move |_| {
        if let Some(MenuState { open, button }) = state {
            // The item goes: a dialog that it opens gives the focus back to the button.
            focus(button.get_untracked().as_deref());
            open.set(false);
        }
        on_click.run(());
    };
    view! {
        <button
            type="button"
            class="menu-item"
            role=if checked.is_some() { "menuitemradio" } else { "menuitem" }
            tabindex="-1"
            data-tone=danger.then_some("bad")
            aria-checked=move || checked.map(|checked| checked.get().to_string())
            disabled=disabled
            on:click=pick
        >
            {icon.map(|icon| view! { <Glyph icon /> })}
            {children()}
        </button>
    }
}

/// A link in a menu.
#[component]
pub fn MenuLink(
    #[prop(into)] href: String,
    #[prop(optional, into)] icon: Option<Icon>,
    children: Children,
) -> impl IntoView {
    let state = use_context::<MenuState>();
    let close = move |_| {
        if let Some(MenuState { open, .. }) = state {
            open.set(false);
        }
    };
    view! {
        <A href=href attr:class="menu-item" attr:role="menuitem" attr:tabindex="-1" on:click=close>
            {icon.map(|icon| view! { <Glyph icon /> })}
            {children()}
        </A>
    }
}
