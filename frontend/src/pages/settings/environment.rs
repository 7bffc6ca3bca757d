//! One environment: where its gateways are reached, and the policies that hold for every API released to it.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use sluice_contract::rest::environments::{Environment, UpdateEnvironment};
use sluice_contract::rest::policy_types::PolicyScope;

use crate::api::{self, Tagged};
use crate::components::{Crumb, Panel, PolicyList, SavePolicies, Skeleton, set_page, use_toasts};
use crate::state::{Remote, remote};

#[component]
pub fn EnvironmentDetail() -> impl IntoView {
    let params = use_params_map();
    let found = remote(move || {
        let path = format!("/environments/{}", params.with(|params| params.get("id")).unwrap_or_default());
        async move { api::get_tagged::<Environment>(&path).await }
    });
    set_page(move || {
        let name = found.get().map_or_else(|| "Environment".to_owned(), |it| it.value.name);
        vec![
            Crumb::link("Settings", "/settings"),
            Crumb::link("Environments", "/settings/environments"),
            Crumb::here(name),
        ]
    });
    found.live(Skeleton::Lines(8), move |latest| view! { <Body latest found /> })
}

#[component]
fn Body(latest: Signal<Tagged<Environment>>, found: Remote<Tagged<Environment>>) -> impl IntoView {
    let toasts = use_toasts();
    let attached = Memo::new(move |_| latest.with(|it| it.value.settings.policies.clone()));
    let save = SavePolicies::new(move |(task, policies, done)| {
        let Tagged { value: Environment { id, name, mut settings, .. }, etag } = latest.get_untracked();
        settings.policies = policies;
        let path = format!("/environments/{id}");
        let work = async move {
            let saved = api::put_tagged(&path, &UpdateEnvironment { name, settings }, etag.as_deref()).await;
            if saved.as_ref().is_err_and(|problem| problem.status == 412) {
                // What the other person made of it is shown behind the dialog, before it is said that there is something:
                // a second try goes on from there.
                found.set(api::get_tagged::<Environment>(&path).await?);
            }
            saved
        };
        task.run(work, move |saved: Tagged<Environment>| {
            toasts.done(format!("Environment {} saved", saved.value.name));
            found.set(saved);
            done.run(());
        });
    });
    view! {
        <div class="stack">
            {move || facts(latest.get().value)}
            <h2>"Policies"</h2>
            <PolicyList attached scope=PolicyScope::Environment may_edit=true on_save=save>
                <p class="secondary small">
                    "They hold for every API here. What an API or a route attaches of the same type goes first; rate limits all count."
                </p>
            </PolicyList>
        </div>
    }
}

fn facts(environment: Environment) -> impl IntoView {
    let Environment { name, slug, gateway_urls, dedicated_to, .. } = environment;
    let urls =
        if gateway_urls.is_empty() { "no gateway says where".to_owned() } else { gateway_urls.join(", ") };
    let owner = if dedicated_to.is_some() { "one tenant" } else { "all tenants" };
    view! {
        <Panel title=name>
            <dl class="facts">
                <dt>"Slug"</dt>
                <dd>
                    <code>{slug}</code>
                </dd>
                <dt>"For"</dt>
                <dd>{owner}</dd>
                <dt>"Reached at"</dt>
                <dd class="break">{urls}</dd>
            </dl>
        </Panel>
    }
}
