//! Finds out who is signed in before anything of the console is shown.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use sluice_contract::problem::Problem;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::session::{Permission, Session};
use sluice_contract::rest::subscriptions::Subscription;

use super::Plain;
use crate::api;
use crate::app::sign_in_path;
use crate::components::{EmptyState, ErrorState, Skeleton};
use crate::icons::BUILDING;
use crate::session::use_current;
use crate::state::{Remote, go_replacing, remote};

/// Subscriptions that wait for a decision: the badge in the navigation, reloaded by whoever decides one.
#[derive(Clone, Copy)]
pub struct PendingApprovals(Remote<u64>);

impl PendingApprovals {
    /// How many wait; at most 200 are counted.
    pub fn count(self) -> Signal<u64> {
        Signal::derive(move || self.0.get().unwrap_or(0))
    }

    pub fn reload(self) {
        self.0.reload();
    }
}

#[component]
pub(super) fn Guard(children: ChildrenFn) -> impl IntoView {
    let current = use_current();
    let problem = RwSignal::new(None::<Problem>);
    let go = go_replacing();
    let ask = move || {
        problem.set(None);
        spawn_local(async move {
            match api::get::<Session>("/session").await {
                Ok(session) => current.sign_in(session),
                Err(refused) if refused.status == 401 => go.run(sign_in_path()),
                Err(other) => {
                    problem.try_set(Some(other));
                }
            }
        });
    };
    if !current.is_signed_in() {
        ask();
    }
    provide_context(PendingApprovals(remote(move || pending(current)).every(Duration::from_secs(30))));
    let there = Memo::new(move |_| current.is_signed_in());
    let homeless = Memo::new(move |_| current.tenant().is_none());
    move || match (there.get(), problem.get()) {
        (true, _) if homeless.get() => view! { <Homeless /> }.into_any(),
        (true, _) => children().into_any(),
        (false, Some(problem)) => {
            view! { <ErrorState problem retry=Callback::new(move |()| ask()) /> }.into_any()
        }
        (false, None) => Skeleton::Lines(3).into_any(),
    }
}

/// Every page is about a tenant.
#[component]
fn Homeless() -> impl IntoView {
    view! {
        <Plain>
            <h1 class="visually-hidden">"No tenant"</h1>
            <EmptyState
                icon=BUILDING
                title="You belong to no tenant"
                note="Ask an administrator to invite you, then reload this page."
            />
        </Plain>
    }
}

fn pending(current: crate::session::Current) -> impl Future<Output = Result<u64, Problem>> {
    let path = current
        .can(Permission::ApproveSubscriptions)
        .then(|| current.path("/subscriptions?state=pending&limit=200"));
    async move {
        match path {
            Some(path) => Ok(api::get::<Page<Subscription>>(&path).await?.items.len() as u64),
            None => Ok(0),
        }
    }
}
