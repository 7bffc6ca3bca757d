//! One segment of a template: reading it, printing it, how specific it is.

use std::fmt;

use super::InvalidPath;

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

impl Segment {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPath> {
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

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
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

fn check_name(name: &str) -> Result<(), InvalidPath> {
    let valid = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$'));
    if valid { Ok(()) } else { Err(InvalidPath::InvalidName(name.to_owned())) }
}
