//! What an event says is to be purged: rules that take values out of its JSON and put them into tags and paths.
//!
//! The control plane applies them to what arrives; the console shows what they make of a sample.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::FieldProblem;

/// Most rules of one source.
pub const MAX_RULES: usize = 20;
/// Most different things that one event may purge: each of them is an entry of the journal.
pub const MAX_FOUND: usize = 100;
/// Longest template and pointer, in bytes.
const MAX_TEXT: usize = 512;
/// What is replaced in a template.
const PLACE: &str = "{value}";

/// Takes values out of an event and makes tags or paths of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRule {
    /// Where the values are: a JSON pointer (RFC 6901) in which `*` stands for every element of an array, as in `/items/*/id`.
    pub pointer: String,
    pub purge: EventTarget,
    /// What each value becomes: `product-{value}`. The value is put in as it is.
    pub template: String,
    /// Whether an event without such a value is in order, too.
    #[serde(default)]
    pub optional: bool,
}

/// What a rule makes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventTarget {
    /// A tag of responses of the API.
    Tag,
    /// A path below the API's base, with its query if any.
    Path,
    /// A path below the API's base and all below it.
    Prefix,
}

/// Something to purge, and where in the event that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub pointer: String,
    pub purge: EventTarget,
    pub text: String,
}

/// What is wrong with the rules, by pointers that begin with `at`.
#[must_use]
pub fn problems(at: &str, rules: &[EventRule]) -> Vec<FieldProblem> {
    if rules.is_empty() {
        return vec![FieldProblem::new(at, "required", "Say where in an event the tags or paths are.")];
    }
    if rules.len() > MAX_RULES {
        return vec![FieldProblem::new(at, "too_many", format!("At most {MAX_RULES} rules."))];
    }
    let of_rule = |(index, rule): (usize, &EventRule)| {
        let EventRule { pointer, purge, template, optional: _ } = rule;
        let wrong = |field: &str, code: &str, message: String| {
            FieldProblem::new(format!("{at}/{index}/{field}"), code, message)
        };
        let pointer = pointer_problem(pointer).map(|text| wrong("pointer", "invalid_pointer", text));
        let template =
            template_problem(*purge, template).map(|text| wrong("template", "invalid_template", text));
        pointer.into_iter().chain(template).collect::<Vec<_>>()
    };
    rules.iter().enumerate().flat_map(of_rule).collect()
}

fn pointer_problem(pointer: &str) -> Option<String> {
    let escapes = pointer.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    let fits = (pointer.is_empty() || pointer.starts_with('/')) && escapes && pointer.len() <= MAX_TEXT;
    (!fits).then(|| "A JSON pointer such as /items/*/id, where * stands for every element.".to_owned())
}

fn template_problem(purge: EventTarget, template: &str) -> Option<String> {
    if !template.contains(PLACE) || template.len() > MAX_TEXT {
        return Some(format!("A text in which {PLACE} stands for what was found."));
    }
    let is_path = purge != EventTarget::Tag;
    let begins = template.starts_with('/') || template.starts_with(PLACE);
    (is_path && !begins).then(|| format!("A path begins with /: /items/{PLACE}."))
}

/// What an event says is to be purged, each thing once.
///
/// # Errors
/// Each place in the event where the rules want something else than what stands there.
pub fn apply(rules: &[EventRule], event: &Value) -> Result<Vec<Found>, Vec<FieldProblem>> {
    let mut search = Search::default();
    for rule in rules {
        search.look(rule, event, &rule.pointer, String::new());
    }
    let Search { mut found, problems } = search;
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|found| seen.insert((found.purge, found.text.clone())));
    if found.len() > MAX_FOUND {
        let message = format!("{} things to purge; one event may name {MAX_FOUND}.", found.len());
        return Err(vec![FieldProblem::new("", "too_many", message)]);
    }
    Ok(found)
}

#[derive(Default)]
struct Search {
    found: Vec<Found>,
    problems: Vec<FieldProblem>,
}

impl Search {
    /// Follows what is left of a pointer; `at` is where `value` stands.
    fn look(&mut self, rule: &EventRule, value: &Value, rest: &str, at: String) {
        // A pointer is empty or begins with a slash.
        let Some(rest) = rest.strip_prefix('/') else { return self.take(rule, value, at) };
        let (segment, deeper) = match rest.find('/') {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        if segment == "*" {
            return self.each(rule, value, deeper, &at);
        }
        let name = segment.replace("~1", "/").replace("~0", "~");
        let inner = match value {
            Value::Object(fields) => fields.get(&name),
            Value::Array(elements) => name.parse::<usize>().ok().and_then(|index| elements.get(index)),
            _ => None,
        };
        let here = format!("{at}/{segment}");
        match inner {
            Some(inner) if !inner.is_null() => self.look(rule, inner, deeper, here),
            _ if rule.optional => {}
            _ => self.wrong(here, "required", format!("The rule {} needs this.", rule.pointer)),
        }
    }

    fn each(&mut self, rule: &EventRule, value: &Value, deeper: &str, at: &str) {
        let Value::Array(elements) = value else {
            let message = format!("The rule {} wants an array here.", rule.pointer);
            return self.wrong(at.to_owned(), "wrong_type", message);
        };
        for (index, element) in elements.iter().enumerate() {
            self.look(rule, element, deeper, format!("{at}/{index}"));
        }
    }

    fn take(&mut self, rule: &EventRule, value: &Value, pointer: String) {
        let text = match value {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
            _ => {
                let message = format!("The rule {} wants a text or a whole number here.", rule.pointer);
                return self.wrong(pointer, "wrong_type", message);
            }
        };
        let text = rule.template.replace(PLACE, &text);
        self.found.push(Found { pointer, purge: rule.purge, text });
    }

    fn wrong(&mut self, pointer: String, code: &str, message: String) {
        // As many as one reads.
        if self.problems.len() < MAX_RULES {
            self.problems.push(FieldProblem::new(pointer, code, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(pointer: &str, purge: EventTarget, template: &str) -> EventRule {
        EventRule { pointer: pointer.to_owned(), purge, template: template.to_owned(), optional: false }
    }

    fn texts(rules: &[EventRule], event: &Value) -> Vec<String> {
        apply(rules, event).unwrap().into_iter().map(|found| found.text).collect()
    }

    fn wrong(rules: &[EventRule], event: &Value) -> Vec<(String, String)> {
        let problems = apply(rules, event).unwrap_err();
        problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    #[test]
    fn values_are_found_by_pointer_and_each_thing_is_named_once() {
        let rules = [
            rule("/data/items/*/id", EventTarget::Tag, "product-{value}"),
            rule("/data/a~1b/0", EventTarget::Path, "/products/{value}?v={value}"),
        ];
        let event = json!({"data": {"items": [{"id": 7}, {"id": "x"}, {"id": 7}], "a/b": ["9"]}});
        assert_eq!(texts(&rules, &event), ["product-7", "product-x", "/products/9?v=9"]);
        assert_eq!(texts(&[rule("", EventTarget::Tag, "{value}")], &json!("all")), ["all"]);
        assert_eq!(texts(&rules[..1], &json!({"data": {"items": []}})), [""; 0]);
    }

    #[test]
    fn what_does_not_fit_is_named_by_where_it_stands_in_the_event() {
        let rules = [rule("/items/*/id", EventTarget::Tag, "{value}")];
        let at = |event: Value| wrong(&rules, &event);
        let expected = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
        assert_eq!(at(json!({})), expected("/items", "required"));
        assert_eq!(at(json!({"items": {}})), expected("/items", "wrong_type"));
        assert_eq!(at(json!({"items": [{"id": 1}, {"id": null}]})), expected("/items/1/id", "required"));
        for odd in [json!(1.5), json!(true), json!([]), json!({}), json!("")] {
            assert_eq!(at(json!({"items": [{"id": odd}]})), expected("/items/0/id", "wrong_type"));
        }
        let many: Vec<_> = (0..=MAX_FOUND).map(|id| json!({ "id": id })).collect();
        assert_eq!(at(json!({ "items": many })), expected("", "too_many"));
        assert_eq!(at(json!({"items": vec![json!({}); 50]})).len(), MAX_RULES);
    }

    #[test]
    fn an_optional_value_may_be_missing_but_not_be_of_another_kind() {
        let rules = [EventRule { optional: true, ..rule("/a/b", EventTarget::Tag, "{value}") }];
        for event in [json!({}), json!({"a": null}), json!({"a": {}}), json!([])] {
            assert_eq!(texts(&rules, &event), [""; 0], "{event}");
        }
        assert_eq!(wrong(&rules, &json!({"a": {"b": true}}))[0].0, "/a/b");
    }

    #[test]
    fn rules_are_checked_before_they_are_kept() {
        let at = |rules: &[EventRule]| {
            problems("/rules", rules).into_iter().map(|problem| problem.pointer).collect::<Vec<_>>()
        };
        let tag = |pointer, template| rule(pointer, EventTarget::Tag, template);
        assert_eq!(at(&[]), ["/rules"]);
        assert_eq!(at(&[tag("a", "x")]), ["/rules/0/pointer", "/rules/0/template"]);
        assert_eq!(at(&[tag("/a", "{value}"), tag("/a~2", "{value}")]), ["/rules/1/pointer"]);
        assert_eq!(at(&[rule("/a", EventTarget::Path, "items/{value}")]), ["/rules/0/template"]);
        assert_eq!(at(&[rule("/a", EventTarget::Prefix, "{value}")]), [""; 0]);
        assert_eq!(at(&vec![tag("/a", "{value}"); MAX_RULES + 1]), ["/rules"]);
    }
}
