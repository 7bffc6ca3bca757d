//! Settings of the platform. For platform administrators.

use leptos::prelude::*;
use serde_json::{Value, json};
use sluice_contract::rest::settings::PlatformSettings;

use crate::api::{self, Tagged};
use crate::components::{
    Button, Conflict, ConflictDialog, Crumb, JsonForm, Kind, Panel, Skeleton, TaskProblem, set_page,
    use_toasts,
};
use crate::state::{Remote, Task, effect, remote};

#[component]
pub fn Platform() -> impl IntoView {
    set_page(|| vec![Crumb::link("Settings", "/settings"), Crumb::here("Platform")]);
    let settings = remote(|| api::get_tagged::<PlatformSettings>("/settings"));
    settings.view(Skeleton::Lines(6), move |tagged| view! { <Form tagged settings /> })
}

/// The form of [`PlatformSettings`].
fn schema() -> Value {
    let number = |order: u32, title: &str, description: &str, minimum: u32| json!({ "type": "integer", "minimum": minimum, "title": title, "description": description, "x-order": order });
    json!({
        "type": "object",
        "properties": {
            "call_retention_days": number(1, "Calls (days)", "How long each call can be looked at. 1 to 3650.", 1),
            "rollup_retention_days": number(2, "Analytics (days)", "How long counts and latencies are kept. 1 to 3650.", 1),
            "audit_retention_days": number(3, "Audit log (days)", "30 to 3650.", 30),
            "session_idle_minutes": number(4, "Idle sessions end after (minutes)", "Without a request.", 1),
            "session_absolute_hours": number(5, "Sessions end after (hours)", "Whatever happens.", 1)
        },
        "required": [
            "call_retention_days", "rollup_retention_days", "audit_retention_days",
            "session_idle_minutes", "session_absolute_hours"
        ]
    })
}

#[component]
fn Form(tagged: Tagged<PlatformSettings>, settings: Remote<Tagged<PlatformSettings>>) -> impl IntoView {
    let toasts = use_toasts();
    let task = Task::new();
    let conflict = RwSignal::new(None::<Conflict>);
    let etag = StoredValue::new(tagged.etag);
    let value = RwSignal::new(serde_json::to_value(&tagged.value).unwrap_or_default());
    let errors =
        Signal::derive(move || task.problem().get().map(|problem| problem.fields).unwrap_or_default());
    let save = move || {
        let body = value.get_untracked();
        let tag = etag.get_value();
        let put =
            async move { api::put_tagged::<_, PlatformSettings>("/settings", &body, tag.as_deref()).await };
        task.run(put, move |saved| {
            settings.set(saved);
            toasts.done("Settings saved");
        });
    };
    // Somebody else saved meanwhile: fetch theirs and show both.
    effect(move || {
        if task.problem().get().is_some_and(|problem| problem.status == 412) {
            leptos::task::spawn_local(async move {
                let theirs = api::get_tagged::<PlatformSettings>("/settings").await;
                // No value comes back when the page is gone: nobody is left to choose.
                if let (Ok(theirs), Some(mine)) = (theirs, value.try_get_untracked()) {
                    etag.set_value(theirs.etag);
                    conflict.set(Some(Conflict {
                        mine,
                        theirs: serde_json::to_value(&theirs.value).unwrap_or_default(),
                    }));
                }
            });
        }
    });
    view! {
        <Panel title="Retention and sessions">
            <form
                class="form"
                on:submit=move |event| {
                    event.prevent_default();
                    save();
                }
            >
                <TaskProblem task />
                <JsonForm schema=schema() value errors />
                <div class="form-actions">
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Save"
                    </Button>
                </div>
            </form>
        </Panel>
        <ConflictDialog
            conflict
            on_overwrite=move |()| save()
            on_reload=move |()| {
                task.clear();
                settings.reload();
            }
        />
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_has_every_setting() {
        let settings = serde_json::to_value(PlatformSettings::default()).unwrap();
        let schema = schema();
        for key in settings.as_object().unwrap().keys() {
            assert!(schema["properties"].get(key).is_some(), "{key} has no field");
        }
        assert_eq!(schema["required"].as_array().unwrap().len(), settings.as_object().unwrap().len());
    }
}
