//! The tenant at work, and changing it.

use leptos::prelude::*;

use super::person::initials;
use crate::components::{Menu, MenuItem};
use crate::icons::{CHEVRONS, Glyph};
use crate::session::use_current;
use crate::state::go;

#[component]
pub(super) fn TenantSwitcher() -> impl IntoView {
    let current = use_current();
    let go = go();
    let name = Signal::derive(move || current.tenant().map(|tenant| tenant.name).unwrap_or_default());
    let trigger = move || {
        view! {
            <span class="avatar" data-square="true" aria-hidden="true">
                {move || initials(&name.get())}
            </span>
            <span class="truncate">{name}</span>
            <Glyph icon=CHEVRONS />
        }
    };
    let tenants = move || {
        let tenants = current.session().map(|session| session.tenants).unwrap_or_default();
        tenants
            .into_iter()
            .map(|tenant| {
                let id = tenant.id;
                let checked = Signal::derive(move || current.tenant().is_some_and(|tenant| tenant.id == id));
                let pick = move |()| {
                    current.choose_tenant(id);
                    go.run("/".to_owned());
                };
                view! { <MenuItem checked on_click=pick>{tenant.name}</MenuItem> }
            })
            .collect_view()
    };
    view! {
        <Menu
            label=Signal::derive(move || format!("Tenant: {}", name.get()))
            class="switcher"
            side="below-start"
            trigger=trigger
        >
            {tenants}
        </Menu>
    }
}
