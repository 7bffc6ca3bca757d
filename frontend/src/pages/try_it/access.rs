//! Says why a browser would keep an answer from this page, and puts it right where that is one click.

use leptos::prelude::*;
use sluice_contract::rest::environments::{Environment, UpdateEnvironment};

use super::cors::{self, Level, Verdict};
use crate::api::{self, Tagged};
use crate::components::{Button, Kind, Notice, TaskProblem, Tone, use_toasts};
use crate::session::use_current;
use crate::state::Task;

/// The origin of this page, as the browser names it to the gateway.
pub fn own_origin() -> String {
    window().location().origin().unwrap_or_default()
}

/// Nothing when all is open.
#[component]
pub fn AccessNotice(verdict: Verdict, environment: Environment, on_change: Callback<()>) -> AnyView {
    let (title, level) = match verdict {
        Verdict::Open => return ().into_any(),
        Verdict::Closed(level) => ("The gateway does not let this page read its answers yet", level),
        Verdict::Nameless(level) => ("The gateway keeps the request id from this page", level),
    };
    let origin = own_origin();
    let why = "Browsers show a page of another origin only what the gateway allows by CORS. Programs are not concerned.";
    let body = match level {
        Level::Environment => of_environment(environment, on_change),
        Level::Api | Level::Route => {
            let whose = if level == Level::Api { "The API" } else { "The route" };
            view! {
                <p>
                    {whose} " has a CORS policy of its own, which decides here: add " <code>{origin}</code>
                    " to its origins and " <code>"x-request-id"</code> " to what it exposes, then release."
                </p>
            }
            .into_any()
        }
    };
    view! {
        <Notice tone=Tone::Warn title>
            <div class="stack" data-gap="2">
                <p>{why}</p>
                {body}
            </div>
        </Notice>
    }
    .into_any()
}

fn of_environment(environment: Environment, on_change: Callback<()>) -> AnyView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let origin = own_origin();
    let Environment { id, name, .. } = environment;
    let allow = move |()| {
        let path = format!("/environments/{id}");
        let work = async move {
            let Tagged { value: Environment { name, mut settings, .. }, etag } =
                api::get_tagged::<Environment>(&path).await?;
            cors::allow(&mut settings.policies, &own_origin());
            api::put::<_, Environment>(&path, &UpdateEnvironment { name, settings }, etag.as_deref()).await
        };
        task.run(work, move |saved| {
            toasts.done(format!("{} answers this console now", saved.name));
            on_change.run(());
        });
    };
    if untrack(|| current.is_platform_admin()) {
        view! {
            <p>
                "One click names " <code>{origin}</code> " in the CORS policy of " {name.clone()}
                ", which holds for all of its APIs that have none of their own."
            </p>
            <TaskProblem task />
            <div class="row">
                <Button kind=Kind::Primary busy=task.busy() on_click=allow>
                    {format!("Allow this console in {name}")}
                </Button>
            </div>
        }
        .into_any()
    } else {
        view! {
            <p>
                "Ask an administrator of the platform to name " <code>{origin}</code> " in the CORS policy of "
                {name} ". The curl command works without."
            </p>
        }
        .into_any()
    }
}
