//! Trying the API that is on the page, as its publisher.

use std::collections::BTreeMap;

use leptos::prelude::*;
use sluice_contract::definition::{Access, Route};
use sluice_contract::rest::apis::{Api, LiveRevision};
use sluice_contract::rest::catalogue::CatalogueRelease;

use super::draft::use_draft;
use crate::pages::try_it::{Operation, Subject, TryIt};

#[component]
pub fn TryTab() -> impl IntoView {
    let draft = use_draft();
    // Polling the API must not take the form away.
    let subject = Memo::new(move |_| subject_of(draft.latest.get().value));
    move || view! { <TryIt subject=subject.get() /> }
}

fn subject_of(api: Api) -> Subject {
    let Api { base_path, draft, live, .. } = api;
    let routes: BTreeMap<_, _> =
        draft.routes.iter().map(|route| (route.id.clone(), route.policies.clone())).collect();
    let release = |live: LiveRevision| CatalogueRelease {
        environment_slug: live.environment_slug,
        policies: draft.policies.clone(),
        routes: routes.clone(),
    };
    let releases = live.into_iter().map(release).collect();
    let access = draft.access;
    let operation = |route: Route| {
        let Route { id, summary, methods, path, headers, access: own, .. } = route;
        let needs_key = own.unwrap_or(access) == Access::Subscription;
        Operation { id, summary, methods, path, headers, needs_key }
    };
    Subject { base_path, operations: draft.routes.into_iter().map(operation).collect(), releases }
}
