//! Whether a path is what a template says, and the values of its parameters.

use super::Segment;

impl Segment {
    /// The parameters of one raw path segment when it matches; never for [`Segment::Multi`].
    pub fn match_one<'t, 'p>(&'t self, value: &'p str, values: &mut Vec<(&'t str, &'p str)>) -> bool {
        match self {
            Self::Literal(text) => text == value,
            Self::Parameter(name) => {
                values.push((name, value));
                !value.is_empty()
            }
            Self::Mixed { literals, names } => mixed(literals, names, value, values),
            Self::Multi(_) => false,
        }
    }
}

fn mixed<'t, 'p>(
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

/// Matches the rest of a path against the rest of a template; `values` gets the parameters.
pub(super) fn segments<'t, 'p>(
    template: &'t [Segment],
    path: &'p str,
    values: &mut Vec<(&'t str, &'p str)>,
) -> bool {
    let Some((segment, rest)) = template.split_first() else { return false };
    if let Segment::Multi(name) = segment {
        return multi(name, rest, path, values);
    }
    let (value, after) = match path.split_once('/') {
        Some((value, after)) => (value, Some(after)),
        None => (path, None),
    };
    let before = values.len();
    let matched = segment.match_one(value, values)
        && match (rest.is_empty(), after) {
            (true, None) => true,
            (false, Some(after)) => segments(rest, after, values),
            _ => false,
        };
    if !matched {
        values.truncate(before);
    }
    matched
}

fn multi<'t, 'p>(
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
        if at > 0 && segments(rest, &path[at + 1..], values) {
            return true;
        }
        values.truncate(before);
    }
    false
}
