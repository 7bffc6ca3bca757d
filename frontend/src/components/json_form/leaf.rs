//! The controls of a schema form that hold one value.

use leptos::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{SelectField, Switch, TextArea, TextField};
use super::Form;
use crate::state::effect;

/// What every control needs to know.
#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) form: Form,
    pub(super) path: String,
    pub(super) label: String,
    pub(super) help: Option<String>,
    /// Empty means absent.
    pub(super) optional: bool,
}

impl Leaf {
    fn now(&self) -> Option<Value> {
        untrack(|| self.form.at(&self.path, |value| value.cloned()))
    }

    /// A text that is kept in step with the value: `write` says what a text means, or why it means nothing.
    fn text(
        &self,
        initial: String,
        write: impl Fn(&str) -> Result<Option<Value>, String> + 'static,
    ) -> (RwSignal<String>, Signal<Option<String>>) {
        let text = RwSignal::new(initial);
        let wrong = RwSignal::new(None::<String>);
        let (form, path) = (self.form, self.path.clone());
        let mut begun = false;
        effect(move || {
            let written = text.with(|text| write(text));
            if std::mem::replace(&mut begun, true) {
                match written {
                    Ok(value) => {
                        wrong.set(None);
                        form.put(&path, value);
                    }
                    Err(reason) => wrong.set(Some(reason)),
                }
            }
        });
        let sent = self.form.error(&self.path);
        (text, Signal::derive(move || wrong.get().or_else(|| sent.get())))
    }

    fn field(self, text: RwSignal<String>, error: Signal<Option<String>>, kind: &'static str) -> AnyView {
        let Self { label, help, optional, .. } = self;
        let help = help.unwrap_or_default();
        if help.is_empty() {
            view! { <TextField label value=text error kind optional /> }.into_any()
        } else {
            view! { <TextField label value=text error kind optional help=help /> }.into_any()
        }
    }
}

fn shown(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

pub(super) fn text_leaf(leaf: Leaf, kind: &'static str) -> AnyView {
    let optional = leaf.optional;
    let (text, error) =
        leaf.text(shown(leaf.now()), move |text| Ok((!(optional && text.is_empty())).then(|| json!(text))));
    leaf.field(text, error, kind)
}

pub(super) fn number_leaf(leaf: Leaf, whole: bool) -> AnyView {
    let optional = leaf.optional;
    let (text, error) = leaf.text(shown(leaf.now()), move |text| number(text, whole, optional));
    leaf.field(text, error, "number")
}

fn number(text: &str, whole: bool, optional: bool) -> Result<Option<Value>, String> {
    let text = text.trim();
    match (text.is_empty(), text.parse::<i64>(), text.parse::<f64>()) {
        (true, ..) if optional => Ok(None),
        (_, Ok(number), _) => Ok(Some(json!(number))),
        (_, _, Ok(number)) if !whole && number.is_finite() => Ok(Some(json!(number))),
        _ if whole => Err("This must be a whole number.".to_owned()),
        _ => Err("This must be a number.".to_owned()),
    }
}

pub(super) fn switch_leaf(leaf: Leaf) -> AnyView {
    let checked = RwSignal::new(leaf.now() == Some(Value::Bool(true)));
    let Leaf { form, path, label, help, .. } = leaf;
    let mut begun = false;
    effect(move || {
        let on = checked.get();
        if std::mem::replace(&mut begun, true) {
            form.put(&path, Some(json!(on)));
        }
    });
    match help {
        Some(help) => view! { <Switch label checked help=help /> }.into_any(),
        None => view! { <Switch label checked /> }.into_any(),
    }
}

pub(super) fn enum_leaf(leaf: Leaf, options: Vec<(Value, String)>) -> AnyView {
    let present = leaf.now();
    let place = options.iter().position(|(value, _)| Some(value) == present.as_ref());
    let mut choices: Vec<_> =
        options.iter().enumerate().map(|(i, (_, text))| (i.to_string(), text.clone())).collect();
    if leaf.optional {
        choices.insert(0, (String::new(), "Not set".to_owned()));
    }
    let (text, error) = leaf.text(place.map(|i| i.to_string()).unwrap_or_default(), move |text| {
        Ok(text.parse::<usize>().ok().and_then(|i| options.get(i)).map(|(value, _)| value.clone()))
    });
    let Leaf { label, help, optional, .. } = leaf;
    let help = help.unwrap_or_default();
    let options = Signal::stored(choices);
    if help.is_empty() {
        view! { <SelectField label value=text options error optional /> }.into_any()
    } else {
        view! { <SelectField label value=text options error optional help=help /> }.into_any()
    }
}

/// Names and texts: one `name: value` for each line.
pub(super) fn map_leaf(leaf: Leaf) -> AnyView {
    let initial = leaf.now().and_then(|value| value.as_object().map(lines)).unwrap_or_default();
    let (text, error) = leaf.text(initial, |text| pairs(text).map(Some));
    let Leaf { label, help, .. } = leaf;
    let help = help.map_or_else(
        || "One “name: value” on each line.".to_owned(),
        |help| format!("{help} One “name: value” on each line."),
    );
    view! { <TextArea label value=text error help=help mono=true /> }.into_any()
}

fn lines(map: &Map<String, Value>) -> String {
    map.iter()
        .map(|(key, value)| format!("{key}: {}", shown(Some(value.clone()))))
        .collect::<Vec<_>>()
        .join("\n")
}

fn pairs(text: &str) -> Result<Value, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let pairs: Result<Map<_, _>, _> = lines
        .map(|line| match line.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok((name.trim().to_owned(), json!(value.trim())))
            }
            _ => Err(format!("“{line}” is not “name: value”.")),
        })
        .collect();
    pairs.map(Value::Object)
}

/// What no other control can edit.
pub(super) fn json_leaf(leaf: Leaf) -> AnyView {
    let initial = leaf.now().and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_default();
    let optional = leaf.optional;
    let (text, error) = leaf.text(initial, move |text| {
        if optional && text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(text).map(Some).map_err(|error| format!("This is not JSON: {error}"))
    });
    let Leaf { label, help, .. } = leaf;
    let help = help.unwrap_or_else(|| "JSON".to_owned());
    view! { <TextArea label value=text error help=help mono=true /> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_field_says_what_it_wants() {
        assert_eq!(number("12", true, false), Ok(Some(json!(12))));
        assert_eq!(number("", true, true), Ok(None));
        assert_eq!(number("1.5", false, false), Ok(Some(json!(1.5))));
        assert!(number("1.5", true, false).is_err());
        assert!(number("", true, false).is_err());
        assert!(number("many", false, true).is_err());
    }

    #[test]
    fn a_map_survives_the_way_through_text() {
        let map = pairs("x-a: 1\n\n x-b : two: three ").unwrap();
        assert_eq!(map, json!({ "x-a": "1", "x-b": "two: three" }));
        assert_eq!(pairs(&lines(map.as_object().unwrap())).unwrap(), map);
        assert!(pairs("no colon").is_err());
    }
}
