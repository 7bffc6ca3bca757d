//! Path templates: what they may look like, what they match, which of two is more specific, which conflict.
//!
//! A template is a list of segments between slashes. A segment is literal text (`users`), a parameter (`{id}`), text
//! around parameters (`{name}.json`, `{base}...{head}`) or a parameter over one or more segments (`{*path}`).
//! Segments are compared as they are on the wire: an encoded slash (`%2F`) never ends a segment.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::definition::{HeaderMatch, Route};

/// A parsed path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
}

/// What one segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text.
    Literal(String),
    /// Literal pieces around parameters; the first and last piece may be empty. `literals.len() == names.len() + 1`.
    Mixed { literals: Vec<String>, names: Vec<String> },
    /// Any one segment, not empty.
    Parameter(String),
    /// One or more segments.
    Multi(String),
}

/// Why a text is not a path template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    #[error("a path starts with `/`")]
    NoLeadingSlash,
    #[error("a path has no query or fragment: leave out everything from `?` or `#` on")]
    QueryOrFragment,
    #[error("`{0}` has a brace without its partner")]
    UnbalancedBraces(String),
    #[error("`{0}` is not a parameter name: use letters, digits, `_`, `-` and `.`")]
    InvalidName(String),
    #[error("the parameter `{0}` is there twice")]
    DuplicateName(String),
    #[error("`{0}` must stand alone between two slashes")]
    MultiInsideSegment(String),
    #[error("`{0}` has two parameters with nothing between them")]
    AdjacentParameters(String),
    #[error("a path has at most one `{{*name}}` parameter")]
    SeveralMulti,
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        let rest = text.strip_prefix('/').ok_or(InvalidPath::NoLeadingSlash)?;
        if text.contains(['?', '#']) {
            return Err(InvalidPath::QueryOrFragment);
        }
        let segments = rest.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let template = Self { segments };
        template.check_names()?;
        Ok(template)
    }

    /// The segments, in order. The root path `/` has one empty literal.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The parameters and their raw (still percent-encoded) values when `path` matches.
    pub fn matches<'p>(&self, path: &'p str) -> Option<Vec<(&str, &'p str)>> {
        let path = path.strip_prefix('/')?;
        let mut values = Vec::new();
        match_segments(&self.segments, path, &mut values).then_some(values)
    }

    /// Greater is more specific: segment by segment, literal before mixed before parameter before multi-segment.
    pub fn specificity(&self, other: &Self) -> Ordering {
        let ranks = |template: &Self| template.segments.iter().map(Segment::rank).collect::<Vec<_>>();
        ranks(self).cmp(&ranks(other))
    }

    fn check_names(&self) -> Result<(), InvalidPath> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.segments.iter().flat_map(Segment::names) {
            if names.contains(&name) {
                return Err(InvalidPath::DuplicateName(name.to_owned()));
            }
            names.push(name);
        }
        let multi = self.segments.iter().filter(|segment| matches!(segment, Segment::Multi(_))).count();
        if multi > 1 { Err(InvalidPath::SeveralMulti) } else { Ok(()) }
    }

    /// Equal for templates that may match the same path without one being more specific.
    fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            shape.push('/');
            match segment {
                Segment::Literal(text) => shape.push_str(text),
                Segment::Mixed { .. } => shape.push_str(&format!("{{{}}}", segment.rank().1)),
                Segment::Parameter(_) => shape.push_str("{}"),
                Segment::Multi(_) => shape.push_str("{*}"),
            }
        }
        shape
    }

    /// For two templates of one shape: whether some path matches both.
    fn overlaps(&self, other: &Self) -> bool {
        self.segments.iter().zip(&other.segments).all(|(a, b)| match (a, b) {
            (Segment::Mixed { literals: a, .. }, Segment::Mixed { literals: b, .. }) => {
                let compatible = |x: Option<&String>, y: Option<&String>, from_start: bool| match (x, y) {
                    (Some(x), Some(y)) if from_start => {
                        x.starts_with(y.as_str()) || y.starts_with(x.as_str())
                    }
                    (Some(x), Some(y)) => x.ends_with(y.as_str()) || y.ends_with(x.as_str()),
                    _ => true,
                };
                compatible(a.first(), b.first(), true) && compatible(a.last(), b.last(), false)
            }
            _ => true,
        })
    }
}

impl FromStr for PathTemplate {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        Self::parse(text)
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| write!(f, "/{segment}"))
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Parameter(name) => write!(f, "{{{name}}}"),
            Self::Multi(name) => write!(f, "{{*{name}}}"),
            Self::Mixed { literals, names } => {
                for (literal, name) in literals.iter().zip(names) {
                    write!(f, "{literal}{{{name}}}")?;
                }
                f.write_str(literals.last().map_or("", String::as_str))
            }
        }
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, InvalidPath> {
        if !text.contains(['{', '}']) {
            return Ok(Self::Literal(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix("{*").and_then(|rest| rest.strip_suffix('}')) {
            return check_name(name).map(|()| Self::Multi(name.to_owned()));
        }
        let (mut literals, mut names) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').ok_or_else(|| InvalidPath::UnbalancedBraces(text.to_owned()))?;
            if name.starts_with('*') {
                return Err(InvalidPath::MultiInsideSegment(text.to_owned()));
            }
            check_name(name)?;
            if literal.contains('}') {
                return Err(InvalidPath::UnbalancedBraces(text.to_owned()));
            }
            if literal.is_empty() && !names.is_empty() {
                return Err(InvalidPath::AdjacentParameters(text.to_owned()));
            }
            literals.push(literal.to_owned());
            names.push(name.to_owned());
            rest = after;
        }
        if rest.contains('}') {
            return Err(InvalidPath::UnbalancedBraces(text.to_owned()));
        }
        literals.push(rest.to_owned());
        if names.len() == 1 && literals.iter().all(String::is_empty) {
            return Ok(Self::Parameter(names.remove(0)));
        }
        Ok(Self::Mixed { literals, names })
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::Literal(_) => &[][..],
            Self::Mixed { names, .. } => names,
            Self::Parameter(name) | Self::Multi(name) => std::slice::from_ref(name),
        };
        names.iter().map(String::as_str)
    }

    /// Kind (greater is more specific) and, within mixed segments, how much of it is literal.
    pub fn rank(&self) -> (u8, usize) {
        match self {
            Self::Literal(_) => (3, 0),
            Self::Mixed { literals, .. } => (2, literals.iter().map(String::len).sum()),
            Self::Parameter(_) => (1, 0),
            Self::Multi(_) => (0, 0),
        }
    }

    /// The parameters of one raw path segment when it matches; never for [`Segment::Multi`].
    pub fn match_one<'t, 'p>(&'t self, value: &'p str, values: &mut Vec<(&'t str, &'p str)>) -> bool {
        match self {
            Self::Literal(text) => text == value,
            Self::Parameter(name) => {
                values.push((name, value));
                !value.is_empty()
            }
            Self::Mixed { literals, names } => match_mixed(literals, names, value, values),
            Self::Multi(_) => false,
        }
    }
}

fn match_mixed<'t, 'p>(
    literals: &'t [String],
    names: &'t [String],
    value: &'p str,
    values: &mut Vec<(&'t str, &'p str)>,
) -> bool {
    let [first, between @ .., last] = literals else { return false };
    let Some(mut rest) = value.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
    else {
        return false;
    };
    for (literal, name) in between.iter().zip(names) {
        let Some((found, after)) = rest.split_once(literal.as_str()) else { return false };
        if found.is_empty() {
            return false;
        }
        values.push((name, found));
        rest = after;
    }
    if let Some(name) = names.last() {
        values.push((name, rest));
    }
    !rest.is_empty()
}

fn match_segments<'t, 'p>(
    segments: &'t [Segment],
    path: &'p str,
    values: &mut Vec<(&'t str, &'p str)>,
) -> bool {
    let Some((segment, rest)) = segments.split_first() else { return false };
    if let Segment::Multi(name) = segment {
        return match_multi(name, rest, path, values);
    }
    let (value, after) = match path.split_once('/') {
        Some((value, after)) => (value, Some(after)),
        None => (path, None),
    };
    let before = values.len();
    let matched = segment.match_one(value, values)
        && match (rest.is_empty(), after) {
            (true, None) => true,
            (false, Some(after)) => match_segments(rest, after, values),
            _ => false,
        };
    if !matched {
        values.truncate(before);
    }
    matched
}

fn match_multi<'t, 'p>(
    name: &'t str,
    rest: &'t [Segment],
    path: &'p str,
    values: &mut Vec<(&'t str, &'p str)>,
) -> bool {
    let before = values.len();
    if rest.is_empty() {
        values.push((name, path));
        return !path.is_empty();
    }
    // Shortest first: the segments after it are fixed in number, so at most one length can match literals.
    for (at, _) in path.match_indices('/') {
        values.push((name, &path[..at]));
        if at > 0 && match_segments(rest, &path[at + 1..], values) {
            return true;
        }
        values.truncate(before);
    }
    false
}

fn check_name(name: &str) -> Result<(), InvalidPath> {
    let valid = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$'));
    if valid { Ok(()) } else { Err(InvalidPath::InvalidName(name.to_owned())) }
}

/// Pairs of routes that could both match one request with neither being more specific. Routes whose path does not
/// parse are left out.
pub fn conflicts(routes: &[Route]) -> Vec<(&Route, &Route)> {
    let mut shapes: HashMap<String, Vec<(PathTemplate, &Route)>> = HashMap::new();
    let mut found = Vec::new();
    for route in routes {
        let Ok(template) = PathTemplate::parse(&route.path) else { continue };
        let same_shape = shapes.entry(template.shape()).or_default();
        found.extend(
            same_shape
                .iter()
                .filter(|(other, one)| {
                    other.overlaps(&template) && methods_meet(one, route) && headers_meet(one, route)
                })
                .map(|(_, one)| (*one, route)),
        );
        same_shape.push((template, route));
    }
    found
}

fn methods_meet(a: &Route, b: &Route) -> bool {
    // A route for any method is less specific than one that names the method.
    match (a.methods.is_empty(), b.methods.is_empty()) {
        (true, true) => true,
        (false, false) => a.methods.iter().any(|method| b.methods.contains(method)),
        _ => false,
    }
}

fn headers_meet(a: &Route, b: &Route) -> bool {
    // More conditions are more specific; as many are a conflict unless one header is asked to have two values.
    let contradict = |x: &HeaderMatch, y: &HeaderMatch| {
        x.name.eq_ignore_ascii_case(&y.name) && x.value.is_some() && y.value.is_some() && x.value != y.value
    };
    a.headers.len() == b.headers.len()
        && !a.headers.iter().any(|x| b.headers.iter().any(|y| contradict(x, y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched<'p>(template: &str, path: &'p str) -> Option<Vec<(String, &'p str)>> {
        let template = PathTemplate::parse(template).unwrap();
        let values = template.matches(path)?;
        Some(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    #[test]
    fn literals_parameters_and_wildcards_match_what_they_say() {
        assert!(matched("/", "/").is_some());
        assert!(matched("/users", "/users").is_some());
        assert!(matched("/users", "/users/").is_none());
        assert_eq!(matched("/users/{id}", "/users/7").unwrap(), [("id".to_owned(), "7")]);
        assert!(matched("/users/{id}", "/users/").is_none());
        assert_eq!(matched("/users/{id}", "/users/a%2Fb").unwrap(), [("id".to_owned(), "a%2Fb")]);
        assert_eq!(matched("/files/{*rest}", "/files/a/b/c").unwrap(), [("rest".to_owned(), "a/b/c")]);
        assert!(matched("/files/{*rest}", "/files/").is_none());
        assert_eq!(
            matched("/repos/{repo}/refs/{*ref}/locks", "/repos/x/refs/heads/main/locks").unwrap(),
            [("repo".to_owned(), "x"), ("ref".to_owned(), "heads/main")]
        );
        assert_eq!(
            matched("/compare/{base}...{head}", "/compare/main...dev").unwrap(),
            [("base".to_owned(), "main"), ("head".to_owned(), "dev")]
        );
        assert_eq!(matched("/{name}.json", "/a.json").unwrap(), [("name".to_owned(), "a")]);
        assert!(matched("/{name}.json", "/.json").is_none());
    }

    #[test]
    fn malformed_templates_are_refused_with_the_reason() {
        for (text, error) in [
            ("users", InvalidPath::NoLeadingSlash),
            ("/a?b", InvalidPath::QueryOrFragment),
            ("/{a", InvalidPath::UnbalancedBraces("{a".to_owned())),
            ("/a}", InvalidPath::UnbalancedBraces("a}".to_owned())),
            ("/{}", InvalidPath::InvalidName(String::new())),
            ("/{a b}", InvalidPath::InvalidName("a b".to_owned())),
            ("/{a}/{a}", InvalidPath::DuplicateName("a".to_owned())),
            ("/x{*a}", InvalidPath::MultiInsideSegment("x{*a}".to_owned())),
            ("/{a}{b}", InvalidPath::AdjacentParameters("{a}{b}".to_owned())),
            ("/{*a}/x/{*b}", InvalidPath::SeveralMulti),
        ] {
            assert_eq!(PathTemplate::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_template_prints_as_it_was_read() {
        for text in ["/", "/a/{b}/{*c}", "/{name}.{ext}", "/v1/{m}:run", "/a/"] {
            assert_eq!(PathTemplate::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn literal_beats_mixed_beats_parameter_beats_multi() {
        let order = ["/a/{*x}", "/a/{x}", "/a/{x}.json", "/a/b"];
        for pair in order.windows(2) {
            let [low, high] = [0, 1].map(|i| PathTemplate::parse(pair[i]).unwrap());
            assert_eq!(high.specificity(&low), Ordering::Greater, "{pair:?}");
        }
    }

    fn route(id: &str, methods: &[&str], path: &str) -> Route {
        let methods: Vec<String> = methods.iter().map(|&m| m.to_owned()).collect();
        serde_json::from_value(serde_json::json!({ "id": id, "methods": methods, "path": path })).unwrap()
    }

    #[test]
    fn only_routes_that_could_both_match_conflict() {
        let routes = [
            route("one", &["GET"], "/users/{id}"),
            route("two", &["GET", "PUT"], "/users/{name}"),
            route("three", &["POST"], "/users/{id}"),
            route("four", &["GET"], "/users/me"),
            route("five", &[], "/users/{id}"),
            route("six", &["GET"], "/f/{a}.json"),
            route("seven", &["GET"], "/f/{a}.yaml"),
            route("eight", &["GET"], "/f/x{a}yaml"),
        ];
        let found: Vec<_> = conflicts(&routes).iter().map(|(a, b)| (a.id.as_str(), b.id.as_str())).collect();
        assert_eq!(found, [("one", "two"), ("seven", "eight")]);
    }

    #[test]
    fn routes_told_apart_by_a_header_value_do_not_conflict() {
        let with = |id: &str, value: &str| {
            let mut route = route(id, &["GET"], "/a");
            route.headers.push(HeaderMatch { name: "X-Version".into(), value: Some(value.into()) });
            route
        };
        assert!(conflicts(&[with("a", "1"), with("b", "2")]).is_empty());
        assert_eq!(conflicts(&[with("a", "1"), with("b", "1")]).len(), 1);
    }
}
