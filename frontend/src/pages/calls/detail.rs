//! One call: what was asked, what was answered, and where the time went.

use leptos::prelude::*;
use leptos_router::components::A;
use leptos_router::hooks::use_params_map;
use sluice_contract::calls::{Call, SecondLevelAnswer, SecondLevelAsked, StageTime};
use sluice_contract::problem::ErrorSource;
use sluice_contract::rest::calls::CallRow;
use sluice_contract::rest::gateways::Gateway;

use super::list::cache_badge;
use super::repeat;
use crate::api;
use crate::components::{
    Badge, CodeBlock, Crumb, MethodTag, Notice, PageHead, Panel, Skeleton, StatusCode, Tone, set_page,
};
use crate::format;
use crate::session::use_current;
use crate::state::remote;

#[component]
pub fn CallDetail() -> impl IntoView {
    set_page(|| vec![Crumb::link("Calls", "/calls"), Crumb::here("Call")]);
    let params = use_params_map();
    let current = use_current();
    let row = remote(move || {
        let id = params.with(|params| params.get("id")).unwrap_or_default();
        let path = current.path(&format!("/calls/{id}"));
        async move { api::get::<CallRow>(&path).await }
    });
    view! {
        {row.heading("Call")}
        {row.view(Skeleton::Lines(8), |row| view! { <Inspector row /> })}
    }
}

#[component]
fn Inspector(row: CallRow) -> impl IntoView {
    let current = use_current();
    let call = row.call.clone();
    let title = format!("{} {}", call.method, call.path);
    let status = call.status;
    let (served_by, repeated) = (row.gateway, call.clone());
    let gateway = remote(move || {
        let path = current.path(&format!("/gateways/{served_by}"));
        // One that is gone says no more where it was reached.
        async move { Ok(api::get::<Gateway>(&path).await.ok().and_then(|gateway| gateway.public_url)) }
    });
    let command = Signal::derive(move || {
        let tenant = current.tenant().map(|tenant| tenant.slug).unwrap_or_default();
        repeat::command(&repeated, gateway.get().flatten().as_deref(), &tenant)
    });
    let (at, duration) = (call.at, call.duration_us);
    let (failed, times, asked) = (failure(&call), waterfall(&call), request_facts(&call));
    view! {
        <PageHead
            title=Signal::stored(title)
            note=Signal::stored(format::date_time(at))
            aside=move || view! { <StatusCode status /> }
        />
        <div class="stack">
            {failed} <div class="split">
                <div class="stack">
                    <Panel
                        title="Where the time went"
                        note=format!("{} in all", format::micros(duration))
                    >
                        {times}
                    </Panel>
                    <Panel title="Repeat it">
                        <CodeBlock text=command title="curl" wrap=true />
                    </Panel>
                </div>
                <div class="stack">
                    <Panel title="Request">{asked}</Panel>
                    <Panel title="Handled by">{handling_facts(row)}</Panel>
                </div>
            </div>
        </div>
    }
}

fn failure(call: &Call) -> Option<impl IntoView + use<>> {
    let code = call.error.clone()?;
    let who = match call.error_source {
        Some(ErrorSource::Client) => "The caller is at fault.",
        Some(ErrorSource::Gateway) => "The gateway refused or failed.",
        Some(ErrorSource::Upstream) => "The upstream is at fault.",
        Some(ErrorSource::Control) | None => "",
    };
    let tone = if call.status >= 500 { Tone::Bad } else { Tone::Warn };
    Some(view! {
        <Notice tone title="The gateway answered with an error">
            <code class="inline-code">{code}</code>
            " "
            {who}
        </Notice>
    })
}

fn waterfall(call: &Call) -> AnyView {
    if call.stages.is_empty() {
        return view! { <p class="secondary small">"The stages of this call were not recorded."</p> }
            .into_any();
    }
    let whole = call.duration_us.max(1) as f64;
    let rows = call.stages.iter().map(|stage| {
        let StageTime { stage, start_us, took_us } = stage.clone();
        let colour = if stage == "upstream" { 2 } else { 1 };
        let left = format!("{:.2}%", (start_us as f64 / whole * 100.0).min(100.0));
        let width = format!("{:.2}%", (took_us as f64 / whole * 100.0).min(100.0));
        view! {
            <li data-series=colour>
                <span class="truncate">{stage.replace('_', " ")}</span>
                <span class="lane" aria-hidden="true">
                    <span style:left=left style:width=width></span>
                </span>
                <span class="num secondary">{format::micros(took_us)}</span>
            </li>
        }
    });
    view! { <ol class="waterfall">{rows.collect_view()}</ol> }.into_any()
}

fn request_facts(call: &Call) -> impl IntoView + use<> {
    let Call {
        method,
        host,
        path,
        query,
        client_ip,
        user_agent,
        bytes_in,
        bytes_out,
        request_id,
        trace_id,
        ..
    } = call.clone();
    view! {
        <dl class="facts">
            <dt>"Method"</dt>
            <dd>
                <MethodTag method />
            </dd>
            <dt>"Host"</dt>
            <dd>{host}</dd>
            <dt>"Path"</dt>
            <dd>
                <code>{path}</code>
            </dd>
            {query.map(|query| view! { <dt>"Query"</dt><dd><code>{query}</code></dd> })}
            <dt>"Client"</dt>
            <dd>{client_ip}</dd>
            {user_agent.map(|agent| view! { <dt>"User agent"</dt><dd>{agent}</dd> })}
            <dt>"Received"</dt>
            <dd>{format::bytes(bytes_in)}</dd>
            <dt>"Sent"</dt>
            <dd>{format::bytes(bytes_out)}</dd>
            <dt>"Request id"</dt>
            <dd>
                <code>{request_id}</code>
            </dd>
            {trace_id.map(|id| view! { <dt>"Trace id"</dt><dd><code>{id}</code></dd> })}
        </dl>
    }
}

/// `had it after 480 µs`.
fn second_level(SecondLevelAsked { answer, took_us }: SecondLevelAsked) -> String {
    let did = match answer {
        SecondLevelAnswer::Found => "had it",
        SecondLevelAnswer::Nothing => "had nothing",
        SecondLevelAnswer::Failed => "no answer in time",
    };
    format!("{did}, after {}", format::micros(took_us))
}

fn handling_facts(row: CallRow) -> impl IntoView {
    let CallRow { call, gateway, gateway_name, api_name, application_name, plan_name } = row;
    let api = call.api.zip(api_name);
    let application = call.application.zip(application_name);
    view! {
        <dl class="facts">
            <dt>"Gateway"</dt>
            <dd>
                <A href=format!("/gateways/{gateway}")>{gateway_name.unwrap_or_else(|| gateway.to_string())}</A>
            </dd>
            <dt>"API"</dt>
            <dd>
                {match api {
                    Some((id, name)) => view! { <A href=format!("/apis/{id}")>{name}</A> }.into_any(),
                    None => view! { <Badge text="no route matched" /> }.into_any(),
                }}
            </dd>
            {call.route.map(|route| view! { <dt>"Route"</dt><dd><code>{route}</code></dd> })}
            {application
                .map(|(id, name)| {
                    view! {
                        <dt>"Application"</dt>
                        <dd>
                            <A href=format!("/apps/{id}")>{name}</A>
                        </dd>
                    }
                })}
            {plan_name.map(|plan| view! { <dt>"Plan"</dt><dd>{plan}</dd> })}
            <dt>"Cache"</dt>
            <dd>{cache_badge(call.cache)}</dd>
            {call.second_level.map(|asked| view! { <dt>"Second level"</dt><dd>{second_level(asked)}</dd> })}
            {call.target.map(|target| view! { <dt>"Upstream"</dt><dd><code>{target}</code></dd> })}
            {call
                .upstream_us
                .map(|us| view! { <dt>"Upstream answered in"</dt><dd>{format::micros(us)}</dd> })}
        </dl>
    }
}
