//! The request that tells a CDN of a purge: templates, checked when they are kept and filled in for each purge.

use crate::journal::PurgeScope;
use crate::problem::FieldProblem;
use crate::rest::cdn_hooks::{CdnHeader, PurgeKind, SaveCdnHook};

const METHODS: [&str; 7] = ["POST", "PUT", "PATCH", "DELETE", "GET", "PURGE", "BAN"];
/// What templates may name.
const NAMES: [&str; 7] = ["value", "path", "kind", "api", "environment", "purge", "soft"];
const SECRET: &str = "secret";
const URL_MAX: usize = 2048;
const BODY_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 20;
const HEADER_MAX: usize = 2048;
/// Headers that the connection is about.
const NOT_OURS: [&str; 7] =
    ["connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"];

/// What a purge is, for templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeFacts {
    pub scope: PurgeScope,
    pub soft: bool,
    /// Its id.
    pub purge: String,
    /// Slugs.
    pub api: String,
    pub environment: String,
}

/// Where a template stands: how values are written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Url,
    Header,
    Body,
}

/// A request, filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CdnRequest {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What is wrong with the templates, by pointers into the body that saves them.
#[must_use]
pub fn problems(hook: &SaveCdnHook) -> Vec<FieldProblem> {
    let mut wrong = Vec::new();
    let mut say = |pointer: &str, code: &str, message: &str| {
        wrong.push(FieldProblem::new(pointer, code, message));
    };
    if hook.kinds.is_empty() {
        say("/kinds", "required", "Say for which purges it is sent.");
    }
    if !METHODS.contains(&hook.method.as_str()) {
        say("/method", "unknown", "POST, PUT, PATCH, DELETE, GET, PURGE or BAN.");
    }
    if !is_address(&hook.url) {
        say(
            "/url",
            "invalid_url",
            "An address that begins with https:// or http:// and a host that is no template.",
        );
    } else if let Some(name) = unknown_name(&hook.url, Place::Url) {
        say("/url", "unknown_name", &unknown(&name));
    }
    if hook.body.len() > BODY_MAX {
        say("/body", "too_long", "At most 16 KiB.");
    } else if let Some(name) = unknown_name(&hook.body, Place::Body) {
        say("/body", "unknown_name", &unknown(&name));
    }
    wrong.extend(header_problems(&hook.headers));
    wrong
}

fn header_problems(headers: &[CdnHeader]) -> Vec<FieldProblem> {
    if headers.len() > HEADERS_MAX {
        return vec![FieldProblem::new("/headers", "too_many", format!("At most {HEADERS_MAX} headers."))];
    }
    let of_header = |(index, CdnHeader { name, value }): (usize, &CdnHeader)| {
        let at = |field: &str| format!("/headers/{index}/{field}");
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let is_name = !name.is_empty() && name.len() <= 100 && name.bytes().all(token);
        if !is_name || NOT_OURS.contains(&name.to_ascii_lowercase().as_str()) {
            return Some(FieldProblem::new(
                at("name"),
                "invalid_header",
                "The name of a header that may be set.",
            ));
        }
        let is_text = value.len() <= HEADER_MAX && value.bytes().all(|b| (0x20..=0x7e).contains(&b));
        if !is_text {
            return Some(FieldProblem::new(at("value"), "invalid_header", "Visible characters of ASCII."));
        }
        let name = unknown_name(value, Place::Header)?;
        Some(FieldProblem::new(at("value"), "unknown_name", unknown(&name)))
    };
    headers.iter().enumerate().filter_map(of_header).collect()
}

fn unknown(name: &str) -> String {
    format!("{{{name}}} is nothing that can be filled in here.")
}

/// Whether the template is an address whose host is the same for every purge.
fn is_address(template: &str) -> bool {
    let rest = template.strip_prefix("https://").or_else(|| template.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    // The path may be a template alone: http://varnish.example.com{path}
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].strip_suffix("{path}").unwrap_or(&rest[..end]);
    let visible = template.bytes().all(|b| (0x21..=0x7e).contains(&b));
    visible && template.len() <= URL_MAX && !host.is_empty() && !host.contains(['{', '}', '@', '\\', '#'])
}

/// The first `{name}` that cannot be filled in. Braces around something else are text.
fn unknown_name(template: &str, place: Place) -> Option<String> {
    let known = |name: &str| NAMES.contains(&name) || (place == Place::Header && name == SECRET);
    names(template).find(|name| !known(name)).map(str::to_owned)
}

fn names(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|after| {
        let (name, _) = after.split_once('}')?;
        (!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())).then_some(name)
    })
}

/// The request for a purge. `secret` stands for `{secret}` in headers.
#[must_use]
pub fn fill(hook: &SaveCdnHook, facts: &PurgeFacts, secret: Option<&str>) -> CdnRequest {
    let headers = hook.headers.iter().map(|CdnHeader { name, value }| {
        (name.clone(), written(value, Place::Header, facts, Some(secret.unwrap_or_default())))
    });
    CdnRequest {
        url: written(&hook.url, Place::Url, facts, None),
        headers: headers.collect(),
        body: written(&hook.body, Place::Body, facts, None),
    }
}

/// Goes over the template once, so that what is filled in is never taken for a template itself.
fn written(template: &str, place: Place, facts: &PurgeFacts, secret: Option<&str>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let value =
            after.split_once('}').and_then(|(name, tail)| Some((value(name, facts, secret)?, name, tail)));
        match value {
            Some((value, name, tail)) => {
                text.push_str(&escaped(&value, name, place));
                rest = tail;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

fn value(name: &str, facts: &PurgeFacts, secret: Option<&str>) -> Option<String> {
    let path = match &facts.scope {
        PurgeScope::Url { path, .. } | PurgeScope::Prefix { path, .. } => Some(path.clone()),
        _ => None,
    };
    let tag = if let PurgeScope::Tag { tag, .. } = &facts.scope { Some(tag.clone()) } else { None };
    Some(match name {
        "value" => path.or(tag).unwrap_or_default(),
        "path" => path.unwrap_or_default(),
        "kind" => PurgeKind::of(&facts.scope).map_or("application", PurgeKind::name).to_owned(),
        "api" => facts.api.clone(),
        "environment" => facts.environment.clone(),
        "purge" => facts.purge.clone(),
        "soft" => facts.soft.to_string(),
        SECRET => secret?.to_owned(),
        _ => return None,
    })
}

fn escaped(value: &str, name: &str, place: Place) -> String {
    match place {
        // A path is made of what may stand in a path.
        Place::Url if name == "path" => value.to_owned(),
        Place::Url => percent_encoded(value),
        Place::Header => value.chars().filter(|c| !c.is_control() && c.is_ascii()).collect(),
        Place::Body => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
    }
}

fn percent_encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ApiId, EnvironmentId};

    fn hook(url: &str, body: &str, headers: &[(&str, &str)]) -> SaveCdnHook {
        SaveCdnHook {
            name: "cdn".to_owned(),
            environment: EnvironmentId::generate(),
            kinds: vec![PurgeKind::Tag],
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| CdnHeader { name: (*name).to_owned(), value: (*value).to_owned() })
                .collect(),
            body: body.to_owned(),
            enabled: true,
            secret: None,
        }
    }

    fn facts(scope: PurgeScope) -> PurgeFacts {
        let [purge, api, environment] = ["1", "shop", "production"].map(str::to_owned);
        PurgeFacts { scope, soft: true, purge, api, environment }
    }

    #[test]
    fn what_is_filled_in_is_written_as_its_place_wants_it() {
        let api = ApiId::generate();
        let tag = facts(PurgeScope::Tag { api: Some(api), tag: "a b/\"{kind}{secret}".to_owned() });
        let hook = hook(
            "https://cdn.example.com/{api}/purge/{value}?soft={soft}",
            r#"{"tags": ["{value}"], "of": "{environment}", "odd": {"{nothing}": 1}}"#,
            &[("authorization", "Bearer {secret}"), ("x-tag", "{value}")],
        );
        let made = fill(&hook, &tag, Some("s3cret"));
        assert_eq!(
            made.url,
            "https://cdn.example.com/shop/purge/a%20b%2F%22%7Bkind%7D%7Bsecret%7D?soft=true"
        );
        let body: serde_json::Value = serde_json::from_str(&made.body).unwrap();
        assert_eq!((&body["tags"][0], &body["of"]), (&"a b/\"{kind}{secret}".into(), &"production".into()));
        assert_eq!(made.headers[0].1, "Bearer s3cret");
        assert_eq!(made.headers[1].1, "a b/\"{kind}{secret}");
        let path = facts(PurgeScope::Url { api, path: "/items?page=2".to_owned() });
        let varnish = SaveCdnHook { url: "http://varnish.example.com{path}".to_owned(), ..hook };
        assert_eq!(fill(&varnish, &path, None).url, "http://varnish.example.com/items?page=2");
    }

    #[test]
    fn templates_are_checked_before_they_are_kept() {
        let at =
            |hook: &SaveCdnHook| problems(hook).into_iter().map(|wrong| wrong.pointer).collect::<Vec<_>>();
        let good = "https://cdn.example.com/{value}";
        assert_eq!(at(&hook(good, "{}", &[("x-key", "{secret} {value}")])), [""; 0]);
        assert_eq!(at(&hook("http://varnish.example.com{path}", "", &[])), [""; 0]);
        for url in [
            "",
            "cdn.example.com",
            "ftp://a/",
            "https://{value}/",
            "https://a@b/",
            "https:///x",
            "https://a/ b",
        ] {
            assert_eq!(at(&hook(url, "", &[])), ["/url"], "{url}");
        }
        assert_eq!(at(&hook("https://a/{secret}", "{secret}", &[])), ["/url", "/body"]);
        assert_eq!(at(&hook(good, "", &[("host", "x")])), ["/headers/0/name"]);
        assert_eq!(at(&hook(good, "", &[("a b", "x")])), ["/headers/0/name"]);
        assert_eq!(at(&hook(good, "", &[("a", "x\r\ny: z")])), ["/headers/0/value"]);
        let odd = SaveCdnHook { kinds: vec![], method: "TRACE".to_owned(), ..hook(good, "", &[]) };
        assert_eq!(at(&odd), ["/kinds", "/method"]);
    }
}
