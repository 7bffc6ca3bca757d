//! The applications of the tenant: one may be purged, and purges are named after them.

use leptos::prelude::*;
use sluice_contract::ids::ApplicationId;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::page::Page;

use crate::api;
use crate::session::use_current;
use crate::state::remote;

/// The applications of the tenant, once they have arrived.
#[derive(Clone, Copy)]
pub(super) struct Applications(Signal<Vec<Application>>);

/// Fetches the applications. Call it while the component is built.
pub(super) fn use_applications() -> Applications {
    let current = use_current();
    let page = remote(move || {
        let path = current.path("/applications?limit=200&sort=name");
        async move { api::get::<Page<Application>>(&path).await }
    });
    Applications(Signal::derive(move || page.get().map(|page| page.items).unwrap_or_default()))
}

impl Applications {
    /// For a list to choose from: none is chosen by itself.
    pub(super) fn options(self) -> Signal<Vec<(String, String)>> {
        Signal::derive(move || {
            let none = (String::new(), "Choose one".to_owned());
            let all = self.0.get().into_iter().map(|it| (it.id.to_string(), it.name));
            std::iter::once(none).chain(all).collect()
        })
    }

    /// Its name, or its id where it is not among them. Tracks.
    pub(super) fn name(self, id: ApplicationId) -> String {
        self.0.with(|all| {
            all.iter().find(|it| it.id == id).map_or_else(|| id.to_string(), |it| it.name.clone())
        })
    }
}
