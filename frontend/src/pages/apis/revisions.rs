//! Revisions of an API: freeze the draft, compare any two, release one again; and what was released where.

use leptos::prelude::*;
use sluice_contract::rest::releases::Release;
use sluice_contract::rest::revisions::{CreateRevision, Diff, RevisionSummary};
use sluice_contract::rest::session::Permission;

use super::draft::use_draft;
use super::release::ReleaseDialog;
use crate::api;
use crate::components::{
    Ago, Badge, Button, Column, DataTable, Dialog, DiffView, EmptyState, Kind, Panel, SelectField, Skeleton,
    TaskProblem, TextField, Tone, progress_badge, until_settled, use_toasts,
};
use crate::format::query_value;
use crate::icons::{HISTORY, PLUS, ROCKET};
use crate::session::use_current;
use crate::state::{Task, effect, paged, remote, set_url_values, url_text};

#[component]
pub fn RevisionsTab() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let revisions = paged::<RevisionSummary>(move || {
        // A release changes what is live, a save whether the draft differs.
        draft.latest.track();
        draft.path("/revisions?sort=-number")
    });
    let releases = paged::<Release>(move || {
        draft.latest.track();
        draft.path("/releases?sort=-created_at")
    });
    let releases = until_settled(releases, |release| &release.progress);
    let freezing = RwSignal::new(false);
    let releasing = RwSignal::new(false);
    let number = RwSignal::new(None::<u32>);
    let may_edit = current.can(Permission::ManageApis);
    let release = move |revision: u32| {
        number.set(Some(revision));
        releasing.set(true);
    };
    let freeze = move || {
        view! {
            <Show when=move || may_edit>
                <Button icon=PLUS on_click=move |()| freezing.set(true)>
                    "Freeze a revision"
                </Button>
            </Show>
        }
    };
    let changed = move |()| {
        draft.reload();
        releases.reload();
        revisions.reload();
    };
    view! {
        <div class="stack">
            <Panel
                title="Revisions"
                note="Immutable copies of the draft. Release an older one to roll back."
                flush=true
                actions=freeze
            >
                <DataTable
                    label="Revisions"
                    columns=columns(may_edit, release)
                    list=revisions
                    empty=|| view! {
                        <EmptyState
                            icon=HISTORY
                            title="No revision yet"
                            note="Freeze the draft, then release it to an environment."
                        />
                    }
                />
            </Panel>
            <Compare />
            <Panel title="Releases" note="What was put where, and by whom." flush=true>
                <DataTable
                    label="Releases"
                    columns=release_columns()
                    list=releases
                    empty=|| view! {
                        <EmptyState icon=ROCKET title="Not released yet" note="Release a revision to serve it." />
                    }
                />
            </Panel>
        </div>
        <Freeze open=freezing on_done=changed />
        <ReleaseDialog open=releasing number=number on_change=changed />
    }
}

fn columns(
    may_edit: bool,
    release: impl Fn(u32) + Copy + Send + Sync + 'static,
) -> Vec<Column<RevisionSummary>> {
    vec![
        Column::new(
            "Revision",
            |it: &RevisionSummary| view! { <strong>{format!("r{}", it.number)}</strong> },
        ),
        Column::new("Note", |it: &RevisionSummary| it.note.clone()),
        Column::new("Live in", |it: &RevisionSummary| {
            let live = it.live_in.iter().map(|slug| {
                view! { <Badge tone=Tone::Ok dot=true text=slug.clone() /> }
            });
            live.collect_view()
        }),
        Column::new("By", |it: &RevisionSummary| it.created_by.clone()),
        Column::new("Frozen", |it: &RevisionSummary| view! { <Ago at=it.created_at /> }),
        Column::new("", move |it: &RevisionSummary| {
            let number = it.number;
            may_edit.then(|| {
                view! {
                    <Button
                        size="sm"
                        icon=ROCKET
                        label=format!("Release revision {number}")
                        on_click=move |()| release(number)
                    >
                        "Release"
                    </Button>
                }
            })
        })
        .end(),
    ]
}

fn release_columns() -> Vec<Column<Release>> {
    vec![
        Column::new("Environment", |it: &Release| it.environment_slug.clone()),
        Column::new("Revision", |it: &Release| match it.revision {
            Some(number) => format!("r{number}"),
            None => "withdrawn".to_owned(),
        }),
        Column::new("Before", |it: &Release| it.replaces.map(|number| format!("r{number}"))),
        Column::new("Kind", |it: &Release| {
            it.rollback.then(|| view! { <Badge tone=Tone::Warn text="rollback" /> })
        }),
        Column::new("State", |it: &Release| progress_badge(it.progress.state)),
        Column::new("By", |it: &Release| it.created_by.clone()),
        Column::new("When", |it: &Release| view! { <Ago at=it.created_at /> }),
    ]
}

#[component]
fn Freeze(open: RwSignal<bool>, #[prop(into)] on_done: Callback<()>) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let note = RwSignal::new(String::new());
    effect(move || {
        if open.get() {
            note.set(String::new());
            task.clear();
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let body = CreateRevision { note: note.get_untracked() };
        let (path, etag) = (draft.path("/revisions"), draft.etag());
        let work = async move { api::post_tagged::<_, RevisionSummary>(&path, &body, etag.as_deref()).await };
        task.run(work, move |made| {
            open.set(false);
            toasts.done(format!("Revision {} frozen", made.number));
            on_done.run(());
        });
    };
    view! {
        <Dialog open title="Freeze a revision" note=Signal::stored("The draft as it is now, for ever.".to_owned())>
            <form class="form" on:submit=submit>
                <TaskProblem task />
                <TextField label="Note" value=note optional=true autofocus=true />
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Freeze"
                    </Button>
                </div>
            </form>
        </Dialog>
    }
}

/// Differences between any two: revisions, the draft, what is live.
#[component]
fn Compare() -> impl IntoView {
    let draft = use_draft();
    let (from, to) = (url_text("from"), url_text("to"));
    let set = set_url_values();
    let newest = draft.api().newest_revision;
    let fallback = newest.map_or_else(|| "draft".to_owned(), |number| number.to_string());
    let pick = |value: String, fallback: &str| if value.is_empty() { fallback.to_owned() } else { value };
    let left = RwSignal::new(pick(from.get_untracked(), &fallback));
    let right = RwSignal::new(pick(to.get_untracked(), "draft"));
    effect(move || {
        let (from, to) = (left.get(), right.get());
        untrack(|| set.run(vec![("from", from), ("to", to)]));
    });
    let options = Signal::derive(move || {
        let api = draft.latest.get().value;
        let live = api.live.iter().map(|live| {
            (format!("live:{}", live.environment_slug), format!("Live in {}", live.environment_slug))
        });
        let numbers = (1..=api.newest_revision.unwrap_or(0)).rev();
        let numbers = numbers.map(|number| (number.to_string(), format!("Revision {number}")));
        std::iter::once(("draft".to_owned(), "Draft".to_owned()))
            .chain(live)
            .chain(numbers)
            .collect::<Vec<_>>()
    });
    let diff = remote(move || {
        draft.latest.track();
        let path =
            draft.path(&format!("/diff?from={}&to={}", query_value(&left.get()), query_value(&right.get())));
        async move { api::get::<Diff>(&path).await }
    });
    view! {
        <Panel title="Compare">
            <div class="stack">
                <div class="toolbar">
                    <SelectField label="From" value=left options />
                    <SelectField label="To" value=right options />
                </div>
                {diff
                    .view(
                        Skeleton::Lines(3),
                        |diff| view! { <DiffView changes=diff.changes label="Differences" /> },
                    )}
            </div>
        </Panel>
    }
}
