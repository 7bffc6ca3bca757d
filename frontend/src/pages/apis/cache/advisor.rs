//! Which routes would gain by a cache policy, from their recorded calls, and making one; what was predicted of those that were
//! made, beside what they achieve.

mod make;
mod words;

use leptos::prelude::*;
use sluice_contract::rest::cache_advice::{
    CacheAchieved, CacheAdvice, CacheChoice, CachePrediction, RouteAdvice,
};

use crate::api;
use crate::components::{Badge, Button, Panel, Skeleton, Tone};
use crate::format;
use crate::pages::apis::draft::use_draft;
use crate::state::remote;
use make::Make;

/// What nobody can tell from recorded calls.
const UNKNOWN: &str =
    "Not in the log, so for you to know: what answers contain, and credentials in fields of their own.";

#[component]
pub(super) fn Advisor() -> impl IntoView {
    let asked = RwSignal::new(false);
    let shown = move || {
        if asked.get() {
            return view! { <Looked /> }.into_any();
        }
        view! { <Button on_click=move |()| asked.set(true)>"Look at the calls of the last day"</Button> }
            .into_any()
    };
    view! {
        <Panel
            title="Cache advisor"
            note="Plays recorded GET calls to a cache that is not there: which routes would gain, and at what lifetime."
        >
            {shown}
        </Panel>
    }
}

#[component]
fn Looked() -> impl IntoView {
    let draft = use_draft();
    let advice = remote(move || {
        let path = draft.path("/cache-advice");
        async move { api::get::<CacheAdvice>(&path).await }
    });
    let again = Callback::new(move |()| advice.reload());
    view! {
        <div class="stack">
            {advice.live(Skeleton::Lines(4), move |advice| {
                view! { {move || advice.with(|advice| list(advice, again))} }
            })}
            <div>
                <Button on_click=again>"Look again"</Button>
            </div>
        </div>
    }
}

fn list(advice: &CacheAdvice, again: Callback<()>) -> AnyView {
    let looked = format!(
        "{} looked at{}. The API may hold {} on all gateways together.",
        format::plural(advice.calls as usize, "GET call", "GET calls"),
        if advice.truncated { ", the newest of more" } else { "" },
        format::bytes(advice.memory_bytes)
    );
    if advice.routes.is_empty() {
        return view! {
            <p class="secondary small">
                {looked} " No route of the draft was called often enough with GET: twenty calls are needed."
            </p>
        }
        .into_any();
    }
    view! {
        <p class="secondary small">{looked}</p>
        <ul class="stack" data-gap="6" aria-label="Advice by route">
            {advice.routes.iter().map(|route| of_route(route, again)).collect_view()}
        </ul>
        <p class="secondary small">{UNKNOWN}</p>
    }
    .into_any()
}

fn of_route(advice: &RouteAdvice, again: Callback<()>) -> impl IntoView + use<> {
    let chosen = advice.choices.iter().find(|choice| Some(choice.ttl_s) == advice.ttl_s).copied();
    let action = match chosen {
        _ if advice.covered => view! { <Badge tone=Tone::Ok text="has a policy" /> }.into_any(),
        Some(choice) => view! { <Make advice=advice.clone() choice again /> }.into_any(),
        None => ().into_any(),
    };
    let body = if advice.covered { comparison(advice) } else { prediction(advice, chosen) };
    view! {
        <li class="stack" data-gap="2">
            <div class="row">
                <code class="break">{advice.route.clone()}</code>
                <span class="secondary small">{traffic(advice)}</span>
                <span class="grow"></span>
                {action}
            </div>
            {body}
            <ul class="stack" data-gap="1" aria-label=format!("Risks of {}", advice.route)>
                {advice.risks.iter().map(words::risk).map(|(tone, text)| view! {
                    <li class="row">
                        <Badge tone text=if tone == Tone::Warn { "risk" } else { "note" } />
                        <span class="small break grow">{text}</span>
                    </li>
                }).collect_view()}
            </ul>
        </li>
    }
}

/// `300 calls, 20 ms upstream time`.
fn traffic(advice: &RouteAdvice) -> String {
    let calls = format::plural(advice.calls as usize, "call", "calls");
    match advice.origin_us {
        Some(took) => format!("{calls}, {} upstream time", format::micros(took)),
        None => calls,
    }
}

/// What a policy would bring.
fn prediction(advice: &RouteAdvice, chosen: Option<CacheChoice>) -> AnyView {
    let Some(CacheChoice { ttl_s, hit_ratio, byte_hit_ratio, memory_bytes, saved_us }) = chosen else {
        return view! { <p>"A cache would answer too few of its calls to be worth a policy."</p> }.into_any();
    };
    let each = saved_us.checked_div(advice.calls).unwrap_or_default();
    let shared = advice.if_shared.filter(|ratio| *ratio > hit_ratio + 0.005).map(|ratio| {
        format!("{} if callers shared what is stored, which the policy does not do.", format::percent(ratio))
    });
    let by_lifetime = advice
        .choices
        .iter()
        .map(|choice| format!("{} {}", format::span(choice.ttl_s), format::percent(choice.hit_ratio)));
    view! {
        <dl class="facts">
            <dt>"Lifetime"</dt>
            <dd>{format::span(ttl_s)}</dd>
            <dt>"Predicted hit ratio"</dt>
            <dd>{format!("{} of calls, {} of bytes", format::percent(hit_ratio), format::percent(byte_hit_ratio))}</dd>
            <dt>"Memory"</dt>
            <dd>{format!("{} at most", format::bytes(memory_bytes))}</dd>
            <dt>"Saved"</dt>
            <dd>{format!("{} of waiting by an average call, {} in all", format::micros(each), format::micros(saved_us))}</dd>
            <dt>"By lifetime"</dt>
            <dd>{by_lifetime.collect::<Vec<_>>().join(" · ")}</dd>
        </dl>
        {shared.map(|text| view! { <p class="secondary small">{text}</p> })}
    }
    .into_any()
}

/// What was predicted of its policy, beside what it has achieved.
fn comparison(advice: &RouteAdvice) -> AnyView {
    let predicted = advice.predicted.as_ref().map(|it| {
        let CachePrediction { ttl_s, hit_ratio, memory_bytes, saved_us_per_call, calls, made_at, made_by } = it;
        let hits = format!("{} of calls", format::percent(*hit_ratio));
        let more = format!(
            "for {}, at most {} of memory, {} saved by an average call; from {} when {made_by} made the policy, {}",
            format::span(*ttl_s),
            format::bytes(*memory_bytes),
            format::micros(*saved_us_per_call),
            format::plural(*calls as usize, "call", "calls"),
            format::date_time(*made_at),
        );
        view! { <dt>"Predicted"</dt> <dd><strong>{hits}</strong> " " {more}</dd> }
    });
    let achieved = match advice.achieved {
        Some(CacheAchieved { since, calls, hit_ratio, memory_bytes, saved_us_per_call }) => {
            let hits = format!("{} of calls", format::percent(hit_ratio));
            let memory = memory_bytes
                .map(|most| format!("at most {} of memory, ", format::bytes(most)))
                .unwrap_or_default();
            let more = format!(
                "{} since {}, {memory}{} saved by an average call",
                format::plural(calls as usize, "call", "calls"),
                format::date_time(since),
                format::micros(saved_us_per_call)
            );
            view! { <strong>{hits}</strong> " " {more} }.into_any()
        }
        None => view! { "No call has met the policy yet: it counts once it is released." }.into_any(),
    };
    view! {
        <dl class="facts">
            {predicted}
            <dt>"Achieved"</dt>
            <dd>{achieved}</dd>
        </dl>
    }
    .into_any()
}
