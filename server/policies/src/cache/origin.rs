//! The policy's word over the origin's: whose lifetime counts, and lifetimes for some responses only.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use sluice_contract::problem::FieldProblem;

use super::spec::LONGEST_S;

/// Whose word counts when the upstream and this policy both say something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OriginSays {
    /// The upstream's. The policy speaks where it is silent.
    #[default]
    Honour,
    /// The policy's lifetimes replace the upstream's; what it forbids (`no-store`, `private`, `no-cache`) stays forbidden.
    Override,
    /// Only the policy's: what the upstream says about caching is not read, not even `no-store` and `private`.
    Ignore,
}

/// What request directives of callers (`no-cache`, `max-age`, `only-if-cached` ...) may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallerDirectives {
    /// They count: callers may ask for fresher answers than the cache would give.
    #[default]
    Obey,
    /// They do not: no caller can make the gateway ask the upstream.
    Ignore,
}

/// A time to live for some responses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TtlRule {
    /// Statuses that it holds for. Empty: all.
    #[schemars(title = "Statuses")]
    pub statuses: Vec<u16>,
    /// Methods of the request that it holds for. Empty: all.
    #[schemars(title = "Methods")]
    pub methods: Vec<String>,
    /// Media types that it holds for: `application/json`, `image/*`. Empty: all.
    #[schemars(title = "Content types")]
    pub content_types: Vec<String>,
    /// How long such a response stays fresh, in seconds.
    #[schemars(title = "Time to live (seconds)", range(max = 31_536_000))]
    pub ttl_s: u64,
}

impl TtlRule {
    pub(super) fn problems(&self, pointer: &str) -> Vec<FieldProblem> {
        let Self { statuses, methods, content_types, ttl_s } = self;
        let mut problems = Vec::new();
        if *ttl_s > LONGEST_S {
            let message = "A response is kept for at most a year (31,536,000 seconds).";
            problems.push(FieldProblem::new(format!("{pointer}/ttl_s"), "out_of_range", message));
        }
        problems.extend(status_problems(statuses, &format!("{pointer}/statuses")));
        for (i, method) in methods.iter().enumerate() {
            // What HEAD is answered with is stored for GET.
            if !matches!(method.as_str(), "GET" | "POST") {
                let message = format!("Responses to `{method}` are not stored: only to GET and POST.");
                problems.push(FieldProblem::new(format!("{pointer}/methods/{i}"), "invalid_method", message));
            }
        }
        for (i, media) in content_types.iter().enumerate() {
            if !is_media_range(media) {
                let message = format!("`{media}` is not a media type like `application/json` or `image/*`.");
                let pointer = format!("{pointer}/content_types/{i}");
                problems.push(FieldProblem::new(pointer, "invalid_content_type", message));
            }
        }
        problems
    }

    /// Whether it holds for a response.
    pub(super) fn covers(&self, status: u16, method: &str, content_type: Option<&str>) -> bool {
        let media = content_type.and_then(|value| value.split(';').next()).map(str::trim);
        let of_type = |range: &String| media.is_some_and(|media| covers(range, media));
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.methods.is_empty() || self.methods.iter().any(|one| one == method))
            && (self.content_types.is_empty() || self.content_types.iter().any(of_type))
    }
}

/// Statuses that cannot be stored whole.
pub(super) fn status_problems(statuses: &[u16], pointer: &str) -> Vec<FieldProblem> {
    let bad = |status: &u16| !(200..600).contains(status) || matches!(status, 206 | 304);
    let bad = statuses.iter().enumerate().filter(|(_, status)| bad(status));
    bad.map(|(i, status)| {
        let message = format!("`{status}` is not a status that can be stored whole.");
        FieldProblem::new(format!("{pointer}/{i}"), "invalid_status", message)
    })
    .collect()
}

fn covers(range: &str, media: &str) -> bool {
    match range.strip_suffix("/*") {
        Some("*") => true,
        Some(kind) => media.split_once('/').is_some_and(|(of, _)| of.eq_ignore_ascii_case(kind)),
        None => media.eq_ignore_ascii_case(range),
    }
}

fn is_media_range(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b))
    };
    text.split_once('/').is_some_and(|(kind, of)| is_token(kind) && is_token(of))
}

/// Reads [`OriginSays`], and what the setting was before: `true` for [`OriginSays::Ignore`].
pub(super) fn origin_says<'de, D: Deserializer<'de>>(input: D) -> Result<OriginSays, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Before(bool),
        Now(OriginSays),
    }
    Ok(match Either::deserialize(input)? {
        Either::Before(false) => OriginSays::Honour,
        Either::Before(true) => OriginSays::Ignore,
        Either::Now(says) => says,
    })
}
