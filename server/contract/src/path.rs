//! Path templates: what they may look like, what they match, which of two is more specific, which conflict.
//!
//! A template is a list of segments between slashes. A segment is literal text (`users`), a parameter (`{id}`), text
//! around parameters (`{name}.json`, `{base}...{head}`) or a parameter over one or more segments (`{*path}`).
//! Segments are compared as they are on the wire: an encoded slash (`%2F`) never ends a segment.

mod conflict;
mod matching;
mod segment;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

pub use conflict::conflicts;
pub use segment::Segment;

/// A parsed path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Segment>,
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
        matching::segments(&self.segments, path, &mut values).then_some(values)
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
