//! Trying the API that is on the page, as its publisher: the operations of the draft, and what the gateways do with calls.

use leptos::prelude::*;
use sluice_contract::definition::{Access, ApiDefinition, Route};
use sluice_contract::rest::apis::{Api, LiveRevision};
use sluice_contract::rest::catalogue::CatalogueRelease;
use sluice_contract::rest::revisions::Revision;

use super::draft::use_draft;
use crate::api;
use crate::components::Skeleton;
use crate::pages::try_it::{Operation, Subject, TryIt};
use crate::state::remote;

#[component]
pub fn TryTab() -> impl IntoView {
    let draft = use_draft();
    let live = Memo::new(move |_| draft.latest.with(|latest| latest.value.live.clone()));
    // What gateways do with a call is in the revisions that they have, whatever the draft says by now.
    let releases = remote(move || {
        let live = live.get();
        async move {
            let mut releases = Vec::with_capacity(live.len());
            for LiveRevision { environment_slug, revision, .. } in live {
                let path = draft.path(&format!("/revisions/{revision}"));
                let revision = api::get::<Revision>(&path).await?;
                releases.push(release_of(environment_slug, revision.definition));
            }
            Ok(releases)
        }
    });
    releases.view(Skeleton::Lines(8), move |releases| {
        // Polling the API must not take the form away.
        let subject = Memo::new(move |_| subject_of(draft.latest.get().value, releases.clone()));
        move || view! { <TryIt subject=subject.get() /> }
    })
}

fn release_of(environment_slug: String, definition: ApiDefinition) -> CatalogueRelease {
    let routes = definition.routes.into_iter().map(|route| (route.id, route.policies)).collect();
    CatalogueRelease { environment_slug, policies: definition.policies, routes }
}

fn subject_of(api: Api, releases: Vec<CatalogueRelease>) -> Subject {
    let Api { base_path, draft, .. } = api;
    let access = draft.access;
    let operation = |route: Route| {
        let Route { id, summary, methods, path, headers, access: own, .. } = route;
        let needs_key = own.unwrap_or(access) == Access::Subscription;
        Operation { id, summary, methods, path, headers, needs_key }
    };
    Subject { base_path, operations: draft.routes.into_iter().map(operation).collect(), releases }
}
