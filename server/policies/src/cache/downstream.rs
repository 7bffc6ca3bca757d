//! What caches between the gateway and its callers are told about a response that is stored here: browsers by
//! `Cache-Control`, CDNs by `CDN-Cache-Control` (RFC 9213) and `Surrogate-Control`.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use http::header::{CACHE_CONTROL, EXPIRES, HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::problem::FieldProblem;

/// What is said in place of the upstream's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "mode", content = "say", deny_unknown_fields)]
pub enum Downstream {
    /// What the upstream said.
    #[default]
    Keep,
    /// Nothing.
    Remove,
    /// This.
    Set(Said),
}

/// Directives for caches downstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Said {
    /// As they stand in the field: `public, max-age=60`.
    #[schemars(title = "Directives")]
    pub directives: String,
    /// `max-age` and `s-maxage` are never longer than the response is fresh here. `Age` says how much of that is over: nobody
    /// downstream counts it as fresh for longer than the gateway does.
    #[schemars(title = "Within what is left of freshness")]
    pub within_freshness: bool,
}

impl Default for Said {
    fn default() -> Self {
        Self { directives: "max-age=60".to_owned(), within_freshness: true }
    }
}

static SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");
static CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

impl Downstream {
    pub(super) fn problems(&self, pointer: &str) -> Vec<FieldProblem> {
        let Self::Set(Said { directives, within_freshness }) = self else { return Vec::new() };
        let pointer = format!("{pointer}/say");
        let Some(found) = parse(directives) else {
            let message = "Write directives as they stand in the field: `public, max-age=60`.";
            return vec![FieldProblem::new(format!("{pointer}/directives"), "invalid_directives", message)];
        };
        let bounded = found.iter().any(|directive| matches!(directive, Directive::Lasts { .. }));
        if *within_freshness && !bounded {
            let message = "There is no `max-age` or `s-maxage` to keep within freshness.";
            return vec![FieldProblem::new(
                format!("{pointer}/within_freshness"),
                "nothing_to_bound",
                message,
            )];
        }
        Vec::new()
    }
}

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Directive {
    /// `max-age` or `s-maxage`.
    Lasts {
        name: &'static str,
        seconds: u64,
    },
    Other(String),
}

/// The directives of a field as both dialects understand them: lower case, a value of digits or a token or in quotes.
fn parse(text: &str) -> Option<Vec<Directive>> {
    let items = text.split(',').map(str::trim);
    items.map(directive).collect()
}

fn directive(item: &str) -> Option<Directive> {
    let (name, value) = item.split_once('=').map_or((item, None), |(name, value)| (name, Some(value)));
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.*".contains(&byte))
            && text.starts_with(|first: char| first.is_ascii_lowercase())
    };
    let is_value = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\",=;\\".contains(&byte);
        match inner {
            Some(inner) => inner.bytes().all(|byte| plain(byte) || b" =/".contains(&byte)),
            None => !text.is_empty() && text.bytes().all(plain),
        }
    };
    if !is_name(name) || !value.is_none_or(is_value) {
        return None;
    }
    match name {
        "max-age" | "s-maxage" => {
            let digits = value.filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))?;
            let name = if name == "max-age" { "max-age" } else { "s-maxage" };
            Some(Directive::Lasts { name, seconds: digits.parse().ok()? })
        }
        _ => Some(Directive::Other(item.to_owned())),
    }
}

/// [`Downstream`] for browsers and for CDNs, as a gateway says it.
#[derive(Clone, Debug)]
pub struct Telling {
    /// Tells these words from others.
    pub id: u64,
    browsers: Words,
    cdns: Words,
}

#[derive(Clone, Debug)]
enum Words {
    Keep,
    Remove,
    Set {
        /// About what anybody may have.
        open: Template,
        /// About one caller's copy.
        own: Template,
    },
}

#[derive(Clone, Debug)]
struct Template {
    directives: Vec<Directive>,
    within_freshness: bool,
}

impl Telling {
    /// None: everything is said as the upstream says it.
    pub(super) fn new(browsers: &Downstream, cdns: &Downstream) -> Option<Self> {
        if *browsers == Downstream::Keep && *cdns == Downstream::Keep {
            return None;
        }
        let mut id = DefaultHasher::new();
        (browsers, cdns).hash(&mut id);
        let private = |directives: Vec<Directive>| own_copy(directives);
        let never = |_| vec![Directive::Other("no-store".to_owned())];
        Some(Self {
            // Zero is for no words at all.
            id: id.finish().max(1),
            browsers: Words::new(browsers, private),
            cdns: Words::new(cdns, never),
        })
    }

    /// Whether the words depend on how long the response is fresh.
    pub fn is_within_freshness(&self) -> bool {
        [&self.browsers, &self.cdns]
            .iter()
            .any(|words| matches!(words, Words::Set { open, .. } if open.within_freshness))
    }

    /// Puts the words in place of the upstream's, about a response that is fresh for so long, counted as its `Age` is. A
    /// caller's own copy is never marked for others: its `Cache-Control` says `private`, and CDNs are told `no-store`.
    pub fn write(&self, headers: &mut HeaderMap, lifetime: Duration, own: bool) {
        self.browsers.write(headers, &[&CACHE_CONTROL], lifetime, own);
        // What stood beside `Cache-Control` would speak in its place.
        if !matches!(self.browsers, Words::Keep) {
            headers.remove(EXPIRES);
        }
        self.cdns.write(headers, &[&CDN_CACHE_CONTROL, &SURROGATE_CONTROL], lifetime, own);
    }
}

/// For one caller only.
fn own_copy(directives: Vec<Directive>) -> Vec<Directive> {
    let shares = |directive: &Directive| match directive {
        Directive::Lasts { name, .. } => *name == "s-maxage",
        Directive::Other(text) => text == "public",
    };
    let keeps_others_out = |directive: &Directive| matches!(directive, Directive::Other(text) if text == "private" || text == "no-store");
    let private = (!directives.iter().any(keeps_others_out)).then(|| Directive::Other("private".to_owned()));
    private.into_iter().chain(directives.into_iter().filter(|directive| !shares(directive))).collect()
}

impl Words {
    fn new(said: &Downstream, own: impl Fn(Vec<Directive>) -> Vec<Directive>) -> Self {
        match said {
            Downstream::Keep => Self::Keep,
            Downstream::Remove => Self::Remove,
            Downstream::Set(Said { directives, within_freshness }) => {
                // Checked when it was saved.
                let directives = parse(directives).unwrap_or_default();
                let template = |directives| Template { directives, within_freshness: *within_freshness };
                Self::Set { own: template(own(directives.clone())), open: template(directives) }
            }
        }
    }

    fn write(&self, headers: &mut HeaderMap, fields: &[&HeaderName], lifetime: Duration, own: bool) {
        let template = match self {
            Self::Keep => return,
            Self::Remove => None,
            Self::Set { own: template, .. } if own => Some(template),
            Self::Set { open, .. } => Some(open),
        };
        let value = template.and_then(|template| template.value(lifetime));
        for field in fields {
            headers.remove(*field);
            if let Some(value) = &value {
                headers.insert(*field, value.clone());
            }
        }
    }
}

impl Template {
    fn value(&self, lifetime: Duration) -> Option<HeaderValue> {
        let mut text = String::new();
        for directive in &self.directives {
            text.push_str(if text.is_empty() { "" } else { ", " });
            match directive {
                Directive::Lasts { name, seconds } => {
                    let most = if self.within_freshness { lifetime.as_secs() } else { u64::MAX };
                    // A String takes everything.
                    let _ = write!(text, "{name}={}", seconds.min(&most));
                }
                Directive::Other(other) => text.push_str(other),
            }
        }
        HeaderValue::try_from(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(directives: &str, within_freshness: bool) -> Downstream {
        Downstream::Set(Said { directives: directives.to_owned(), within_freshness })
    }

    fn told(browsers: &Downstream, cdns: &Downstream, own: bool) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("cache-control", "max-age=600"),
            ("cache-control", "immutable"),
            ("expires", "0"),
            ("cdn-cache-control", "max-age=1"),
            ("surrogate-control", "max-age=2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        Telling::new(browsers, cdns).unwrap().write(&mut headers, Duration::from_secs(90), own);
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
        };
        let mut pairs: Vec<_> = headers.iter().map(pair).collect();
        pairs.sort();
        pairs
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn browsers_and_cdns_are_told_apart() {
        let keep = Downstream::Keep;
        let cdn = ("cdn-cache-control", "max-age=1");
        let surrogate = ("surrogate-control", "max-age=2");
        assert_eq!(told(&Downstream::Remove, &keep, false), pairs(&[cdn, surrogate]));
        assert_eq!(
            told(&set("public, max-age=5", false), &keep, false),
            pairs(&[("cache-control", "public, max-age=5"), cdn, surrogate])
        );
        let browsers = [("cache-control", "immutable"), ("cache-control", "max-age=600")];
        let expires = ("expires", "0");
        assert_eq!(told(&keep, &Downstream::Remove, false), pairs(&[browsers[0], browsers[1], expires]));
        let day = ("cdn-cache-control", "max-age=86400");
        let same = ("surrogate-control", "max-age=86400");
        assert_eq!(
            told(&keep, &set("max-age=86400", false), false),
            pairs(&[browsers[0], browsers[1], day, expires, same])
        );
        assert!(Telling::new(&keep, &keep).is_none());
    }

    #[test]
    fn within_freshness_no_lifetime_is_longer_than_that_of_the_response() {
        let of = |directives, within| {
            let told = told(&set(directives, within), &Downstream::Remove, false);
            told.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(of("max-age=300, s-maxage=60, immutable", true), ["max-age=90, s-maxage=60, immutable"]);
        assert_eq!(of("max-age=300", false), ["max-age=300"]);
    }

    #[test]
    fn one_caller_s_copy_is_never_marked_for_others() {
        let own = |browsers: &str| {
            let told = told(&set(browsers, false), &set("public, max-age=60", false), true);
            told.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(own("public, max-age=5, s-maxage=9"), ["private, max-age=5", "no-store", "no-store"]);
        assert_eq!(own("no-store"), ["no-store"; 3]);
        assert_eq!(own("private, max-age=5"), ["private, max-age=5", "no-store", "no-store"]);
    }

    #[test]
    fn what_is_no_list_of_directives_is_refused() {
        for good in ["no-store", "max-age=0", "public, max-age=60, stale-while-revalidate=5", "private=\"x\""]
        {
            assert!(set(good, false).problems("/browsers").is_empty(), "{good}");
        }
        for bad in [
            "",
            "max-age",
            "max-age=",
            "max-age=a",
            "max-age=-1",
            "a b",
            "no-store,",
            "x=\"",
            "Public",
            "no-store\r\nx: y",
            "max-age=\"5\"",
            "é",
        ] {
            let problems = set(bad, false).problems("/browsers");
            assert_eq!(problems.len(), 1, "{bad}");
            assert_eq!(problems[0].pointer, "/browsers/say/directives", "{bad}");
        }
        assert_eq!(set("no-store", true).problems("/cdns")[0].pointer, "/cdns/say/within_freshness");
        assert!(set("s-maxage=5", true).problems("/cdns").is_empty());
    }
}
