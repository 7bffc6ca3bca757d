//! Where an API's calls go.

use leptos::prelude::*;
use serde_json::Value;
use sluice_contract::definition::{Breaker, Target, Timeouts, Upstream};
use sluice_contract::problem::Problem;
use sluice_contract::rest::session::Permission;

use super::draft::use_draft;
use crate::components::{
    Button, Dialog, EmptyState, EntryCard, Kind, SelectField, TaskProblem, TextArea, TextField,
};
use crate::icons::{PLUS, SERVER};
use crate::session::use_current;
use crate::state::{Task, effect, opened_by};

/// Which upstream is being edited: its index, or a new one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    New,
    At(usize),
}

/// Seconds for which the form proposes to leave a target alone.
const USUALLY_OPEN_S: u32 = 30;

#[component]
pub fn UpstreamsTab() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let editing = RwSignal::new(None::<Subject>);
    let task = Task::new();
    let may_edit = current.can(Permission::ManageApis);
    let cards = move || {
        let upstreams = draft.definition().upstreams;
        if upstreams.is_empty() {
            return view! {
                <EmptyState
                    icon=SERVER
                    title="No upstream"
                    note="Add the address that calls are passed on to."
                />
            }
            .into_any();
        }
        let remove = move |i: usize| {
            draft.save(
                task,
                move |update| {
                    update.draft.upstreams.remove(i);
                },
                || (),
            );
        };
        upstreams
            .into_iter()
            .enumerate()
            .map(|(i, it)| {
                card(it, may_edit, move |()| editing.set(Some(Subject::At(i))), move |()| remove(i))
            })
            .collect_view()
            .into_any()
    };
    view! {
        <div class="stack">
            <div class="toolbar">
                <p class="secondary small">
                    "Calls are spread over the targets of an upstream by their weights; a target that refuses is skipped."
                </p>
                <span class="grow"></span>
                <Show when=move || may_edit>
                    <Button icon=PLUS on_click=move |()| editing.set(Some(Subject::New))>
                        "Add upstream"
                    </Button>
                </Show>
            </div>
            <TaskProblem task />
            {cards}
        </div>
        <Edit editing />
    }
}

fn card(
    upstream: Upstream,
    may_edit: bool,
    on_edit: impl Fn(()) + Send + Sync + 'static,
    on_remove: impl Fn(()) + Send + Sync + 'static,
) -> impl IntoView {
    let Upstream { name, targets, timeouts, breaker, .. } = upstream;
    let rows = targets.into_iter().map(|target| {
        view! {
            <dt>
                <code>{target.url}</code>
            </dt>
            <dd>{format!("weight {}", target.weight)}</dd>
        }
    });
    let rows = rows.collect_view();
    let Timeouts { connect_ms, first_byte_ms, idle_ms, total_ms } = timeouts;
    let total = total_ms.map_or_else(|| "no limit in all".to_owned(), |ms| format!("{ms} ms in all"));
    let mut note =
        format!("Connect {connect_ms} ms, first byte {first_byte_ms} ms, idle {idle_ms} ms, {total}");
    if let Some(Breaker { failures, open_s }) = breaker {
        note.push_str(&format!("; left alone for {open_s} s after {failures} failures in a row"));
    }
    view! {
        <EntryCard title=name note may_edit on_edit on_remove>
            {rows}
        </EntryCard>
    }
}

#[component]
fn Edit(editing: RwSignal<Option<Subject>>) -> impl IntoView {
    let draft = use_draft();
    let task = Task::new();
    let open = opened_by(editing);
    let name = RwSignal::new(String::new());
    let targets = RwSignal::new(String::new());
    let host = RwSignal::new("target".to_owned());
    let first_byte = RwSignal::new(String::new());
    let (connect, idle) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (failures, open_s) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    effect(move || {
        let Some(subject) = editing.get() else { return };
        task.clear();
        let upstream = match subject {
            Subject::At(i) => draft.api().draft.upstreams.get(i).cloned(),
            Subject::New => None,
        };
        let upstream = upstream.unwrap_or_else(empty);
        name.set(upstream.name);
        targets.set(upstream.targets.iter().map(line_of).collect::<Vec<_>>().join("\n"));
        host.set(mode_of(&upstream.host));
        connect.set(upstream.timeouts.connect_ms.to_string());
        first_byte.set(upstream.timeouts.first_byte_ms.to_string());
        idle.set(upstream.timeouts.idle_ms.to_string());
        failures.set(upstream.breaker.map(|breaker| breaker.failures.to_string()).unwrap_or_default());
        open_s.set(upstream.breaker.map_or(USUALLY_OPEN_S, |breaker| breaker.open_s).to_string());
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(subject) = editing.get_untracked() else { return };
        let mut upstream = match subject {
            Subject::At(i) => draft.api().draft.upstreams.get(i).cloned().unwrap_or_else(empty),
            Subject::New => empty(),
        };
        let Some(read) = read_targets(&targets.get_untracked(), &upstream.targets) else {
            let detail = "One target on each line: its URL, then its weight if it is not 1.";
            task.fail(Problem::new(0, "invalid", "The targets cannot be read").detail(detail));
            return;
        };
        let Some(breaker) = read_breaker(&failures.get_untracked(), &open_s.get_untracked()) else {
            let detail =
                "Failures and seconds are whole numbers; without failures a target is never left alone.";
            task.fail(Problem::new(0, "invalid", "The breaker cannot be read").detail(detail));
            return;
        };
        upstream.breaker = breaker;
        upstream.name = name.get_untracked();
        upstream.targets = read;
        // A fixed host is kept as it is: it is edited by the API.
        if let Ok(mode) = serde_json::from_value(serde_json::json!({ "mode": host.get_untracked() })) {
            upstream.host = mode;
        }
        let times = [connect, first_byte, idle].map(|text| text.get_untracked().trim().parse().ok());
        let [Some(connect_ms), Some(first_byte_ms), Some(idle_ms)] = times else {
            task.fail(Problem::new(0, "invalid", "Timeouts are whole numbers of milliseconds"));
            return;
        };
        upstream.timeouts = Timeouts { connect_ms, first_byte_ms, idle_ms, ..upstream.timeouts };
        draft.save(
            task,
            move |update| match subject {
                Subject::At(i) if i < update.draft.upstreams.len() => update.draft.upstreams[i] = upstream,
                _ => update.draft.upstreams.push(upstream),
            },
            move || open.set(false),
        );
    };
    let title = Signal::derive(move || match editing.get() {
        Some(Subject::At(_)) => "Edit upstream".to_owned(),
        _ => "Add upstream".to_owned(),
    });
    let hosts = Signal::stored(vec![
        ("target".to_owned(), "The target's own".to_owned()),
        ("client".to_owned(), "What the client sent".to_owned()),
    ]);
    view! {
        <Dialog open title>
            <form class="form" on:submit=submit>
                <TaskProblem task />
                <TextField label="Name" value=name required=true />
                <TextArea
                    label="Targets"
                    value=targets
                    mono=true
                    required=true
                    help="One on each line: its URL, then its weight if it is not 1."
                />
                <SelectField label="Host header" value=host options=hosts />
                <TextField label="Connect timeout (ms)" value=connect kind="number" />
                <TextField label="First byte timeout (ms)" value=first_byte kind="number" />
                <TextField label="Idle timeout (ms)" value=idle kind="number" />
                <TextField
                    label="Leave a target alone after failures"
                    value=failures
                    kind="number"
                    help="In a row: no connection, no answer in time, 502, 503 or 504. Empty: never."
                />
                <TextField
                    label="Leave it alone for (s)"
                    value=open_s
                    kind="number"
                    help="Other targets take its calls, and stored responses stand in where there are any; then one call tries."
                />
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Save"
                    </Button>
                </div>
            </form>
        </Dialog>
    }
}

fn empty() -> Upstream {
    Upstream {
        name: String::new(),
        targets: Vec::new(),
        protocol: Default::default(),
        host: Default::default(),
        timeouts: Timeouts::default(),
        breaker: None,
    }
}

/// Without failures there is none.
fn read_breaker(failures: &str, open_s: &str) -> Option<Option<Breaker>> {
    if failures.trim().is_empty() {
        return Some(None);
    }
    let number = |text: &str| text.trim().parse().ok();
    Some(Some(Breaker { failures: number(failures)?, open_s: number(open_s)? }))
}

fn mode_of(host: &sluice_contract::definition::HostHeader) -> String {
    let value = serde_json::to_value(host).unwrap_or(Value::Null);
    value.get("mode").and_then(Value::as_str).unwrap_or("target").to_owned()
}

fn line_of(target: &Target) -> String {
    if target.weight == 1 { target.url.clone() } else { format!("{} {}", target.url, target.weight) }
}

/// A target keeps what the form does not show.
fn read_targets(text: &str, before: &[Target]) -> Option<Vec<Target>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let url = words.next()?.to_owned();
            let weight = words.next().map_or(Some(1), |weight| weight.parse().ok())?;
            let zone = before.iter().find(|target| target.url == url).and_then(|target| target.zone.clone());
            words.next().is_none().then_some(Target { url, weight, zone })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_has_two_numbers_or_is_none() {
        assert_eq!(read_breaker(" ", "30"), Some(None));
        assert_eq!(read_breaker("5", " 30 "), Some(Some(Breaker { failures: 5, open_s: 30 })));
        assert_eq!(read_breaker("5", ""), None);
        assert_eq!(read_breaker("-1", "30"), None);
    }

    #[test]
    fn targets_are_read_line_by_line() {
        let before = [Target { url: "https://b/base".to_owned(), weight: 1, zone: Some("north".to_owned()) }];
        let read = read_targets("http://a:1\n\n  https://b/base 3 \n", &before).unwrap();
        assert_eq!(read.iter().map(line_of).collect::<Vec<_>>(), ["http://a:1", "https://b/base 3"]);
        assert_eq!((&read[0].zone, read[1].zone.as_deref()), (&None, Some("north")), "it is not in the form");
        assert!(read_targets("http://a many", &[]).is_none());
        assert!(read_targets("http://a 1 2", &[]).is_none());
    }
}
