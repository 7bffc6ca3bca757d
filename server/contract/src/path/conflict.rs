//! Which routes could both match one request.

use std::collections::HashMap;

use super::{PathTemplate, Segment};
use crate::definition::{HeaderMatch, Route};

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

impl PathTemplate {
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
