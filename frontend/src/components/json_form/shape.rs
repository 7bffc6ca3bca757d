//! What kind of control a schema asks for. Pure.

use serde_json::{Map, Value, json};

/// What a schema describes, as far as a form can draw it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// With the input type that fits its format.
    Text(&'static str),
    Number {
        whole: bool,
    },
    Boolean,
    /// Values and their texts.
    Enum(Vec<(Value, String)>),
    List(Value),
    /// Any keys, text values.
    Map,
    Object(Vec<Property>),
    Variants(Vec<Variant>),
    Optional(Value),
    Const(Value),
    /// Anything: edited as JSON.
    Any,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Property {
    pub(super) key: String,
    pub(super) schema: Value,
    pub(super) required: bool,
}

/// One of several forms that a value may have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variant {
    pub(super) title: String,
    pub(super) schema: Value,
}

/// Follows `$ref` into the root's definitions.
pub(super) fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    // A chain longer than this is a loop.
    for _ in 0..16 {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(pointer)) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

pub(super) fn shape_of(schema: &Value, root: &Value) -> Shape {
    let schema = resolve(schema, root);
    if let Some(value) = schema.get("const") {
        return Shape::Const(value.clone());
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return enumeration(values.iter().map(|value| (value.clone(), words(&text(value)))).collect());
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(branches) = schema.get(key).and_then(Value::as_array) {
            return branches_shape(schema, branches, root);
        }
    }
    if let Some(types) = schema.get("type").and_then(Value::as_array) {
        return typed_list(schema, types);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => Shape::Text(input_type(schema)),
        Some("integer") => Shape::Number { whole: true },
        Some("number") => Shape::Number { whole: false },
        Some("boolean") => Shape::Boolean,
        Some("array") => schema.get("items").map_or(Shape::Any, |items| Shape::List(items.clone())),
        Some("object") => object(schema, root),
        _ if schema.get("properties").is_some() => object(schema, root),
        _ => Shape::Any,
    }
}

fn typed_list(schema: &Value, types: &[Value]) -> Shape {
    let real: Vec<_> = types.iter().filter(|kind| *kind != "null").collect();
    let [kind] = real.as_slice() else { return Shape::Any };
    let mut inner = schema.clone();
    if let Some(map) = inner.as_object_mut() {
        map.insert("type".to_owned(), (*kind).clone());
    }
    if real.len() < types.len() { Shape::Optional(inner) } else { Shape::Any }
}

fn branches_shape(schema: &Value, branches: &[Value], root: &Value) -> Shape {
    let real: Vec<&Value> =
        branches.iter().filter(|branch| branch.get("type") != Some(&json!("null"))).collect();
    if real.len() < branches.len() {
        return match real.as_slice() {
            [one] => Shape::Optional((*one).clone()),
            _ => Shape::Optional(json!({ "oneOf": real })),
        };
    }
    // An enum whose values have texts of their own: `oneOf` of constants.
    let constants: Option<Vec<_>> = real
        .iter()
        .map(|branch| branch.get("const").map(|value| (value.clone(), words(&text(value)))))
        .collect();
    if let Some(options) = constants {
        return enumeration(options);
    }
    let shared = schema.get("properties").and_then(Value::as_object);
    Shape::Variants(real.into_iter().map(|branch| variant(resolve(branch, root), shared)).collect())
}

fn enumeration(options: Vec<(Value, String)>) -> Shape {
    match options.as_slice() {
        [(only, _)] => Shape::Const(only.clone()),
        _ => Shape::Enum(options),
    }
}

fn variant(branch: &Value, shared: Option<&Map<String, Value>>) -> Variant {
    let mut schema = branch.clone();
    if let (Some(shared), Some(properties)) =
        (shared, schema.get_mut("properties").and_then(Value::as_object_mut))
    {
        for (key, value) in shared {
            properties.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    let constant = tags(&schema).next().map(|(_, value)| words(&text(value)));
    let only_key = || {
        let required = schema.get("required")?.as_array()?;
        Some(words(required.first()?.as_str()?))
    };
    let title = schema.get("title").and_then(Value::as_str).map(str::to_owned);
    let title = title.or(constant).or_else(only_key).unwrap_or_else(|| "Other".to_owned());
    Variant { title, schema }
}

/// Properties with a fixed value: what tells variants apart.
fn tags(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().filter_map(|(key, property)| {
        property.get("const").or_else(|| single(property)).map(|value| (key, value))
    })
}

fn single(property: &Value) -> Option<&Value> {
    match property.get("enum")?.as_array()?.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

/// Whether a value has the form that a variant describes: its tags, or else all that it requires.
pub(super) fn matches(value: &Value, variant: &Value, root: &Value) -> bool {
    if let Shape::Const(only) = shape_of(variant, root) {
        return *value == only;
    }
    let mut tagged = tags(variant).peekable();
    if tagged.peek().is_some() {
        return tagged.all(|(key, wanted)| value.get(key) == Some(wanted));
    }
    let required = variant.get("required").and_then(Value::as_array);
    required.is_some_and(|keys| keys.iter().filter_map(Value::as_str).all(|key| value.get(key).is_some()))
}

fn object(schema: &Value, root: &Value) -> Shape {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        let values = schema.get("additionalProperties").map(|values| shape_of(values, root));
        return if matches!(values, Some(Shape::Text(_))) { Shape::Map } else { Shape::Any };
    };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |key: &str| required.is_some_and(|list| list.iter().any(|name| name == key));
    // What a person confirms is asked for in words, beside the form.
    let is_drawn = |property: &Value| property.get("x-confirmation") != Some(&json!(true));
    let mut properties: Vec<_> = properties
        .iter()
        .filter(|(_, property)| is_drawn(property))
        .map(|(key, property)| Property {
            key: key.clone(),
            schema: property.clone(),
            // A default fills in for what is not given; the form shows it as present.
            required: is_required(key) || property.get("default").is_some_and(|value| !value.is_null()),
        })
        .collect();
    // JSON objects arrive in no order that means anything: what must be given first, unless the schema says.
    let order = |schema: &Value| schema.get("x-order").and_then(Value::as_u64).unwrap_or(u64::MAX);
    properties.sort_by_key(|property| (order(&property.schema), !is_required(&property.key)));
    Shape::Object(properties)
}

fn input_type(schema: &Value) -> &'static str {
    match schema.get("format").and_then(Value::as_str) {
        Some("uri" | "url") => "url",
        Some("email") => "email",
        _ => "text",
    }
}

/// What a new value is: the schema's default, or the smallest thing that fits.
pub fn default_of(schema: &Value, root: &Value) -> Value {
    if let Some(value) = schema.get("default") {
        return value.clone();
    }
    let resolved = resolve(schema, root);
    if let Some(value) = resolved.get("default") {
        return value.clone();
    }
    match shape_of(resolved, root) {
        Shape::Text(_) => json!(""),
        Shape::Number { .. } => resolved.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        Shape::Boolean => json!(false),
        Shape::Enum(options) => options.first().map(|(value, _)| value.clone()).unwrap_or_default(),
        Shape::Const(value) => value,
        Shape::List(_) => json!([]),
        Shape::Map => json!({}),
        Shape::Optional(_) | Shape::Any => Value::Null,
        Shape::Variants(variants) => {
            variants.first().map(|variant| default_of(&variant.schema, root)).unwrap_or_default()
        }
        Shape::Object(properties) => {
            let present = properties.into_iter().filter(|property| property.required);
            Value::Object(present.map(|p| (p.key, default_of(&p.schema, root))).collect())
        }
    }
}

/// Puts a value at a pointer, making the objects on the way; none removes it.
pub(super) fn put(root: &mut Value, pointer: &str, value: Option<Value>) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        *root = value.unwrap_or_default();
        return;
    };
    if root.pointer(parent).is_none_or(Value::is_null) {
        if value.is_none() {
            return;
        }
        put(root, parent, Some(json!({})));
    }
    let key = key.replace("~1", "/").replace("~0", "~");
    match (root.pointer_mut(parent), value) {
        (Some(Value::Object(map)), Some(value)) => drop(map.insert(key, value)),
        (Some(Value::Object(map)), None) => drop(map.remove(&key)),
        (Some(Value::Array(items)), value) => {
            if let Some(slot) = key.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                *slot = value.unwrap_or_default();
            }
        }
        _ => {}
    }
}

/// The pointer of a member.
pub(super) fn child(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The label of a field: its own title, or its key in words.
pub(super) fn title_of(resolved: &Value, own: &Value, key: &str) -> String {
    let title = own.get("title").or_else(|| {
        // The title of an inline schema is about this field; that of a shared definition names a type.
        if own.get("$ref").is_some() { None } else { resolved.get("title") }
    });
    title.and_then(Value::as_str).map_or_else(|| words(key), str::to_owned)
}

/// The first paragraph of the description.
pub(super) fn help_of(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split("\n\n").next().unwrap_or(text).replace('\n', " "))
}

/// `max_age_s` → `Max age (s)`: what programs call it, as people would.
pub(super) fn words(key: &str) -> String {
    let (key, unit) = match key.rsplit_once('_') {
        Some((rest, unit @ ("s" | "ms" | "us"))) => (rest, Some(unit)),
        Some((rest, "bytes")) => (rest, Some("bytes")),
        _ => (key, None),
    };
    let mut text = key.replace(['_', '-'], " ");
    if let Some(first) = text.get(..1) {
        let first = first.to_uppercase();
        text.replace_range(..1, &first);
    }
    match unit {
        Some(unit) => format!("{text} ({unit})"),
        None => text,
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Value {
        json!({
            "type": "object",
            "properties": {
                "limit": { "type": "integer", "minimum": 1 },
                "window_s": { "type": "integer", "default": 60 },
                "key": { "$ref": "#/$defs/Key" },
                "note": { "type": ["string", "null"] },
                "burst": { "anyOf": [{ "$ref": "#/$defs/Burst" }, { "type": "null" }] },
                "tags": { "type": "array", "items": { "type": "string" } },
                "set": { "type": "object", "additionalProperties": { "type": "string" } }
            },
            "required": ["limit", "key", "tags"],
            "$defs": {
                "Key": { "oneOf": [
                    { "type": "object", "properties": { "by": { "const": "header" }, "name": { "type": "string" } }, "required": ["by", "name"] },
                    { "type": "object", "properties": { "by": { "const": "subscription" } }, "required": ["by"] }
                ]},
                "Burst": { "type": "object", "properties": { "size": { "type": "integer" } }, "required": ["size"] }
            }
        })
    }

    #[test]
    fn a_new_value_has_what_is_required_and_the_defaults() {
        let schema = policy();
        let value = default_of(&schema, &schema);
        assert_eq!(
            value,
            json!({ "limit": 1, "window_s": 60, "key": { "by": "header", "name": "" }, "tags": [] })
        );
    }

    #[test]
    fn each_property_gets_the_control_that_fits() {
        let schema = policy();
        let Shape::Object(properties) = shape_of(&schema, &schema) else { panic!("not an object") };
        let shape = |key: &str| {
            let property = properties.iter().find(|property| property.key == key).unwrap();
            shape_of(&property.schema, &schema)
        };
        assert_eq!(shape("limit"), Shape::Number { whole: true });
        assert!(matches!(shape("note"), Shape::Optional(_)));
        assert!(matches!(shape("burst"), Shape::Optional(_)));
        assert_eq!(shape("tags"), Shape::List(json!({ "type": "string" })));
        assert_eq!(shape("set"), Shape::Map);
        let Shape::Variants(variants) = shape("key") else { panic!("not variants") };
        assert_eq!(variants.iter().map(|v| v.title.as_str()).collect::<Vec<_>>(), ["Header", "Subscription"]);
        assert!(matches(&json!({ "by": "subscription" }), &variants[1].schema, &schema));
        assert!(!matches(&json!({ "by": "subscription" }), &variants[0].schema, &schema));
    }

    #[test]
    fn what_is_confirmed_in_words_gets_no_control() {
        let schema = json!({ "type": "object", "properties": {
            "confirmed": { "type": "array", "items": {}, "x-confirmation": true },
            "shared": { "type": "boolean" },
        } });
        let Shape::Object(properties) = shape_of(&schema, &schema) else { panic!("not an object") };
        assert_eq!(properties.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["shared"]);
    }

    #[test]
    fn an_enum_of_documented_constants_is_one_choice() {
        let schema = json!({ "oneOf": [{ "const": "tiny_lfu", "description": "x" }, { "const": "lru" }] });
        let options = vec![(json!("tiny_lfu"), "Tiny lfu".to_owned()), (json!("lru"), "Lru".to_owned())];
        assert_eq!(shape_of(&schema, &schema), Shape::Enum(options));
    }

    #[test]
    fn values_are_put_and_removed_at_their_pointers() {
        let mut value = json!({ "list": ["a", "b"] });
        put(&mut value, "/list/1", Some(json!("c")));
        put(&mut value, "/deep/er", Some(json!(1)));
        put(&mut value, "/a~1b", Some(json!(true)));
        put(&mut value, "/missing/field", None);
        assert_eq!(value, json!({ "list": ["a", "c"], "deep": { "er": 1 }, "a/b": true }));
        put(&mut value, "/deep/er", None);
        assert_eq!(value["deep"], json!({}));
    }

    #[test]
    fn keys_read_as_words_with_their_unit() {
        assert_eq!(
            ["max_age_s", "connect_ms", "methods", "body_bytes"].map(words),
            ["Max age (s)", "Connect (ms)", "Methods", "Body (bytes)"]
        );
    }

    #[test]
    fn a_reference_loop_ends() {
        let schema = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "$ref": "#/$defs/A" } } });
        assert_eq!(shape_of(&schema, &schema), Shape::Any);
    }
}
