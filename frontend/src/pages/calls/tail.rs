//! Calls as they happen: server-sent events, drawn ten times a second in small portions, so that a busy tenant
//! stays smooth.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::components::A;
use sluice_contract::rest::calls::CallRow;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{EventSource, MessageEvent};

use super::list::cache_badge;
use crate::components::{Badge, Clock, MethodTag, StatusCode, Tone};
use crate::format;

const SHOWN: usize = 100;
/// Rows that are drawn at once: more would hold up a frame. With [`REDRAW`], 250 calls a second are kept up with.
const PORTION: usize = 25;
const REDRAW: Duration = Duration::from_millis(100);
const BASE: &str = "/api/v1";

/// An open tail; closes with the component that opened it.
#[derive(Clone, Copy)]
pub struct Tail {
    /// Newest first.
    rows: RwSignal<Vec<CallRow>>,
    seen: RwSignal<u64>,
    /// Calls that this connection was too slow for.
    skipped: RwSignal<u64>,
    connected: RwSignal<bool>,
}

/// The event that says how many calls were left out.
#[derive(serde::Deserialize)]
struct Skipped {
    at_least: u64,
}

type OnMessage = Closure<dyn FnMut(MessageEvent)>;
type OnChange = Closure<dyn FnMut()>;

/// What must live as long as the connection.
struct Connection {
    source: EventSource,
    _call: OnMessage,
    _skipped: OnMessage,
    _open: OnChange,
    _error: OnChange,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.source.close();
    }
}

impl Tail {
    /// Connects to the tail at `path` (below `/api/v1`) with these filters.
    pub fn open(path: String, filters: String) -> Self {
        let tail = Self {
            rows: RwSignal::new(Vec::new()),
            seen: RwSignal::new(0),
            skipped: RwSignal::new(0),
            connected: RwSignal::new(false),
        };
        let waiting = StoredValue::new(Vec::<CallRow>::new());
        let url = format!("{BASE}{path}{}{filters}", if filters.is_empty() { "" } else { "?" });
        if let Ok(source) = EventSource::new(&url) {
            let kept = StoredValue::new_local(Some(tail.connect(source, waiting)));
            on_cleanup(move || drop(kept.try_update_value(Option::take)));
        }
        if let Ok(handle) = set_interval_with_handle(move || tail.draw(waiting), REDRAW) {
            on_cleanup(move || handle.clear());
        }
        tail
    }

    fn connect(self, source: EventSource, waiting: StoredValue<Vec<CallRow>>) -> Connection {
        let call = OnMessage::new(move |event: MessageEvent| {
            let row = event.data().as_string().and_then(|text| serde_json::from_str(&text).ok());
            if let Some(row) = row {
                waiting.try_update_value(|waiting| waiting.push(row));
            }
        });
        let skipped = OnMessage::new(move |event: MessageEvent| {
            let said = event.data().as_string().and_then(|text| serde_json::from_str::<Skipped>(&text).ok());
            if let Some(Skipped { at_least }) = said {
                self.skipped.try_update(|skipped| *skipped += at_least);
            }
        });
        let open = OnChange::new(move || {
            self.connected.try_set(true);
        });
        // The browser connects again by itself.
        let error = OnChange::new(move || {
            self.connected.try_set(false);
        });
        source.set_onopen(Some(open.as_ref().unchecked_ref()));
        source.set_onerror(Some(error.as_ref().unchecked_ref()));
        // Listening can only fail for an event without a name.
        drop(source.add_event_listener_with_callback("call", call.as_ref().unchecked_ref()));
        drop(source.add_event_listener_with_callback("skipped", skipped.as_ref().unchecked_ref()));
        Connection { source, _call: call, _skipped: skipped, _open: open, _error: error }
    }

    fn draw(self, waiting: StoredValue<Vec<CallRow>>) {
        let Some((passed, mut fresh)) = waiting.try_update_value(next_portion) else { return };
        // A connection that was made again may tell of calls that are shown already.
        self.rows.with_untracked(|rows| {
            fresh.retain(|new| rows.iter().all(|row| row.call.id != new.call.id));
        });
        if fresh.is_empty() {
            return;
        }
        self.seen.update(|seen| *seen += (passed + fresh.len()) as u64);
        self.rows.update(|rows| {
            rows.splice(0..0, fresh.into_iter().rev());
            rows.truncate(SHOWN);
        });
    }
}

/// How many of a flood are left away because they would be pushed out at once, and the oldest of the others.
fn next_portion<T>(waiting: &mut Vec<T>) -> (usize, Vec<T>) {
    let passed = waiting.len().saturating_sub(SHOWN);
    waiting.drain(..passed);
    let rest = waiting.split_off(waiting.len().min(PORTION));
    (passed, std::mem::replace(waiting, rest))
}

/// The newest calls of a tail.
#[component]
pub fn TailTable(tail: Tail) -> impl IntoView {
    let state = move || {
        if tail.connected.get() {
            view! { <Badge tone=Tone::Ok dot=true live=true text="Live" /> }.into_any()
        } else {
            view! { <Badge tone=Tone::Warn dot=true text="Connecting" /> }.into_any()
        }
    };
    let count = move || {
        let seen = format::plural(tail.seen.get() as usize, "call", "calls");
        match tail.skipped.get() {
            0 => format!("{seen} since you opened this"),
            skipped => {
                format!("{seen} since you opened this, at least {} more left out", format::grouped(skipped))
            }
        }
    };
    view! {
        <div class="table-wrap">
            <div class="table-scroll">
                <table class="table" role="table" aria-label="Live calls">
                    <thead role="rowgroup">
                        <tr role="row">
                            <th role="columnheader" scope="col">"Time"</th>
                            <th role="columnheader" scope="col">"Status"</th>
                            <th role="columnheader" scope="col">"Request"</th>
                            <th role="columnheader" scope="col">"API"</th>
                            <th role="columnheader" scope="col">"Application"</th>
                            <th role="columnheader" scope="col">"Cache"</th>
                            <th role="columnheader" scope="col" data-align="end">"Duration"</th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">
                        <For each=move || tail.rows.get() key=|row| row.call.id let:row>
                            <TailRow row />
                        </For>
                    </tbody>
                </table>
            </div>
            <div class="table-foot">
                <span class="row">{state} {count}</span>
                <span>{format!("Shows the newest {SHOWN}")}</span>
            </div>
        </div>
    }
}

#[component]
fn TailRow(row: CallRow) -> impl IntoView {
    let name = |name: Option<String>| name.unwrap_or_else(|| "–".to_owned());
    let CallRow { call, api_name, application_name, .. } = row;
    view! {
        <tr role="row">
            <td role="cell" data-label="Time">
                <A href=format!("/calls/{}", call.id) attr:class="row-link">
                    <Clock at=call.at />
                </A>
            </td>
            <td role="cell" data-label="Status">
                <StatusCode status=call.status />
            </td>
            <td role="cell" data-label="Request">
                <span class="row" data-nowrap="true">
                    <MethodTag method=call.method />
                    <code class="call-path">{call.path}</code>
                </span>
            </td>
            <td role="cell" data-label="API">{name(api_name)}</td>
            <td role="cell" data-label="Application">{name(application_name)}</td>
            <td role="cell" data-label="Cache">{cache_badge(call.cache)}</td>
            <td role="cell" data-label="Duration" data-align="end">{format::micros(call.duration_us)}</td>
        </tr>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_drawn_in_portions_and_only_its_newest() {
        let mut waiting: Vec<_> = (0..SHOWN + 7).collect();
        let (passed, first) = next_portion(&mut waiting);
        assert_eq!((passed, first.len(), first[0]), (7, PORTION, 7));
        let (passed, second) = next_portion(&mut waiting);
        assert_eq!((passed, second[0]), (0, 7 + PORTION));
        waiting.truncate(3);
        assert_eq!(next_portion(&mut waiting).1.len(), 3);
        assert_eq!(next_portion(&mut waiting), (0, Vec::new()));
    }
}
