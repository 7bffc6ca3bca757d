//! The form of a plan: where addresses come from, how fast, and when by itself.

use leptos::prelude::*;
use sluice_contract::problem::Problem;
use sluice_contract::rest::warmings::{KeptWarmingPlan, WarmingPlan, WarmingSchedule, WarmingSource};
use sluice_contract::warming::Pace;

use super::paths_of;
use crate::api;
use crate::components::{
    Dialog, DialogForm, EnvironmentChoice, EnvironmentField, SelectField, Switch, TextArea, TextField,
    use_toasts,
};
use crate::pages::apis::draft::use_draft;
use crate::state::{Task, effect};

/// The fields, as they are typed.
#[derive(Clone, Copy)]
struct Fields {
    paths: RwSignal<String>,
    top: RwSignal<String>,
    per_second: RwSignal<String>,
    concurrency: RwSignal<String>,
    address: RwSignal<String>,
    renew: RwSignal<String>,
    on_release: RwSignal<bool>,
    /// `never`, `every` or `daily`.
    when: RwSignal<String>,
    minutes: RwSignal<String>,
    time: RwSignal<String>,
    /// What the form does not show.
    kept: RwSignal<WarmingPlan>,
}

impl Fields {
    fn new() -> Self {
        let text = || RwSignal::new(String::new());
        Self {
            paths: text(),
            top: text(),
            per_second: text(),
            concurrency: text(),
            address: text(),
            renew: text(),
            on_release: RwSignal::new(false),
            when: RwSignal::new("never".to_owned()),
            minutes: RwSignal::new("60".to_owned()),
            time: RwSignal::new("05:00".to_owned()),
            kept: RwSignal::new(WarmingPlan::default()),
        }
    }

    fn show(self, plan: WarmingPlan) {
        let (mut paths, mut top) = (Vec::new(), String::new());
        for source in &plan.sources {
            match source {
                WarmingSource::List { paths: listed } => paths.extend(listed.iter().cloned()),
                WarmingSource::Top { count } => top = count.to_string(),
            }
        }
        self.paths.set(paths.join("\n"));
        self.top.set(top);
        self.per_second.set(plan.pace.per_second.to_string());
        self.concurrency.set(plan.pace.concurrency.to_string());
        self.address.set(plan.address.clone().unwrap_or_default());
        self.renew.set(plan.renew_s.to_string());
        self.on_release.set(plan.on_release);
        let when = match plan.schedule {
            None => "never",
            Some(WarmingSchedule::Every { minutes }) => {
                self.minutes.set(minutes.to_string());
                "every"
            }
            Some(WarmingSchedule::Daily { minute }) => {
                self.time.set(format!("{:02}:{:02}", minute / 60, minute % 60));
                "daily"
            }
        };
        self.when.set(when.to_owned());
        self.kept.set(plan);
    }

    fn read(self) -> Result<WarmingPlan, Problem> {
        let mut sources = Vec::new();
        let paths = self.paths.with_untracked(|text| paths_of(text));
        if !paths.is_empty() {
            sources.push(WarmingSource::List { paths });
        }
        if let Some(count) = number("Most asked for", self.top)? {
            sources.push(WarmingSource::Top { count });
        }
        let pace = Pace {
            per_second: number("Requests a second", self.per_second)?.unwrap_or_default(),
            concurrency: number("Requests at a time", self.concurrency)?.unwrap_or_default(),
        };
        let address = self.address.get_untracked().trim().to_owned();
        let schedule = match self.when.get_untracked().as_str() {
            "every" => {
                Some(WarmingSchedule::Every { minutes: number("Minutes", self.minutes)?.unwrap_or_default() })
            }
            "daily" => Some(WarmingSchedule::Daily { minute: minute_of(&self.time.get_untracked())? }),
            _ => None,
        };
        Ok(WarmingPlan {
            sources,
            pace,
            address: (!address.is_empty()).then_some(address),
            renew_s: number("Renew", self.renew)?.unwrap_or_default().into(),
            on_release: self.on_release.get_untracked(),
            schedule,
            ..self.kept.get_untracked()
        })
    }
}

/// None where nothing is typed.
fn number(label: &str, field: RwSignal<String>) -> Result<Option<u32>, Problem> {
    let text = field.get_untracked();
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| wrong(&format!("{label}: a whole number"))),
    }
}

/// `05:30` as minutes after midnight.
fn minute_of(time: &str) -> Result<u32, Problem> {
    let read = || {
        let (hour, minute) = time.trim().split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.get(..2)?.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    read().ok_or_else(|| wrong("Time of day: hours and minutes, like 05:30"))
}

fn wrong(message: &str) -> Problem {
    Problem::new(0, "invalid", message)
}

/// The plan of the environment that is picked.
#[component]
pub(super) fn PlanDialog(open: RwSignal<bool>, environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let fields = Fields::new();
    let etag = RwSignal::new(None::<String>);
    let path = move |environment| draft.path(&format!("/environments/{environment}/warming-plan"));
    effect(move || {
        let slug = environments.slug();
        if !open.get() || slug.is_empty() {
            return;
        }
        task.clear();
        let work = async move {
            let environment = environments.picked().await?.id;
            api::get_tagged::<KeptWarmingPlan>(&path(environment)).await
        };
        task.run(work, move |found| {
            etag.set(found.etag);
            fields.show(found.value.plan);
        });
    });
    let submit = move |()| {
        let plan = match fields.read() {
            Ok(plan) => plan,
            Err(problem) => return task.fail(problem),
        };
        let seen = etag.get_untracked();
        let work = async move {
            let environment = environments.picked().await?.id;
            api::put_tagged::<_, KeptWarmingPlan>(&path(environment), &plan, seen.as_deref()).await
        };
        task.run(work, move |saved| {
            etag.set(saved.etag);
            toasts.done("Plan saved");
            open.set(false);
        });
    };
    view! {
        <Dialog open title="Plan for warming" wide=true>
            <DialogForm open task action="Save plan" on_submit=submit fields_shown=false>
                <EnvironmentField choice=environments />
                <TextArea
                    label="Paths"
                    value=fields.paths
                    optional=true
                    mono=true
                    placeholder="/items?page=1"
                    help="One a line, below the API's base, with the query as callers send it."
                />
                <TextField
                    label="Most asked for"
                    kind="number"
                    value=fields.top
                    optional=true
                    help="So many addresses that were asked for most in the last day, from the call log."
                />
                <div class="grid" data-min="sm">
                    <TextField label="Requests a second" kind="number" value=fields.per_second required=true />
                    <TextField label="Requests at a time" kind="number" value=fields.concurrency required=true />
                </div>
                <TextField
                    label="Address of callers"
                    value=fields.address
                    optional=true
                    mono=true
                    placeholder="https://api.example.com"
                    help="Scheme and host as callers write them: stored answers are told apart by both. Empty: the API's own host, or each gateway's address."
                />
                <TextField
                    label="Renew"
                    kind="number"
                    value=fields.renew
                    help="Fetch anew what is fresh for less than so many seconds."
                />
                <Switch label="After each release" checked=fields.on_release />
                <SelectField label="By the clock" value=fields.when options=schedules() />
                {move || schedule_field(fields)}
            </DialogForm>
        </Dialog>
    }
}

fn schedules() -> Vec<(String, String)> {
    [("never", "never"), ("every", "every so many minutes"), ("daily", "once a day")]
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .to_vec()
}

fn schedule_field(fields: Fields) -> Option<AnyView> {
    match fields.when.get().as_str() {
        "every" => {
            Some(view! { <TextField label="Minutes" kind="number" value=fields.minutes /> }.into_any())
        }
        "daily" => {
            Some(view! { <TextField label="Time of day, UTC" kind="time" value=fields.time /> }.into_any())
        }
        _ => None,
    }
}
