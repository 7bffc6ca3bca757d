//! Policies of an API, or of one of its routes.

use leptos::prelude::*;
use sluice_contract::definition::{ApiDefinition, PolicyAttachment};
use sluice_contract::rest::policy_types::PolicyScope;
use sluice_contract::rest::session::Permission;

use super::draft::use_draft;
use crate::components::{PolicyList, SavePolicies, SelectField};
use crate::session::use_current;

#[component]
pub fn PoliciesTab() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    // The route whose policies are shown; empty: the API's own.
    let place = RwSignal::new(String::new());
    let may_edit = current.can(Permission::ManageApis);
    let places = Signal::derive(move || {
        let whole = ("".to_owned(), "Every route of the API".to_owned());
        let routes = draft.definition().routes.into_iter().map(|route| (route.id.clone(), route.id));
        std::iter::once(whole).chain(routes).collect::<Vec<_>>()
    });
    let attached = Memo::new(move |_| attachments(&draft.definition(), &place.get()).to_vec());
    let scope =
        Signal::derive(
            move || {
                if place.with(String::is_empty) { PolicyScope::Api } else { PolicyScope::Route }
            },
        );
    let save = SavePolicies::new(move |(task, list, done)| {
        let place = place.get_untracked();
        draft.save(
            task,
            move |update| {
                if let Some(attached) = attachments_mut(&mut update.draft, &place) {
                    *attached = list;
                }
            },
            move || done.run(()),
        );
    });
    view! {
        <PolicyList attached scope may_edit on_save=save>
            <SelectField label="Attached to" value=place options=places />
        </PolicyList>
    }
}

fn attachments<'d>(definition: &'d ApiDefinition, place: &str) -> &'d [PolicyAttachment] {
    match definition.routes.iter().find(|route| route.id == place) {
        Some(route) if !place.is_empty() => &route.policies,
        _ => &definition.policies,
    }
}

fn attachments_mut<'d>(
    definition: &'d mut ApiDefinition,
    place: &str,
) -> Option<&'d mut Vec<PolicyAttachment>> {
    if place.is_empty() {
        return Some(&mut definition.policies);
    }
    definition.routes.iter_mut().find(|route| route.id == place).map(|route| &mut route.policies)
}
