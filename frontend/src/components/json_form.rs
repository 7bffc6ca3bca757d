//! A form drawn from a JSON Schema (2020-12, as schemars writes it): how policies get their settings pages.
//!
//! The value lives in one signal. Structure (list lengths, chosen variants, presence) is derived from it, so that
//! typing redraws nothing.

mod leaf;
mod shape;

use leptos::prelude::*;
use serde_json::Value;
use sluice_contract::problem::FieldProblem;

use super::{Button, CheckBox, Kind, SelectField};
use crate::icons::{PLUS, TRASH};
use crate::state::effect;
use leaf::{Leaf, enum_leaf, json_leaf, map_leaf, number_leaf, switch_leaf, text_leaf};
pub use shape::default_of;
use shape::{Property, Shape, Variant, child, help_of, matches, put, resolve, shape_of, title_of};

#[derive(Clone, Copy)]
struct Form {
    root: RwSignal<Value>,
    schema: StoredValue<Value>,
    /// Problems whose pointers begin with `prefix`.
    errors: Signal<Vec<FieldProblem>>,
    prefix: StoredValue<String>,
}

impl Form {
    fn at<R>(self, path: &str, read: impl FnOnce(Option<&Value>) -> R) -> R {
        self.root.with(|root| read(root.pointer(path)))
    }

    fn put(self, path: &str, value: Option<Value>) {
        self.root.update(|root| put(root, path, value));
    }

    fn error(self, path: &str) -> Signal<Option<String>> {
        let pointer = format!("{}{path}", self.prefix.get_value());
        Signal::derive(move || {
            self.errors.with(|errors| {
                errors.iter().find(|error| error.pointer == pointer).map(|error| error.message.clone())
            })
        })
    }

    fn shape(self, schema: &Value) -> Shape {
        self.schema.with_value(|root| shape_of(schema, root))
    }

    fn resolved(self, schema: &Value) -> Value {
        self.schema.with_value(|root| resolve(schema, root).clone())
    }

    fn default(self, schema: &Value) -> Value {
        self.schema.with_value(|root| default_of(schema, root))
    }
}

/// Edits `value` by `schema`. `errors` are the API's field problems; those below `prefix` show at their fields.
#[component]
pub fn JsonForm(
    schema: Value,
    value: RwSignal<Value>,
    #[prop(optional, into)] errors: Signal<Vec<FieldProblem>>,
    #[prop(optional, into)] prefix: String,
) -> impl IntoView {
    let form = Form {
        root: value,
        schema: StoredValue::new(schema.clone()),
        errors,
        prefix: StoredValue::new(prefix),
    };
    let body = match form.shape(&schema) {
        Shape::Object(properties) if properties.is_empty() => {
            view! { <p class="secondary small">"This has no settings."</p> }.into_any()
        }
        Shape::Object(properties) => fields(form, properties, ""),
        _ => node(form, Place { schema, path: String::new(), name: "Settings".to_owned(), required: true }),
    };
    view! { <div class="form">{body}</div> }
}

/// One value of the form.
#[derive(Clone)]
struct Place {
    schema: Value,
    path: String,
    name: String,
    required: bool,
}

fn fields(form: Form, properties: Vec<Property>, path: &str) -> AnyView {
    properties
        .into_iter()
        .map(|Property { key, schema, required }| {
            let name = title_of(&form.resolved(&schema), &schema, &key);
            node(form, Place { path: child(path, &key), schema, name, required })
        })
        .collect_view()
        .into_any()
}

fn node(form: Form, place: Place) -> AnyView {
    let shape = form.shape(&place.schema);
    let help = help_of(&place.schema).or_else(|| help_of(&form.resolved(&place.schema)));
    let leaf = Leaf {
        form,
        path: place.path.clone(),
        label: place.name.clone(),
        help: help.clone(),
        optional: !place.required,
    };
    match shape {
        Shape::Text(kind) => text_leaf(leaf, kind),
        Shape::Number { whole } => number_leaf(leaf, whole),
        Shape::Boolean => switch_leaf(leaf),
        Shape::Enum(options) => enum_leaf(leaf, options),
        Shape::Map => map_leaf(leaf),
        Shape::Any => json_leaf(leaf),
        Shape::Const(_) => ().into_any(),
        Shape::Optional(inner) => optional(form, inner, place, help),
        Shape::Object(properties) => {
            let inside = fields(form, properties, &place.path);
            group(place.name, help, inside)
        }
        Shape::List(item) => {
            let inside = list(form, item, &place);
            group(place.name, help, inside)
        }
        Shape::Variants(variants) => variants_of(form, variants, place, help),
    }
}

fn group(name: String, help: Option<String>, inside: AnyView) -> AnyView {
    view! {
        <fieldset class="group">
            <legend>{name}</legend>
            {help.map(|help| view! { <p class="field-help">{help}</p> })}
            {inside}
        </fieldset>
    }
    .into_any()
}

/// Scalars are absent when they are empty; anything larger has a box that says whether it is there.
fn optional(form: Form, inner: Value, place: Place, help: Option<String>) -> AnyView {
    let scalar = matches!(
        form.shape(&inner),
        Shape::Text(_) | Shape::Number { .. } | Shape::Enum(_) | Shape::Boolean | Shape::Any
    );
    if scalar {
        let mut schema = inner;
        // What the outer schema says about the field is about this field.
        if let (Some(inner), Some(outer)) = (schema.as_object_mut(), place.schema.as_object()) {
            for key in ["title", "description"] {
                if let Some(text) = outer.get(key) {
                    inner.insert(key.to_owned(), text.clone());
                }
            }
        }
        return node(form, Place { schema, required: false, ..place });
    }
    let path = place.path.clone();
    let there = Memo::new(move |_| form.at(&path, |value| value.is_some_and(|value| !value.is_null())));
    let (path, initial) = (place.path.clone(), form.default(&inner));
    let toggle = move |on: bool| form.put(&path, on.then(|| initial.clone()));
    let shown = Place { schema: inner, required: true, ..place.clone() };
    view! {
        <div class="stack" data-gap="2">
            <CheckBox label=place.name checked=there on_change=toggle />
            {help.map(|help| view! { <p class="field-help">{help}</p> })}
            {move || there.get().then(|| node(form, shown.clone()))}
        </div>
    }
    .into_any()
}

fn list(form: Form, item: Value, place: &Place) -> AnyView {
    let path = place.path.clone();
    let count =
        Memo::new(move |_| form.at(&path, |value| value.and_then(Value::as_array).map_or(0, Vec::len)));
    let scalar = !matches!(form.shape(&item), Shape::Object(_) | Shape::Variants(_) | Shape::List(_));
    let (path, singular) = (place.path.clone(), place.name.clone());
    let added = form.default(&item);
    let add = {
        let path = path.clone();
        move |()| {
            form.root.update(|root| match root.pointer_mut(&path) {
                Some(Value::Array(items)) => items.push(added.clone()),
                _ => put(root, &path, Some(Value::Array(vec![added.clone()]))),
            });
        }
    };
    let remove = {
        let path = path.clone();
        Callback::new(move |i: usize| {
            form.root.update(|root| {
                if let Some(Value::Array(items)) = root.pointer_mut(&path) {
                    items.remove(i);
                }
            });
        })
    };
    let rows = move || {
        (0..count.get())
            .map(|i| {
                let name = format!("{singular} {}", i + 1);
                let row = Place {
                    schema: item.clone(),
                    path: child(&path, &i.to_string()),
                    name: name.clone(),
                    required: true,
                };
                view! {
                    <div class="list-row">
                        <div class="grow">{node(form, row)}</div>
                        <Button
                            kind=Kind::Quiet
                            size=if scalar { "sm" } else { "" }
                            icon=TRASH
                            label=format!("Remove {name}")
                            on_click=move |()| remove.run(i)
                        />
                    </div>
                }
            })
            .collect_view()
    };
    view! {
        <div class="list">{rows}</div>
        <div class="row">
            <Button size="sm" icon=PLUS on_click=add>
                "Add"
            </Button>
        </div>
    }
    .into_any()
}

fn variants_of(form: Form, variants: Vec<Variant>, place: Place, help: Option<String>) -> AnyView {
    let path = place.path.clone();
    let known = StoredValue::new(variants);
    let chosen = Memo::new(move |_| {
        form.at(&path, |value| {
            known.with_value(|variants| {
                variants.iter().position(|variant| {
                    form.schema
                        .with_value(|root| value.is_some_and(|value| matches(value, &variant.schema, root)))
                })
            })
        })
    });
    let picked = RwSignal::new(chosen.get_untracked().map(|i| i.to_string()).unwrap_or_default());
    let path = place.path.clone();
    let mut before = picked.get_untracked();
    effect(move || {
        let now = picked.get();
        if before != now {
            let variant = now.parse::<usize>().ok().and_then(|i| known.with_value(|v| v.get(i).cloned()));
            if let Some(variant) = variant {
                form.put(&path, Some(form.default(&variant.schema)));
            }
        }
        before = now;
    });
    let options = known.with_value(|variants| {
        variants
            .iter()
            .enumerate()
            .map(|(i, variant)| (i.to_string(), variant.title.clone()))
            .collect::<Vec<_>>()
    });
    let path = place.path;
    let inside = move || {
        let variant = chosen.get().and_then(|i| known.with_value(|v| v.get(i).cloned()))?;
        let about = help_of(&variant.schema).map(|text| view! { <p class="field-help">{text}</p> });
        let below = match form.shape(&variant.schema) {
            Shape::Object(properties) => Some(fields(form, properties, &path)),
            _ => None,
        };
        Some(view! { {about} {below} })
    };
    view! {
        <div class="stack">
            {match help {
                Some(help) => {
                    view! { <SelectField label=place.name value=picked options=Signal::stored(options) help=help /> }
                        .into_any()
                }
                None => {
                    view! { <SelectField label=place.name value=picked options=Signal::stored(options) /> }.into_any()
                }
            }}
            {inside}
        </div>
    }
    .into_any()
}
