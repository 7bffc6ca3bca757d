//! What came back: status, time, headers, body, and where the call log has it.

use std::time::Duration;

use gloo_timers::future::sleep;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sluice_contract::ids::CallId;
use sluice_contract::rest::calls::CallRow;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::session::Permission;

use super::indent::indented;
use super::send::{Answer, Content};
use crate::api;
use crate::components::{Badge, CodeBlock, LinkButton, StatusCode, Tone};
use crate::format;
use crate::icons::CALLS;
use crate::session::{Current, use_current};

/// Calls reach the log within a second or two; after ten something is wrong, and the link leads to the search.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

#[component]
pub fn AnswerView(answer: Answer) -> impl IntoView {
    let id = answer.header("x-request-id");
    let Answer { status, head_us, whole_us, headers, bytes, content } = answer;
    let state = if status == 0 {
        view! { <Badge tone=Tone::Info text="a redirect" /> }.into_any()
    } else {
        view! { <StatusCode status /> }.into_any()
    };
    let redirect = (status == 0).then(|| {
        view! {
            <p class="secondary small">
                "The API answers with a redirect. Browsers do not tell a page where to; curl and the call log do."
            </p>
        }
    });
    let rows = headers.into_iter().map(|(name, value)| {
        view! {
            <dt>{name}</dt>
            <dd>
                <code class="break">{value}</code>
            </dd>
        }
    });
    view! {
        <section class="stack" aria-label="What came back">
            <dl class="facts">
                <dt>"Status"</dt>
                <dd>{state}</dd>
                <dt>"Time"</dt>
                <dd>
                    {format::micros(whole_us)}
                    <span class="secondary">{format!(", head after {}", format::micros(head_us))}</span>
                </dd>
                <dt>"Size"</dt>
                <dd>{format::bytes(bytes as u64)}</dd>
                <dt>"Request id"</dt>
                <dd>
                    {match id.clone() {
                        Some(id) => view! { <code class="break">{id}</code> }.into_any(),
                        None => view! { <span class="secondary">"not shown to this page"</span> }.into_any(),
                    }}
                </dd>
            </dl>
            {redirect}
            {id.map(|id| view! { <InLog id /> })}
            <h3>"Headers"</h3>
            <dl class="facts">{rows.collect_view()}</dl>
            {body(content)}
        </section>
    }
}

fn body(content: Content) -> AnyView {
    match content {
        Content::Nothing => view! { <p class="secondary small">"No body."</p> }.into_any(),
        Content::Binary => view! { <p class="secondary small">"The body is not a text."</p> }.into_any(),
        Content::Text(text, cut) => {
            let text = if cut { text } else { indented(&text).unwrap_or(text) };
            let note = cut.then(|| view! { <p class="secondary small">"Only its beginning is shown."</p> });
            view! {
                <CodeBlock title="Body" text=Signal::stored(text) wrap=true />
                {note}
            }
            .into_any()
        }
    }
}

/// A link to the call in the log, once it is there.
#[component]
fn InLog(id: String) -> impl IntoView {
    let current = use_current();
    let found = RwSignal::new(None::<CallId>);
    let waiting = RwSignal::new(true);
    if !untrack(|| current.can(Permission::ReadCalls)) {
        return ().into_any();
    }
    let path = untrack(|| log_path(current, &id));
    spawn_local(async move {
        for _ in 0..TRIES {
            let page = api::get::<Page<CallRow>>(&path).await;
            let call = page.ok().and_then(|page| page.items.first().map(|row| row.call.id));
            if call.is_some() {
                found.try_set(call);
                return;
            }
            // Nothing comes back when the page that asked is gone.
            if waiting.try_get_untracked().is_none() {
                return;
            }
            sleep(PAUSE).await;
        }
        waiting.try_set(false);
    });
    let search = format!("/calls?range=1h&request_id={}", format::query_value(&id));
    let link = move || match found.get() {
        Some(call) => view! {
            <LinkButton href=format!("/calls/{call}") icon=CALLS>
                "The call in the log"
            </LinkButton>
        }
        .into_any(),
        None if waiting.get() => {
            view! { <p class="secondary small">"The call log will have it in a second."</p> }.into_any()
        }
        None => view! {
            <LinkButton href=search.clone() icon=CALLS>
                "Search the call log"
            </LinkButton>
        }
        .into_any(),
    };
    view! { <div class="row">{link}</div> }.into_any()
}

fn log_path(current: Current, id: &str) -> String {
    current.path(&format!("/calls?limit=1&request_id={}", format::query_value(id)))
}
