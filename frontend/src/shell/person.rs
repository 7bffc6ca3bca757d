//! Who is signed in, and signing out.

use gloo_net::http::Method;
use leptos::prelude::*;

use crate::api;
use crate::components::{Menu, MenuItem, MenuLink, use_toasts};
use crate::icons::{KEYBOARD, LOCK, LOG_OUT};
use crate::session::use_current;
use crate::state::{Task, effect, go};

/// The initials of a name, at most two.
pub(super) fn initials(name: &str) -> String {
    name.split_whitespace().filter_map(|word| word.chars().next()).take(2).collect()
}

#[component]
pub(super) fn PersonMenu(sheet: RwSignal<bool>) -> impl IntoView {
    let current = use_current();
    let name = Signal::derive(move || current.session().map(|session| session.name).unwrap_or_default());
    let email = Signal::derive(move || current.session().map(|session| session.email).unwrap_or_default());
    let leave = Task::new();
    let toasts = use_toasts();
    let go = go();
    let sign_out = move |()| {
        leave.run(api::send::<()>(Method::DELETE, "/session", None, None), move |()| {
            current.sign_out();
            go.run("/login".to_owned());
        });
    };
    effect(move || {
        if let Some(problem) = leave.problem().get() {
            toasts.failed(format!("You are still signed in: {}", problem.title));
        }
    });
    let trigger = move || {
        view! {
            <span class="avatar" aria-hidden="true">
                {move || initials(&name.get())}
            </span>
            <span class="person-text">
                <span class="truncate small strong">{name}</span>
                <span class="truncate tiny muted">{email}</span>
            </span>
        }
    };
    view! {
        <Menu
            label=Signal::derive(move || format!("Account of {}", name.get()))
            class="person"
            side="above-start"
            trigger=trigger
        >
            <MenuLink href="/settings/account" icon=LOCK>
                "Account"
            </MenuLink>
            <MenuItem icon=KEYBOARD on_click=move |()| sheet.set(true)>
                "Keyboard shortcuts"
            </MenuItem>
            <div class="menu-line" role="separator"></div>
            <MenuItem icon=LOG_OUT on_click=sign_out>
                "Sign out"
            </MenuItem>
        </Menu>
    }
}

#[cfg(test)]
mod tests {
    use super::initials;

    #[test]
    fn initials_are_of_the_first_two_words() {
        assert_eq!(initials("Ada King Lovelace"), "AK");
        assert_eq!(initials("  zoë "), "z");
        assert_eq!(initials(""), "");
    }
}
