use super::*;
use crate::definition::{HeaderMatch, Route};

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
