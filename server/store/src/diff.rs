//! Field-level differences between two JSON values: what the audit log records and what revisions are compared by.
//!
//! Lists whose elements all have a distinct `id`, `name` or `type` are compared by it, so that moving or inserting one
//! element does not make all others look changed. Other lists are compared by position.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_contract::rest::revisions::{ChangeKind, FieldChange};

/// What changed from `before` to `after`, in document order. A missing side counts as `null`.
pub fn diff(before: Option<&Value>, after: Option<&Value>) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    walk(String::new(), present(before), present(after), &mut changes);
    changes
}

fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

fn walk(path: String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (None, None) => {}
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => objects(&path, before, after, changes),
        (None, Some(Value::Object(after))) if path.is_empty() => objects(&path, &Map::new(), after, changes),
        (Some(Value::Object(before)), None) if path.is_empty() => {
            objects(&path, before, &Map::new(), changes)
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => arrays(&path, before, after, changes),
        (before, after) => changes.push(change(path, before, after)),
    }
}

fn objects(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<FieldChange>,
) {
    let added = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(added) {
        walk(child(path, key), present(before.get(key)), present(after.get(key)), changes);
    }
}

fn arrays(path: &str, before: &[Value], after: &[Value], changes: &mut Vec<FieldChange>) {
    match ["id", "name", "type"].into_iter().find_map(|key| Some((keyed(before, key)?, keyed(after, key)?))) {
        Some((old, new)) => {
            let added =
                after.iter().filter_map(|v| label(v, old.key)).filter(|name| !old.by_name.contains_key(name));
            let names = before.iter().filter_map(|v| label(v, old.key)).chain(added);
            for name in names {
                let (old, new) = (old.by_name.get(&name).copied(), new.by_name.get(&name).copied());
                walk(child(path, &name), old, new, changes);
            }
            moved(path, &old, &new, before, after, changes);
        }
        None => {
            for index in 0..before.len().max(after.len()) {
                walk(child(path, &index.to_string()), before.get(index), after.get(index), changes);
            }
        }
    }
}

/// A list of the same elements in another order is a change of its own: order matters (of policies, for one).
fn moved(
    path: &str,
    old: &Keyed<'_>,
    new: &Keyed<'_>,
    before: &[Value],
    after: &[Value],
    changes: &mut Vec<FieldChange>,
) {
    let order = |list: &[Value], key, other: &Keyed<'_>| -> Vec<String> {
        list.iter().filter_map(|v| label(v, key)).filter(|name| other.by_name.contains_key(name)).collect()
    };
    let (was, is) = (order(before, old.key, new), order(after, new.key, old));
    if was != is {
        let order = child(path, "(order)");
        changes.push(change(order, Some(&Value::from(was)), Some(&Value::from(is))));
    }
}

struct Keyed<'a> {
    key: &'static str,
    by_name: BTreeMap<String, &'a Value>,
}

/// The elements by this key, when every element has one and no two have the same.
fn keyed<'a>(list: &'a [Value], key: &'static str) -> Option<Keyed<'a>> {
    let mut by_name = BTreeMap::new();
    for element in list {
        if by_name.insert(label(element, key)?, element).is_some() {
            return None;
        }
    }
    Some(Keyed { key, by_name })
}

fn label(element: &Value, key: &str) -> Option<String> {
    element.get(key)?.as_str().map(str::to_owned)
}

fn child(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn change(path: String, before: Option<&Value>, after: Option<&Value>) -> FieldChange {
    let kind = match (before, after) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    };
    FieldChange { path, kind, before: before.cloned(), after: after.cloned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(before: &Value, after: &Value) -> Vec<String> {
        diff(Some(before), Some(after)).into_iter().map(|c| format!("{:?} {}", c.kind, c.path)).collect()
    }

    #[test]
    fn elements_are_matched_by_their_name_not_their_place() {
        let before = json!({"routes": [{"id": "a", "path": "/a"}, {"id": "b", "path": "/b"}]});
        let after = json!({"routes": [{"id": "c", "path": "/c"}, {"id": "a", "path": "/a"}, {"id": "b", "path": "/x"}]});
        assert_eq!(paths(&before, &after), ["Changed /routes/b/path", "Added /routes/c"]);
    }

    #[test]
    fn another_order_of_the_same_elements_is_a_change() {
        let before = json!({"policies": [{"type": "cache"}, {"type": "cors"}]});
        let after = json!({"policies": [{"type": "cors"}, {"type": "cache"}]});
        assert_eq!(paths(&before, &after), ["Changed /policies/(order)"]);
    }

    #[test]
    fn lists_without_names_are_compared_by_place() {
        assert_eq!(paths(&json!({"l": [1, 2]}), &json!({"l": [1, 3, 4]})), ["Changed /l/1", "Added /l/2"]);
        assert_eq!(paths(&json!({"l": []}), &json!({"l": [4]})), ["Added /l/0"]);
    }

    #[test]
    fn something_new_is_listed_field_by_field() {
        let changes = diff(None, Some(&json!({"name": "x", "none": null, "a/b": 1})));
        let paths: Vec<_> = changes.iter().map(|c| c.path.as_str()).collect();
        assert_eq!(paths, ["/a~1b", "/name"]);
    }
}
