//! The rules of a webhook as they are typed, and what they make of a sample.

use leptos::prelude::*;
use serde_json::Value;
use sluice_contract::event_mapping::{self, EventRule, EventTarget};

use super::target_name;
use crate::components::{Button, Kind, Notice, SelectField, Switch, TextArea, TextField, Tone};
use crate::icons::{PLUS, TRASH};
use crate::state::Task;

/// One rule as it is typed.
#[derive(Clone, Copy)]
struct Fields {
    pointer: RwSignal<String>,
    purge: RwSignal<String>,
    template: RwSignal<String>,
    optional: RwSignal<bool>,
}

impl Fields {
    fn of(rule: &EventRule) -> Self {
        Self {
            pointer: RwSignal::new(rule.pointer.clone()),
            purge: RwSignal::new(target_name(rule.purge).to_owned()),
            template: RwSignal::new(rule.template.clone()),
            optional: RwSignal::new(rule.optional),
        }
    }

    /// Tracks.
    fn rule(self) -> EventRule {
        let purge = self.purge.with(|purge| match purge.as_str() {
            "address" => EventTarget::Path,
            "prefix" => EventTarget::Prefix,
            _ => EventTarget::Tag,
        });
        let text = |signal: RwSignal<String>| signal.with(|text| text.trim().to_owned());
        EventRule {
            pointer: text(self.pointer),
            purge,
            template: text(self.template),
            optional: self.optional.get(),
        }
    }
}

/// The rules of the dialog.
#[derive(Clone, Copy)]
pub(super) struct Rules(RwSignal<Vec<Fields>>);

impl Rules {
    pub(super) fn new() -> Self {
        Self(RwSignal::new(Vec::new()))
    }

    /// Shows these; one to begin with where there is none.
    pub(super) fn set(self, rules: &[EventRule]) {
        let first = [EventRule {
            pointer: "/items/*/id".to_owned(),
            purge: EventTarget::Tag,
            template: "product-{value}".to_owned(),
            optional: false,
        }];
        let rules = if rules.is_empty() { &first } else { rules };
        self.0.set(rules.iter().map(Fields::of).collect());
    }

    /// What is typed now. Tracks.
    pub(super) fn typed(self) -> Vec<EventRule> {
        self.0.get().into_iter().map(Fields::rule).collect()
    }

    fn add(self) {
        let empty = EventRule {
            pointer: String::new(),
            purge: EventTarget::Tag,
            template: String::new(),
            optional: false,
        };
        self.0.update(|rules| rules.push(Fields::of(&empty)));
    }
}

#[component]
pub(super) fn RuleFields(rules: Rules, task: Task) -> impl IntoView {
    let each = move || {
        let all = rules.0.get();
        let several = all.len() > 1;
        all.into_iter()
            .enumerate()
            .map(|(index, fields)| one(rules, index, fields, several, task))
            .collect_view()
    };
    view! {
        <fieldset class="fieldset">
            <legend>"What an event purges"</legend>
            <div class="stack">
                {each}
                <div>
                    <Button size="sm" icon=PLUS on_click=move |()| rules.add()>
                        "Add rule"
                    </Button>
                </div>
            </div>
        </fieldset>
    }
}

fn one(rules: Rules, index: usize, fields: Fields, several: bool, task: Task) -> impl IntoView {
    let number = index + 1;
    let options = [EventTarget::Tag, EventTarget::Path, EventTarget::Prefix].map(|purge| {
        let name = target_name(purge);
        (name.to_owned(), name.to_owned())
    });
    let remove = several.then(|| {
        let label = format!("Remove rule {number}");
        let act = move |()| {
            rules.0.update(|rules| {
                rules.remove(index);
            })
        };
        view! { <Button size="sm" kind=Kind::DangerQuiet icon=TRASH label=label on_click=act /> }
    });
    view! {
        <div class="stack" data-gap="2" role="group" aria-label=format!("Rule {number}")>
            <div class="grid" data-min="sm">
                <TextField
                    label="Value"
                    value=fields.pointer
                    mono=true
                    placeholder="/items/*/id"
                    error=wrong(task, index, "pointer")
                />
                <SelectField label="Becomes" value=fields.purge options=Signal::stored(options.to_vec()) />
                <TextField
                    label="Named"
                    value=fields.template
                    required=true
                    mono=true
                    placeholder="product-{value}"
                    error=wrong(task, index, "template")
                />
            </div>
            <div class="row" data-between=true>
                <Switch label="An event may lack it" checked=fields.optional />
                {remove}
            </div>
        </div>
    }
}

/// What is wrong with a field of a rule.
fn wrong(task: Task, index: usize, field: &'static str) -> Signal<Option<String>> {
    let pointer = format!("/rules/{index}/{field}");
    let problem = task.problem();
    Signal::derive(move || {
        problem.with(|problem| {
            let fields = &problem.as_ref()?.fields;
            fields.iter().find(|field| field.pointer == pointer).map(|field| field.message.clone())
        })
    })
}

/// A sample, and what the rules make of it: the same code that takes events.
#[component]
pub(super) fn Sample(rules: Rules) -> impl IntoView {
    let sample = RwSignal::new(String::new());
    let outcome =
        move || sample.with(|text| (!text.trim().is_empty()).then(|| made_of(&rules.typed(), text)));
    view! {
        <TextArea
            label="Try the rules on an event"
            value=sample
            optional=true
            mono=true
            placeholder="{\"items\": [{\"id\": 7}]}"
            help="Nothing is sent or purged."
        />
        {outcome}
    }
}

fn made_of(rules: &[EventRule], text: &str) -> AnyView {
    let wrong = |lines: Vec<String>| {
        let lines = lines.into_iter().map(|line| view! { <div>{line}</div> }).collect_view();
        view! { <Notice tone=Tone::Warn title="It would be answered with 422">{lines}</Notice> }.into_any()
    };
    let event: Value = match serde_json::from_str(text) {
        Ok(event) => event,
        Err(error) => return wrong(vec![format!("Not JSON: {error}")]),
    };
    match event_mapping::apply(rules, &event) {
        Ok(found) if found.is_empty() => {
            view! { <Notice tone=Tone::Info>"It names nothing."</Notice> }.into_any()
        }
        Ok(found) => {
            let lines = found.into_iter().map(|found| {
                view! {
                    <div>
                        {target_name(found.purge)} " " <code class="break">{found.text}</code>
                    </div>
                }
            });
            view! { <Notice tone=Tone::Ok title="It would purge">{lines.collect_view()}</Notice> }.into_any()
        }
        Err(problems) => {
            let line = |problem: sluice_contract::problem::FieldProblem| {
                format!("{} {}", problem.pointer, problem.message)
            };
            wrong(problems.into_iter().map(line).collect())
        }
    }
}
