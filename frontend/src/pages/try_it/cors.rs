//! Whether the gateway lets this page read its answers (CORS), and what to change when it doesn't. Pure.

use serde_json::{Value, json};
use sluice_contract::definition::PolicyAttachment;

/// Where the policy stands that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Environment,
    Api,
    Route,
}

/// What a browser will make of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The page reads the answer and its request id.
    Open,
    /// The page reads the answer but not its request id.
    Nameless(Level),
    /// The browser keeps the answer from the page.
    Closed(Level),
}

const KIND: &str = "cors";
const REQUEST_ID: &str = "x-request-id";

/// What holds for a page of this origin. The most specific attachment decides alone.
pub fn verdict(
    origin: &str,
    route: &[PolicyAttachment],
    api: &[PolicyAttachment],
    environment: &[PolicyAttachment],
) -> Verdict {
    let levels = [(Level::Route, route), (Level::Api, api), (Level::Environment, environment)];
    let deciding = levels.into_iter().find_map(|(level, policies)| Some((level, active(policies)?)));
    match deciding {
        None => Verdict::Closed(Level::Environment),
        Some((level, policy)) if !names_origin(&policy.settings, origin) => Verdict::Closed(level),
        Some((level, policy)) if !exposes_id(&policy.settings) => Verdict::Nameless(level),
        Some(_) => Verdict::Open,
    }
}

/// Adds this origin to the policy that is there, or a policy for it alone.
pub fn allow(policies: &mut Vec<PolicyAttachment>, origin: &str) {
    let present = policies.iter_mut().rev().find(|policy| policy.kind == KIND && policy.enabled);
    let Some(present) = present else {
        // A policy for nobody else may show this page every header.
        let settings = json!({ "origins": [origin], "expose": [REQUEST_ID, "*"] });
        policies.push(PolicyAttachment { kind: KIND.to_owned(), enabled: true, settings });
        return;
    };
    if !present.settings.is_object() {
        present.settings = json!({});
    }
    if !names_origin(&present.settings, origin) {
        add(&mut present.settings["origins"], origin);
    }
    if !exposes_id(&present.settings) {
        add(&mut present.settings["expose"], REQUEST_ID);
    }
}

/// The last one counts where several are attached, as on the gateway.
fn active(policies: &[PolicyAttachment]) -> Option<&PolicyAttachment> {
    policies.iter().rev().find(|policy| policy.kind == KIND && policy.enabled)
}

fn names_origin(settings: &Value, origin: &str) -> bool {
    // Settings without a list allow any origin.
    settings.get("origins").is_none() || texts(settings, "origins").any(|rule| matches(rule, origin))
}

fn matches(rule: &str, origin: &str) -> bool {
    match rule.split_once("*.") {
        _ if rule == "*" => true,
        Some((scheme, host)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_suffix(host)?.strip_suffix('.'))
            .is_some_and(|name| !name.is_empty()),
        None => rule.eq_ignore_ascii_case(origin),
    }
}

fn exposes_id(settings: &Value) -> bool {
    let any = settings.get("credentials") != Some(&Value::Bool(true));
    texts(settings, "expose").any(|name| name.eq_ignore_ascii_case(REQUEST_ID) || (any && name == "*"))
}

fn texts<'v>(settings: &'v Value, key: &str) -> impl Iterator<Item = &'v str> {
    settings.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn add(list: &mut Value, text: &str) {
    match list {
        Value::Array(items) => items.push(text.into()),
        other => *other = json!([text]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "https://console.example.com";

    fn cors(settings: Value) -> Vec<PolicyAttachment> {
        vec![PolicyAttachment { kind: KIND.to_owned(), enabled: true, settings }]
    }

    #[test]
    fn without_a_policy_the_page_may_read_nothing_until_it_is_allowed() {
        let mut environment = Vec::new();
        assert_eq!(verdict(CONSOLE, &[], &[], &environment), Verdict::Closed(Level::Environment));
        allow(&mut environment, CONSOLE);
        assert_eq!(verdict(CONSOLE, &[], &[], &environment), Verdict::Open);
        assert_eq!(
            verdict("https://else.example.com", &[], &[], &environment),
            Verdict::Closed(Level::Environment)
        );
    }

    #[test]
    fn the_most_specific_policy_decides_alone() {
        let all = cors(json!({ "origins": ["*"], "expose": ["X-Request-Id"] }));
        let other = cors(json!({ "origins": ["https://app.example.com"] }));
        assert_eq!(verdict(CONSOLE, &[], &other, &all), Verdict::Closed(Level::Api));
        assert_eq!(verdict(CONSOLE, &all, &other, &[]), Verdict::Open);
        let mut off = other.clone();
        off[0].enabled = false;
        assert_eq!(verdict(CONSOLE, &[], &off, &all), Verdict::Open);
        assert_eq!(verdict(CONSOLE, &cors(json!({})), &[], &[]), Verdict::Nameless(Level::Route));
    }

    #[test]
    fn what_is_allowed_joins_the_policy_that_is_there() {
        let mut present = cors(json!({ "origins": ["https://*.example.org"], "max_age_s": 5 }));
        allow(&mut present, CONSOLE);
        allow(&mut present, CONSOLE);
        let expected = json!({ "origins": ["https://*.example.org", CONSOLE], "max_age_s": 5, "expose": ["x-request-id"] });
        assert_eq!((present.len(), &present[0].settings), (1, &expected));
        assert!(matches("https://*.example.org", "https://a.b.example.org"));
        assert!(!matches("https://*.example.org", "https://example.org"));
        assert!(!matches("https://*.example.org", "http://a.example.org"));
    }
}
