//! A menu behind a button: arrow keys move, Escape closes, focus returns to the button.

use leptos::ev::{FocusEvent, KeyboardEvent};
use leptos::html;
use leptos::prelude::*;
use leptos_router::components::A;
use wasm_bindgen::JsCast;

use crate::icons::{Glyph, Icon};

#[derive(Clone, Copy)]
struct MenuState {
    open: RwSignal<bool>,
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
    provide_context(MenuState { open });
    let root = NodeRef::<html::Div>::new();
    let button = NodeRef::<html::Button>::new();
    let list = NodeRef::<html::Div>::new();
    Effect::new(move |_| {
        if open.get() && list.get().is_some() {
            focus_item(list, Step::First);
        }
    });
    let leave = move |event: FocusEvent| {
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
        if open.get_untracked() {
            event.prevent_default();
            focus_item(list, step);
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
                aria-label=move || label.get()
                on:click=move |_| open.update(|open| *open = !*open)
            >
                {trigger.run()}
            </button>
            <Show when=move || open.get()>
                <div class="menu-list" role="menu" aria-label=move || label.get() data-side=side node_ref=list>
                    {children.with_value(|children| children())}
                </div>
            </Show>
        </div>
    }
}

enum Step {
    First,
    Last,
    Next,
    Previous,
}

fn focus_item(list: NodeRef<html::Div>, step: Step) {
    let Some(list) = list.get_untracked() else { return };
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

fn close_menu() {
    if let Some(MenuState { open }) = use_context() {
        open.set(false);
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
        if let Some(MenuState { open }) = state {
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
            disabled=move || disabled.get()
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
    view! {
        <A href=href attr:class="menu-item" attr:role="menuitem" attr:tabindex="-1" on:click=move |_| close_menu()>
            {icon.map(|icon| view! { <Glyph icon /> })}
            {children()}
        </A>
    }
}
