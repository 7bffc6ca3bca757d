//! An imported definition into a draft that people have worked on.
//!
//! The document decides what operations there are and how they are described; people decide everything else: access,
//! hosts, upstreams, policies, header matches, and routes that they made by hand.

use std::collections::{HashMap, HashSet};

use sluice_contract::definition::{ApiDefinition, Route, Upstream};

/// A draft after an import, and what the import did to its routes, each as `GET /users/{id}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    pub definition: ApiDefinition,
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    pub unchanged: u32,
}

/// Puts what a document says into a draft. Routes are the same when their ids are, or else method and path.
pub fn merge(present: &ApiDefinition, imported: ApiDefinition) -> Merged {
    let mut merged = Merged::default();
    let mut present_routes = PresentRoutes::new(&present.routes, &imported.routes);
    let mut routes = Vec::with_capacity(imported.routes.len());
    for route in imported.routes {
        match present_routes.take(&route) {
            None => {
                merged.added.push(label(&route));
                routes.push(route);
            }
            Some(before) => {
                let after = merge_route(before, route);
                if same(before, &after) {
                    merged.unchanged += 1;
                } else {
                    merged.changed.push(label(&after));
                }
                routes.push(after);
            }
        }
    }
    for left in present_routes.left() {
        if left.imported {
            merged.removed.push(label(left));
        } else {
            merged.unchanged += 1;
            routes.push(left.clone());
        }
    }
    merged.definition = ApiDefinition {
        access: present.access,
        hosts: present.hosts.clone(),
        upstreams: merge_upstreams(&present.upstreams, imported.upstreams, &routes),
        routes,
        policies: present.policies.clone(),
    };
    merged
}

/// The routes of the draft that no route of the document has claimed yet.
struct PresentRoutes<'a> {
    routes: &'a [Route],
    taken: HashSet<usize>,
    by_id: HashMap<&'a str, usize>,
    by_match: HashMap<(Vec<String>, &'a str), usize>,
}

impl<'a> PresentRoutes<'a> {
    fn new(present: &'a [Route], imported: &[Route]) -> Self {
        let by_id: HashMap<&str, usize> =
            present.iter().enumerate().map(|(i, route)| (&*route.id, i)).collect();
        let ids: HashSet<&str> = imported.iter().map(|route| &*route.id).collect();
        // A route whose id the document still uses belongs to that operation, even if another has its path now.
        let by_match = present
            .iter()
            .enumerate()
            .filter(|(_, route)| !ids.contains(&*route.id))
            .map(|(i, route)| ((route.methods.clone(), &*route.path), i))
            .collect();
        Self { routes: present, taken: HashSet::new(), by_id, by_match }
    }

    fn take(&mut self, route: &Route) -> Option<&'a Route> {
        let by_match = || self.by_match.get(&(route.methods.clone(), &*route.path));
        let found = *self.by_id.get(&*route.id).or_else(by_match)?;
        self.taken.insert(found).then(|| &self.routes[found])
    }

    fn left(&self) -> impl Iterator<Item = &'a Route> {
        self.routes.iter().enumerate().filter(|(i, _)| !self.taken.contains(i)).map(|(_, route)| route)
    }
}

fn merge_route(present: &Route, imported: Route) -> Route {
    let Route {
        id,
        summary,
        description,
        tags,
        deprecated,
        methods,
        path,
        upstream,
        imported: from_document,
        ..
    } = imported;
    Route {
        id,
        summary,
        description,
        tags,
        deprecated,
        methods,
        path,
        headers: present.headers.clone(),
        upstream: present.upstream.clone().or(upstream),
        access: present.access,
        policies: present.policies.clone(),
        imported: from_document,
    }
}

/// Where a route comes from is no change that a person would see.
fn same(before: &Route, after: &Route) -> bool {
    Route { imported: after.imported, ..before.clone() } == *after
}

/// Upstreams of the draft stay as they are; of the document's, those are added that a route needs.
fn merge_upstreams(present: &[Upstream], imported: Vec<Upstream>, routes: &[Route]) -> Vec<Upstream> {
    let mut upstreams = present.to_vec();
    for upstream in imported {
        let known = present.iter().any(|known| known.name == upstream.name);
        let needed = present.is_empty()
            || routes.iter().any(|route| route.upstream.as_deref() == Some(upstream.name.as_str()));
        if needed && !known {
            upstreams.push(upstream);
        }
    }
    upstreams
}

fn label(route: &Route) -> String {
    let methods = if route.methods.is_empty() { "ANY".to_owned() } else { route.methods.join(",") };
    format!("{methods} {}", route.path)
}
