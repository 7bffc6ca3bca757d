//! Finds the route of a request: a tree over path segments, searched most specific first, with backtracking.
//!
//! At each segment literal text comes before text around parameters, that before a parameter, that before parameters
//! over several segments; so the first match is the most specific one. A route whose path matches but not its method or
//! headers does not end the search: a less specific route may match whole.

use hashbrown::HashMap;
use http::{HeaderMap, Method};
use sluice_contract::path::{PathTemplate, Segment};

use crate::compile::Route;

/// The routes of one API by their paths. Holds indexes into [`crate::compile::Api::routes`].
pub struct Router {
    nodes: Vec<Node>,
}

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The index of the route.
    Route(usize),
    /// The path is there, but not for this method; these are (upper case, sorted).
    OtherMethods(Vec<Method>),
    Nothing,
}

#[derive(Default)]
struct Node {
    literals: HashMap<Box<str>, usize, ahash::RandomState>,
    /// Most literal text first.
    mixed: Vec<(Segment, usize)>,
    parameter: Option<usize>,
    multi: Option<usize>,
    /// Routes whose path ends here: more header conditions first, then those that name methods.
    ends: Vec<usize>,
}

struct Search<'r> {
    router: &'r Router,
    routes: &'r [Route],
    method: &'r Method,
    headers: &'r HeaderMap,
    /// Methods of routes that match but for the method.
    others: Vec<Method>,
    /// Whatever the headers are, all routes are looked for: these.
    all: Option<Vec<usize>>,
}

impl Router {
    /// A router over routes in the order of their indexes.
    pub fn new<'a>(routes: impl Iterator<Item = (&'a PathTemplate, &'a Route)>) -> Self {
        let mut router = Self { nodes: vec![Node::default()] };
        let mut rank = Vec::new();
        for (index, (path, route)) in routes.enumerate() {
            rank.push((route.headers.len(), !route.methods.is_empty()));
            let end = path.segments().iter().fold(0, |node, segment| router.child(node, segment));
            router.nodes[end].ends.push(index);
        }
        for node in &mut router.nodes {
            node.ends.sort_by_key(|&index| std::cmp::Reverse(rank[index]));
            node.mixed.sort_by_key(|(segment, _)| std::cmp::Reverse(segment.rank()));
        }
        router
    }

    /// Finds the route of a normalised path below the API's base (it starts with a slash).
    pub fn find(&self, routes: &[Route], path: &str, method: &Method, headers: &HeaderMap) -> Found {
        let Some(path) = path.strip_prefix('/') else { return Found::Nothing };
        let mut search = Search { router: self, routes, method, headers, others: Vec::new(), all: None };
        if let Some(route) = search.below(0, path) {
            return Found::Route(route);
        }
        let mut others = search.others;
        if others.is_empty() {
            return Found::Nothing;
        }
        others.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        others.dedup();
        Found::OtherMethods(others)
    }

    /// The routes that requests with this method for a path may find, by their headers.
    pub fn all(&self, routes: &[Route], path: &str, method: &Method) -> Vec<usize> {
        let Some(path) = path.strip_prefix('/') else { return Vec::new() };
        let (headers, all) = (&HeaderMap::new(), Some(Vec::new()));
        let mut search = Search { router: self, routes, method, headers, others: Vec::new(), all };
        search.below(0, path);
        search.all.unwrap_or_default()
    }

    fn child(&mut self, node: usize, segment: &Segment) -> usize {
        let next = self.nodes.len();
        let parent = &mut self.nodes[node];
        let child = match segment {
            Segment::Literal(text) => *parent.literals.entry(text.as_str().into()).or_insert(next),
            Segment::Parameter(_) => *parent.parameter.get_or_insert(next),
            Segment::Multi(_) => *parent.multi.get_or_insert(next),
            Segment::Mixed { .. } => match parent.mixed.iter().find(|(other, _)| other == segment) {
                Some(&(_, child)) => child,
                None => {
                    parent.mixed.push((segment.clone(), next));
                    next
                }
            },
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }
}

impl Search<'_> {
    /// The route of what is left of the path, below a node.
    fn below(&mut self, node: usize, path: &str) -> Option<usize> {
        let node = &self.router.nodes[node];
        let (segment, rest) = match memchr::memchr(b'/', path.as_bytes()) {
            Some(at) => (&path[..at], Some(&path[at + 1..])),
            None => (path, None),
        };
        if let Some(&child) = node.literals.get(segment)
            && let Some(route) = self.after(child, rest)
        {
            return Some(route);
        }
        for (mixed, child) in &node.mixed {
            if mixed.match_one(segment, &mut Vec::new())
                && let Some(route) = self.after(*child, rest)
            {
                return Some(route);
            }
        }
        if let Some(child) = node.parameter.filter(|_| !segment.is_empty())
            && let Some(route) = self.after(child, rest)
        {
            return Some(route);
        }
        self.multi(node.multi?, path)
    }

    fn after(&mut self, node: usize, rest: Option<&str>) -> Option<usize> {
        match rest {
            Some(rest) => self.below(node, rest),
            None => self.end(node),
        }
    }

    /// A parameter over several segments: the shortest that lets the rest match, else all of the path.
    fn multi(&mut self, node: usize, path: &str) -> Option<usize> {
        if path.is_empty() {
            return None;
        }
        let suffixes = &self.router.nodes[node];
        if !suffixes.literals.is_empty() || !suffixes.mixed.is_empty() || suffixes.parameter.is_some() {
            for at in memchr::memchr_iter(b'/', path.as_bytes()).filter(|&at| at > 0) {
                if let Some(route) = self.below(node, &path[at + 1..]) {
                    return Some(route);
                }
            }
        }
        self.end(node)
    }

    fn end(&mut self, node: usize) -> Option<usize> {
        let ends = &self.router.nodes[node].ends;
        let routes = self.routes;
        let takes = |index: usize, method: &Method| {
            routes[index].methods.is_empty() || routes[index].methods.contains(method)
        };
        if let Some(all) = &mut self.all {
            all.extend(ends.iter().copied().filter(|&index| takes(index, self.method)));
            return None;
        }
        let matching = || ends.iter().copied().filter(|&index| has_headers(&routes[index], self.headers));
        let with = |method: &Method| matching().find(|&index| takes(index, method));
        let found = with(self.method);
        // RFC 9110 §9.3.2: what can be got can be asked for its head.
        let found = if found.is_none() && self.method == Method::HEAD { with(&Method::GET) } else { found };
        if found.is_none() {
            let others: Vec<Method> = matching().flat_map(|index| routes[index].methods.clone()).collect();
            if others.contains(&Method::GET) {
                self.others.push(Method::HEAD);
            }
            self.others.extend(others);
        }
        found
    }
}

fn has_headers(route: &Route, headers: &HeaderMap) -> bool {
    route.headers.iter().all(|condition| match &condition.value {
        None => headers.contains_key(&condition.name),
        Some(wanted) => headers.get_all(&condition.name).iter().any(|value| value == wanted),
    })
}

#[cfg(test)]
mod tests {
    use sluice_contract::definition::ApiDefinition;
    use sluice_contract::ids::{ApiId, TenantId};
    use sluice_contract::part::ApiPart;

    use super::*;
    use crate::compile::{Api, Compiler};

    fn api(routes: serde_json::Value) -> std::sync::Arc<Api> {
        let definition: ApiDefinition =
            serde_json::from_value(serde_json::json!({ "routes": routes })).unwrap();
        let part = ApiPart {
            schema: 1,
            tenant: TenantId::generate(),
            tenant_slug: "t".to_owned(),
            api: ApiId::generate(),
            slug: "a".to_owned(),
            revision: 1,
            definition,
        };
        Compiler::default().api(&part).unwrap()
    }

    fn paths(paths: &[&str]) -> std::sync::Arc<Api> {
        api(paths
            .iter()
            .map(|path| serde_json::json!({ "id": path, "methods": ["GET"], "path": path }))
            .collect())
    }

    fn found(api: &Api, method: Method, path: &str) -> String {
        match api.router.find(&api.routes, path, &method, &HeaderMap::new()) {
            Found::Route(index) => api.routes[index].id.to_string(),
            Found::OtherMethods(methods) => format!("{methods:?}"),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_most_specific_route_wins_and_the_search_comes_back_from_dead_ends() {
        let api = paths(&[
            "/",
            "/users/{id}",
            "/users/me",
            "/users/{id}/posts",
            "/users/me/feed",
            "/files/{*rest}",
            "/files/{*rest}/locks",
            "/files/{name}.json",
            "/files/{dir}/index",
            "/{*all}",
            "/a/",
            "/c/{x}...{y}",
        ]);
        for (path, expected) in [
            ("/", "/"),
            ("/users/me", "/users/me"),
            ("/users/7", "/users/{id}"),
            ("/users/me/posts", "/users/{id}/posts"),
            ("/users/me/feed", "/users/me/feed"),
            ("/users/7/feed", "/{*all}"),
            ("/users/a%2Fb", "/users/{id}"),
            ("/files/a.json", "/files/{name}.json"),
            ("/files/a.txt", "/files/{*rest}"),
            ("/files/a/index", "/files/{dir}/index"),
            ("/files/a/b/locks", "/files/{*rest}/locks"),
            ("/files/locks", "/files/{*rest}"),
            ("/files/", "/{*all}"),
            ("/a/", "/a/"),
            ("/a", "/{*all}"),
            ("/c/1...2", "/c/{x}...{y}"),
        ] {
            assert_eq!(found(&api, Method::GET, path), expected, "{path}");
        }
    }

    #[test]
    fn the_tree_agrees_with_the_templates_themselves() {
        let templates = [
            "/a",
            "/a/{x}",
            "/a/{x}/c",
            "/a/b/{y}",
            "/{x}/b/c",
            "/{x}.json",
            "/a/{*r}",
            "/a/{*r}/z",
            "/{p}/{q}/{r}/{s}",
        ];
        let api = paths(&templates);
        let words = ["a", "b", "c", "z", "x.json", ""];
        let mut checked = 0;
        for length in 1..=4_u32 {
            for number in 0..words.len().pow(length) {
                let path: String = (0..length)
                    .map(|i| format!("/{}", words[number / words.len().pow(i) % words.len()]))
                    .collect();
                let parsed = templates.map(|text| PathTemplate::parse(text).unwrap());
                let best = parsed
                    .iter()
                    .filter(|template| template.matches(&path).is_some())
                    .max_by(|a, b| a.specificity(b));
                let expected = best.map_or("nothing".to_owned(), ToString::to_string);
                assert_eq!(found(&api, Method::GET, &path), expected, "{path}");
                checked += 1;
            }
        }
        assert_eq!(checked, 6 + 36 + 216 + 1296);
    }

    #[test]
    fn a_method_that_is_not_there_is_told_which_are_and_head_follows_get() {
        let api = api(serde_json::json!([
            { "id": "get", "methods": ["GET"], "path": "/x/me" },
            { "id": "delete", "methods": ["DELETE"], "path": "/x/{id}" },
            { "id": "any", "path": "/any" },
        ]));
        assert_eq!(found(&api, Method::HEAD, "/x/me"), "get");
        assert_eq!(found(&api, Method::DELETE, "/x/me"), "delete");
        assert_eq!(found(&api, Method::PUT, "/x/me"), "[DELETE, GET, HEAD]");
        assert_eq!(found(&api, Method::PATCH, "/any"), "any");
        assert_eq!(found(&api, Method::GET, "/none"), "nothing");
    }

    #[test]
    fn header_conditions_choose_between_routes_of_one_path() {
        let api = api(serde_json::json!([
            { "id": "plain", "path": "/x" },
            { "id": "two", "path": "/x", "headers": [{ "name": "X-Version", "value": "2" }] },
        ]));
        let find = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-version", value.parse().unwrap());
            match api.router.find(&api.routes, "/x", &Method::GET, &headers) {
                Found::Route(index) => &*api.routes[index].id,
                _ => "",
            }
        };
        assert_eq!((find("2"), find("1")), ("two", "plain"));
    }
}
