//! Two people edited the same thing: shows both versions field by field and lets the later one decide.

use leptos::prelude::*;
use serde_json::Value;
use sluice_contract::rest::revisions::{ChangeKind, FieldChange};

use super::{Button, Dialog, DiffView, Kind};
use crate::state::opened_by;

/// What one person is about to save, and what somebody else saved meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    pub mine: Value,
    pub theirs: Value,
}

/// Opens while `conflict` holds something. "Before" is their version, "after" is mine.
#[component]
pub fn ConflictDialog(
    conflict: RwSignal<Option<Conflict>>,
    /// Saves mine over theirs.
    #[prop(into)]
    on_overwrite: Callback<()>,
    /// Drops mine and shows theirs.
    #[prop(into)]
    on_reload: Callback<()>,
) -> impl IntoView {
    let open = opened_by(conflict);
    let differences = move || {
        conflict.get().map(|conflict| {
            let changes = differences(&conflict.theirs, &conflict.mine);
            view! { <DiffView changes label="Their version and yours" /> }
        })
    };
    let choose = move |act: Callback<()>| {
        open.set(false);
        act.run(());
    };
    view! {
        <Dialog
            open
            wide=true
            title="Somebody else changed this meanwhile"
            note=Signal::stored("Before is what they saved, after is what you are about to save.".to_owned())
        >
            <div class="stack">
                {differences}
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Keep editing"</Button>
                    <Button on_click=move |()| choose(on_reload)>"Use their version"</Button>
                    <Button kind=Kind::Danger on_click=move |()| choose(on_overwrite)>
                        "Overwrite with mine"
                    </Button>
                </div>
            </div>
        </Dialog>
    }
}

/// The fields that differ between two JSON values. List elements pair by their `id`, `name` or `type`.
pub fn differences(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare("", Some(before), Some(after), &mut changes);
    changes
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                compare(&format!("{path}/{key}"), old.get(key), new.get(key), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if names(old).zip(names(new)).is_some() => {
            let (old, new) = (named(old), named(new));
            let added = new.iter().filter(|(name, _)| find(&old, name).is_none());
            for (name, _) in old.iter().chain(added) {
                compare(&format!("{path}/{name}"), find(&old, name), find(&new, name), changes);
            }
        }
        (old, new) if old == new => {}
        (old, new) => changes.push(FieldChange {
            path: path.to_owned(),
            kind: match (old, new) {
                (None, _) => ChangeKind::Added,
                (_, None) => ChangeKind::Removed,
                _ => ChangeKind::Changed,
            },
            before: old.cloned(),
            after: new.cloned(),
        }),
    }
}

fn name_of(value: &Value) -> Option<&str> {
    ["id", "name", "type"].into_iter().find_map(|key| value.get(key)?.as_str())
}

/// The names of all elements, when each has one of its own.
fn names(list: &[Value]) -> Option<Vec<&str>> {
    let names: Vec<_> = list.iter().map(name_of).collect::<Option<_>>()?;
    let unique = names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
    unique.then_some(names)
}

fn named(list: &[Value]) -> Vec<(&str, &Value)> {
    list.iter().filter_map(|value| Some((name_of(value)?, value))).collect()
}

fn find<'a>(list: &[(&str, &'a Value)], name: &str) -> Option<&'a Value> {
    list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_changed_element_is_named_and_a_moved_one_is_no_change() {
        let theirs = json!({ "routes": [{ "id": "a", "path": "/a" }, { "id": "b", "path": "/b" }] });
        let mine = json!({ "routes": [{ "id": "b", "path": "/bb" }, { "id": "a", "path": "/a" }, { "id": "c", "path": "/c" }] });
        let changes = differences(&theirs, &mine);
        let seen: Vec<_> = changes.iter().map(|change| (change.path.as_str(), change.kind)).collect();
        assert_eq!(seen, [("/routes/b/path", ChangeKind::Changed), ("/routes/c", ChangeKind::Added)]);
    }

    #[test]
    fn equal_values_have_no_differences() {
        let value = json!({ "a": [1, 2], "b": { "c": null } });
        assert!(differences(&value, &value).is_empty());
    }

    #[test]
    fn lists_without_names_change_as_a_whole() {
        let changes = differences(&json!({ "hosts": ["a"] }), &json!({ "hosts": ["a", "b"] }));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].path, "/hosts");
    }
}
