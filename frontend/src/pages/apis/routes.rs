//! Routes of an API: find one among a thousand, edit it, see what a request would match.

use leptos::prelude::*;
use sluice_contract::definition::{Access, Route};
use sluice_contract::path::PathTemplate;
use sluice_contract::problem::Problem;
use sluice_contract::rest::session::Permission;

use super::draft::{Draft, use_draft};
use crate::components::{
    Badge, Button, Dialog, EmptyState, Kind, MethodTag, Panel, SearchField, SelectField, TaskProblem,
    TextField, Tone,
};
use crate::format;
use crate::icons::{PENCIL, PLUS, ROUTE, TRASH};
use crate::session::use_current;
use crate::state::{Task, effect, opened_by, url_text};

/// Rows that are drawn at first, and with each "more".
const SHOWN: usize = 100;

#[derive(Clone, PartialEq)]
enum Subject {
    New,
    Id(String),
}

#[component]
pub fn RoutesTab() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let search = url_text("q");
    let shown = RwSignal::new(SHOWN);
    let editing = RwSignal::new(None::<Subject>);
    let task = Task::new();
    let may_edit = current.can(Permission::ManageApis);
    let matching = Memo::new(move |_| {
        let wanted = search.get().to_lowercase();
        let routes = draft.definition().routes;
        routes.into_iter().filter(|route| is_about(route, &wanted)).collect::<Vec<_>>()
    });
    effect(move || {
        search.get();
        shown.set(SHOWN);
    });
    let rows = move || {
        let routes = matching.get();
        let count = routes.len();
        if count == 0 {
            return view! {
                <EmptyState icon=ROUTE title="No such route" note="Add a route, or search for something else." />
            }
            .into_any();
        }
        let rows =
            routes.into_iter().take(shown.get()).map(|route| row(route, may_edit, draft, task, editing));
        let more = (count > shown.get()).then(|| {
            view! {
                <Button size="sm" on_click=move |()| shown.update(|n| *n += SHOWN)>
                    "Show more"
                </Button>
            }
        });
        view! {
            <div class="table-wrap">
                <div class="table-scroll">
                    <table class="table" role="table" aria-label="Routes">
                        <thead role="rowgroup">
                            <tr role="row">
                                <th role="columnheader" scope="col">
                                    "Route"
                                </th>
                                <th role="columnheader" scope="col">
                                    "Path"
                                </th>
                                <th role="columnheader" scope="col">
                                    "Upstream"
                                </th>
                                <th role="columnheader" scope="col">
                                    <span class="visually-hidden">"Actions"</span>
                                </th>
                            </tr>
                        </thead>
                        <tbody role="rowgroup">{rows.collect_view()}</tbody>
                    </table>
                </div>
                <div class="table-foot">
                    <span>{format::plural(count, "route", "routes")}</span>
                    {more}
                </div>
            </div>
        }
        .into_any()
    };
    view! {
        <div class="stack">
            <div class="toolbar">
                <SearchField label="Search routes" value=search.signal() on_change=search.setter() />
                <span class="grow"></span>
                <Show when=move || may_edit>
                    <Button icon=PLUS on_click=move |()| editing.set(Some(Subject::New))>
                        "Add route"
                    </Button>
                </Show>
            </div>
            <TaskProblem task />
            {rows}
            <TestMatch />
        </div>
        <Edit editing />
    }
}

fn is_about(route: &Route, wanted: &str) -> bool {
    [&route.id, &route.path, &route.summary].into_iter().any(|text| text.to_lowercase().contains(wanted))
}

fn methods_of(route: &Route) -> Vec<String> {
    if route.methods.is_empty() { vec!["ANY".to_owned()] } else { route.methods.clone() }
}

fn row(
    route: Route,
    may_edit: bool,
    draft: Draft,
    task: Task,
    editing: RwSignal<Option<Subject>>,
) -> impl IntoView {
    let methods = methods_of(&route).into_iter().map(|method| view! { <MethodTag method /> });
    let (edit_id, remove_id) = (route.id.clone(), route.id.clone());
    let remove = move |()| {
        let id = remove_id.clone();
        draft.save(task, move |update| update.draft.routes.retain(|route| route.id != id), || ());
    };
    let public =
        (route.access == Some(Access::Public)).then(|| view! { <Badge tone=Tone::Info text="public" /> });
    let deprecated = route.deprecated.then(|| view! { <Badge tone=Tone::Warn text="deprecated" /> });
    let buttons = may_edit.then(|| {
        view! {
            <Button
                size="sm"
                kind=Kind::Quiet
                icon=PENCIL
                label=format!("Edit {}", route.id)
                on_click=move |()| editing.set(Some(Subject::Id(edit_id.clone())))
            />
            <Button
                size="sm"
                kind=Kind::Quiet
                icon=TRASH
                label=format!("Remove {}", route.id)
                on_click=remove
            />
        }
    });
    view! {
        <tr role="row">
            <td role="cell" data-label="Route">
                <span class="stack" data-gap="0">
                    <strong>{route.id.clone()}</strong>
                    <span class="secondary tiny">{route.summary}</span>
                </span>
            </td>
            <td role="cell" data-label="Path">
                {methods.collect_view()}
                " "
                <code class="break">{route.path}</code>
                {public}
                {deprecated}
            </td>
            <td role="cell" data-label="Upstream">
                {route.upstream}
            </td>
            <td role="cell" data-align="end">
                {buttons}
            </td>
        </tr>
    }
}

#[component]
fn Edit(editing: RwSignal<Option<Subject>>) -> impl IntoView {
    let draft = use_draft();
    let task = Task::new();
    let open = opened_by(editing);
    let [id, summary, methods, path] = [(); 4].map(|()| RwSignal::new(String::new()));
    let upstream = RwSignal::new(String::new());
    let access = RwSignal::new(String::new());
    let subject_route = move |subject: &Subject| match subject {
        Subject::New => None,
        Subject::Id(id) => draft.api().draft.routes.into_iter().find(|route| route.id == *id),
    };
    effect(move || {
        let Some(subject) = editing.get() else { return };
        task.clear();
        let route = subject_route(&subject);
        let text = |read: fn(&Route) -> String| route.as_ref().map(read).unwrap_or_default();
        id.set(text(|route| route.id.clone()));
        summary.set(text(|route| route.summary.clone()));
        methods.set(text(|route| route.methods.join(", ")));
        path.set(text(|route| route.path.clone()));
        upstream.set(text(|route| route.upstream.clone().unwrap_or_default()));
        access.set(text(|route| match route.access {
            None => String::new(),
            Some(Access::Public) => "public".to_owned(),
            Some(Access::Subscription) => "subscription".to_owned(),
        }));
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(subject) = editing.get_untracked() else { return };
        let route = subject_route(&subject).unwrap_or_else(|| new_route(&id.get_untracked()));
        let some = |text: String| (!text.is_empty()).then_some(text);
        let route = Route {
            id: id.get_untracked(),
            summary: summary.get_untracked(),
            methods: read_methods(&methods.get_untracked()),
            path: path.get_untracked(),
            upstream: some(upstream.get_untracked()),
            access: match access.get_untracked().as_str() {
                "public" => Some(Access::Public),
                "subscription" => Some(Access::Subscription),
                _ => None,
            },
            ..route
        };
        if let Err(error) = PathTemplate::parse(&route.path) {
            task.fail(Problem::new(0, "invalid_path", "The path cannot be used").detail(error.to_string()));
            return;
        }
        draft.save(
            task,
            move |update| {
                let routes = &mut update.draft.routes;
                let old = match &subject {
                    Subject::Id(id) => routes.iter_mut().find(|route| route.id == *id),
                    Subject::New => None,
                };
                match old {
                    Some(old) => *old = route,
                    None => routes.push(route),
                }
            },
            move || open.set(false),
        );
    };
    let upstreams = Signal::derive(move || {
        let first = ("".to_owned(), "The first one".to_owned());
        let named = draft.definition().upstreams.into_iter().map(|it| (it.name.clone(), it.name));
        std::iter::once(first).chain(named).collect::<Vec<_>>()
    });
    let accesses = Signal::stored(vec![
        ("".to_owned(), "As the API says".to_owned()),
        ("subscription".to_owned(), "Applications with a subscription".to_owned()),
        ("public".to_owned(), "Anybody".to_owned()),
    ]);
    let title = Signal::derive(move || match editing.get() {
        Some(Subject::Id(id)) => format!("Edit {id}"),
        _ => "Add route".to_owned(),
    });
    view! {
        <Dialog open title>
            <form class="form" on:submit=submit>
                <TaskProblem task />
                <TextField label="Id" value=id required=true mono=true help="Names the operation in logs and analytics." />
                <TextField label="Summary" value=summary optional=true />
                <TextField
                    label="Methods"
                    value=methods
                    optional=true
                    mono=true
                    placeholder="GET, POST"
                    help="Separated by commas; empty for any."
                />
                <TextField
                    label="Path"
                    value=path
                    required=true
                    mono=true
                    placeholder="/orders/{id}"
                    help="{name} stands for one segment, {*name} for one or more."
                />
                <SelectField label="Upstream" value=upstream options=upstreams />
                <SelectField label="Who may call" value=access options=accesses />
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

pub(super) fn new_route(id: &str) -> Route {
    Route {
        id: id.to_owned(),
        summary: String::new(),
        description: String::new(),
        tags: Vec::new(),
        deprecated: false,
        methods: Vec::new(),
        path: String::new(),
        headers: Vec::new(),
        upstream: None,
        access: None,
        policies: Vec::new(),
        imported: false,
    }
}

fn read_methods(text: &str) -> Vec<String> {
    let words = text.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_uppercase).collect()
}

/// Says which route a request would take, by the rules of the gateway.
#[component]
fn TestMatch() -> impl IntoView {
    let draft = use_draft();
    let method = RwSignal::new("GET".to_owned());
    let path = RwSignal::new(String::new());
    let answer = move || {
        let path = path.get();
        if !path.starts_with('/') {
            return "Type a path below the API's base, such as /orders/7.".to_owned();
        }
        match best_match(&draft.definition().routes, &method.get(), &path) {
            Some(route) => format!("{} takes it: {}", route.id, route.path),
            None => "No route takes it: the gateway answers 404.".to_owned(),
        }
    };
    view! {
        <Panel title="Test a match" note="Which route would take a request.">
            <div class="form">
                <TextField label="Method" value=method mono=true />
                <TextField label="Request path" value=path mono=true placeholder="/orders/7" />
                <p role="status">{answer}</p>
            </div>
        </Panel>
    }
}

fn best_match<'r>(routes: &'r [Route], method: &str, path: &str) -> Option<&'r Route> {
    let fits = |route: &&Route| route.methods.is_empty() || route.methods.iter().any(|it| it == method);
    let mut best: Option<(PathTemplate, &Route)> = None;
    for route in routes.iter().filter(fits) {
        let Ok(template) = PathTemplate::parse(&route.path) else { continue };
        let better = best.as_ref().is_none_or(|(known, _)| template.specificity(known).is_gt());
        if better && template.matches(path).is_some() {
            best = Some((template, route));
        }
    }
    best.map(|(_, route)| route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_route_takes_a_request() {
        let route = |id: &str, methods: &[&str], path: &str| Route {
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            path: path.to_owned(),
            ..new_route(id)
        };
        let routes = [
            route("any", &[], "/{*rest}"),
            route("one", &["GET"], "/a/{id}"),
            route("me", &["GET"], "/a/me"),
        ];
        let id = |method: &str, path: &str| best_match(&routes, method, path).map(|route| route.id.clone());
        assert_eq!(id("GET", "/a/me").as_deref(), Some("me"));
        assert_eq!(id("GET", "/a/7").as_deref(), Some("one"));
        assert_eq!(id("POST", "/a/7").as_deref(), Some("any"));
        assert_eq!(id("GET", "/"), None);
    }
}
