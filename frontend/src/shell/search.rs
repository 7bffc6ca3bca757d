//! What the command palette offers: the areas of the console, and what a search on the server finds.

use leptos::prelude::*;
use sluice_contract::problem::Problem;
use sluice_contract::rest::apis::ApiSummary;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::session::Permission;

use super::nav::GROUPS;
use crate::api;
use crate::components::{Command, CommandPalette};
use crate::format::query_value;
use crate::icons::{BOXES, WAYPOINTS};
use crate::session::{Current, use_current};
use crate::state::remote;

#[component]
pub(super) fn Search(open: RwSignal<bool>) -> impl IntoView {
    let current = use_current();
    let typed = RwSignal::new(String::new());
    let found = remote(move || find(current, if open.get() { typed.get() } else { String::new() }));
    let commands = Signal::derive(move || {
        let areas = GROUPS.iter().flat_map(|(_, areas)| areas.iter());
        let pages = areas.filter(|area| area.is_open_to(current)).map(|area| Command {
            title: area.title.to_owned(),
            hint: "Page",
            icon: area.icon,
            href: area.href.to_owned(),
        });
        pages.chain(found.get().unwrap_or_default()).collect::<Vec<_>>()
    });
    view! { <CommandPalette open typed commands /> }
}

/// APIs and applications whose names contain the text. What the person may not list is left out.
fn find(current: Current, text: String) -> impl Future<Output = Result<Vec<Command>, Problem>> {
    let text = query_value(text.trim());
    let ask = !text.is_empty();
    let apis = (ask && current.can(Permission::ReadManagement))
        .then(|| current.path(&format!("/apis?limit=8&q={text}")));
    let apps = (ask
        && (current.can(Permission::ManageApplications) || current.can(Permission::ReadManagement)))
    .then(|| current.path(&format!("/applications?limit=8&q={text}")));
    async move {
        let mut found = Vec::new();
        if let Some(path) = apis {
            let page: Page<ApiSummary> = api::get(&path).await?;
            found.extend(page.items.into_iter().map(|item| Command {
                href: format!("/apis/{}", item.id),
                title: item.name,
                hint: "API",
                icon: WAYPOINTS,
            }));
        }
        if let Some(path) = apps {
            let page: Page<Application> = api::get(&path).await?;
            found.extend(page.items.into_iter().map(|item| Command {
                href: format!("/apps/{}", item.id),
                title: item.name,
                hint: "Application",
                icon: BOXES,
            }));
        }
        Ok(found)
    }
}
