//! The approvals inbox: subscriptions that wait for a decision, and those that were decided.

use leptos::prelude::*;
use leptos_router::components::Route;
use leptos_router::path;
use sluice_contract::ids::SubscriptionId;
use sluice_contract::problem::Problem;
use sluice_contract::rest::subscriptions::{DecideSubscription, Subscription, SubscriptionState};

use crate::api;
use crate::components::{
    Ago, Badge, Button, CheckBox, Column, Crumb, DataTable, Dialog, EmptyState, Kind, PageHead, Segments,
    TaskProblem, TextArea, Tone, set_page, use_toasts,
};
use crate::format;
use crate::icons::{CHECK, INBOX, X};
use crate::lazy::lazy_pages;
use crate::session::use_current;
use crate::shell::PendingApprovals;
use crate::state::{Paged, Task, effect, opened_by, paged, url_text};

lazy_pages!(consuming/approvals: Approvals);

#[component(transparent)]
pub fn ApprovalsRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! { <Route path=path!("/approvals") view=lazy(Page::Approvals) /> }.into_inner()
}

/// What a subscription's state looks like, everywhere.
pub fn state_badge(state: SubscriptionState) -> AnyView {
    let (tone, text) = match state {
        SubscriptionState::Pending => (Tone::Warn, "pending"),
        SubscriptionState::Approved => (Tone::Ok, "approved"),
        SubscriptionState::Rejected => (Tone::Bad, "rejected"),
        SubscriptionState::Suspended => (Tone::Warn, "suspended"),
        SubscriptionState::Ended => (Tone::Idle, "ended"),
    };
    view! { <Badge tone text dot=true /> }.into_any()
}

/// Something that can be decided about a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Approve,
    Reject,
    Suspend,
    Resume,
}

impl Decision {
    /// Last segment of its path in the API.
    fn path(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
        }
    }
}

#[component]
fn Approvals() -> impl IntoView {
    set_page(|| vec![Crumb::here("Approvals")]);
    let current = use_current();
    let state = url_text("state");
    let shown = Signal::derive(move || match state.get().as_str() {
        "" => "pending".to_owned(),
        other => other.to_owned(),
    });
    let list = paged::<Subscription>(move || {
        let filter = match shown.get().as_str() {
            "all" => String::new(),
            state => format!("&state={state}"),
        };
        current.path(&format!("/subscriptions?sort=-created_at{filter}"))
    });
    let picked = RwSignal::new(Vec::<Subscription>::new());
    let refusing = RwSignal::new(None::<(Subscription, Decision)>);
    // Nobody approves what another filter hides.
    effect(move || {
        shown.track();
        picked.set(Vec::new());
    });
    view! {
        <PageHead
            title=Signal::stored("Approvals".to_owned())
            note=Signal::stored("Who may call what. A decision reaches every gateway within a second.".to_owned())
        />
        <div class="toolbar">
            <Segments
                label="State"
                value=shown
                options=vec![
                    ("pending", "Pending"),
                    ("approved", "Approved"),
                    ("suspended", "Suspended"),
                    ("rejected", "Rejected"),
                    ("all", "All"),
                ]
                on_pick=state.setter()
            />
            <span class="grow"></span>
            <ApprovePicked picked list />
        </div>
        <DataTable
            label="Subscriptions"
            columns=columns(list, picked, refusing)
            list
            empty=|| view! {
                <EmptyState
                    icon=INBOX
                    title="Nothing waits for you"
                    note="When somebody asks to subscribe to an API under a plan with manual approval, it shows up here."
                />
            }
        />
        <Refuse refusing list />
    }
}

fn columns(
    list: Paged<Subscription>,
    picked: RwSignal<Vec<Subscription>>,
    refusing: RwSignal<Option<(Subscription, Decision)>>,
) -> Vec<Column<Subscription>> {
    vec![
        Column::new("Application", move |it: &Subscription| {
            let name = it.application_name.clone();
            let box_or_name = if it.state == SubscriptionState::Pending {
                pick_box(it.clone(), picked).into_any()
            } else {
                view! { <strong>{name}</strong> }.into_any()
            };
            view! {
                <span class="stack" data-gap="0">
                    {box_or_name} <span class="secondary tiny">{it.requested_by.clone()}</span>
                </span>
            }
        }),
        Column::new("API and plan", |it: &Subscription| {
            view! {
                <span class="stack" data-gap="0">
                    <span>{it.api_name.clone()}</span>
                    <span class="secondary tiny">{it.plan_name.clone()}</span>
                </span>
            }
        }),
        Column::new("Message", |it: &Subscription| {
            let reason = (!it.reason.is_empty()).then(|| format!("Reason: {}", it.reason));
            view! {
                <span class="stack" data-gap="0">
                    <span class="break">{it.message.clone()}</span>
                    <span class="secondary tiny break">{reason}</span>
                </span>
            }
        }),
        Column::new("State", |it: &Subscription| state_badge(it.state)),
        Column::new("Asked", |it: &Subscription| view! { <Ago at=it.created_at /> }),
        Column::new("", move |it: &Subscription| actions(it.clone(), list, refusing)).end(),
    ]
}

fn pick_box(subscription: Subscription, picked: RwSignal<Vec<Subscription>>) -> impl IntoView {
    let id = subscription.id;
    let checked = Signal::derive(move || picked.with(|picked| picked.iter().any(|it| it.id == id)));
    let label = subscription.application_name.clone();
    let change = move |on: bool| {
        picked.update(|picked| {
            picked.retain(|it| it.id != id);
            if on {
                picked.push(subscription.clone());
            }
        });
    };
    view! { <CheckBox label checked on_change=change /> }
}

fn actions(
    subscription: Subscription,
    list: Paged<Subscription>,
    refusing: RwSignal<Option<(Subscription, Decision)>>,
) -> AnyView {
    let ask = {
        let subscription = subscription.clone();
        move |decision| refusing.set(Some((subscription.clone(), decision)))
    };
    let whose = subscription.application_name.clone();
    match subscription.state {
        SubscriptionState::Pending => view! {
            <DecideNow subscription decision=Decision::Approve list />
            <Button
                size="sm"
                icon=X
                label=format!("Reject {whose}")
                on_click=move |()| ask(Decision::Reject)
            >
                "Reject"
            </Button>
        }
        .into_any(),
        SubscriptionState::Approved => view! {
            <Button size="sm" label=format!("Suspend {whose}") on_click=move |()| ask(Decision::Suspend)>
                "Suspend"
            </Button>
        }
        .into_any(),
        SubscriptionState::Suspended => {
            view! { <DecideNow subscription decision=Decision::Resume list /> }.into_any()
        }
        SubscriptionState::Rejected | SubscriptionState::Ended => ().into_any(),
    }
}

/// A decision that needs no reason.
#[component]
fn DecideNow(subscription: Subscription, decision: Decision, list: Paged<Subscription>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let waiting = use_context::<PendingApprovals>();
    let task = Task::new();
    let (kind, word) = match decision {
        Decision::Approve => (Kind::Primary, "Approve"),
        _ => (Kind::Plain, "Resume"),
    };
    let label = format!("{word} {}", subscription.application_name);
    let decide = move |()| {
        let subscription = subscription.clone();
        let path = untrack(|| decision_path(&|rest| current.path(rest), subscription.id, decision));
        let work = decide(path, subscription.version, String::new());
        task.run(work, move |it| {
            toasts.done(format!("{} {}", it.application_name, decision.done()));
            list.reload();
            if let Some(waiting) = waiting {
                waiting.reload();
            }
        });
    };
    view! {
        <Button kind size="sm" icon=CHECK label busy=task.busy() on_click=decide>
            {word}
        </Button>
        <TaskProblem task />
    }
}

fn decision_path(path: &dyn Fn(&str) -> String, id: SubscriptionId, decision: Decision) -> String {
    path(&format!("/subscriptions/{id}/{}", decision.path()))
}

async fn decide(path: String, version: u64, reason: String) -> Result<Subscription, Problem> {
    api::post_tagged(&path, &DecideSubscription { reason }, Some(&api::version_tag(version))).await
}

/// Approves all that are ticked, one after the other; stops at the first that fails, and then shows how things are.
#[component]
fn ApprovePicked(picked: RwSignal<Vec<Subscription>>, list: Paged<Subscription>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let waiting = use_context::<PendingApprovals>();
    let task = Task::new();
    let approve = move |()| {
        let all = picked.get_untracked();
        let paths: Vec<_> = untrack(|| {
            all.iter()
                .map(|it| (decision_path(&|rest| current.path(rest), it.id, Decision::Approve), it.version))
                .collect()
        });
        let count = paths.len();
        let work = async move {
            for (path, version) in paths {
                decide(path, version, String::new()).await?;
            }
            Ok(())
        };
        task.run(work, move |()| {
            toasts.done(format!("{} approved", format::plural(count, "subscription", "subscriptions")));
            picked.set(Vec::new());
            list.reload();
            if let Some(waiting) = waiting {
                waiting.reload();
            }
        });
    };
    effect(move || {
        if task.problem().get().is_some() {
            picked.set(Vec::new());
            list.reload();
        }
    });
    let count = move || picked.with(Vec::len);
    view! {
        <TaskProblem task />
        <Show when=move || { count() > 0 }>
            <Button kind=Kind::Primary icon=CHECK busy=task.busy() on_click=approve>
                {move || format!("Approve {}", format::plural(count(), "subscription", "subscriptions"))}
            </Button>
        </Show>
    }
}

/// A decision against somebody, with the reason that they will read.
#[component]
fn Refuse(refusing: RwSignal<Option<(Subscription, Decision)>>, list: Paged<Subscription>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let waiting = use_context::<PendingApprovals>();
    let task = Task::new();
    let open = opened_by(refusing);
    let reason = RwSignal::new(String::new());
    // What was written about one, and not sent, is not meant for the next.
    effect(move || {
        if open.get() {
            reason.set(String::new());
            task.clear();
        }
    });
    let word = move || match refusing.get() {
        Some((_, Decision::Suspend)) => "Suspend",
        _ => "Reject",
    };
    let title = Signal::derive(move || {
        let whose = refusing.get().map(|(it, _)| it.application_name).unwrap_or_default();
        format!("{} {whose}?", word())
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some((subscription, decision)) = refusing.get_untracked() else { return };
        let path = untrack(|| decision_path(&|rest| current.path(rest), subscription.id, decision));
        let work = decide(path, subscription.version, reason.get_untracked());
        task.run(work, move |it| {
            open.set(false);
            toasts.done(format!("{} {}", it.application_name, decision.done()));
            list.reload();
            if let Some(waiting) = waiting {
                waiting.reload();
            }
        });
    };
    view! {
        <Dialog open title note=Signal::stored("The applicant reads the reason.".to_owned())>
            <form class="form" on:submit=submit>
                <TaskProblem task fields_shown=true />
                <TextArea label="Reason" value=reason required=true error=task.field("/reason") />
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Danger submit=true busy=task.busy()>
                        {word}
                    </Button>
                </div>
            </form>
        </Dialog>
    }
}
