//! Making the rewritten path.

use sluice_contract::path::{PathTemplate, Segment};

use super::spec::Rewrite;
use crate::policy::Policy;
use crate::validate::SettingsError;

/// [`Rewrite`] as a gateway uses it.
#[derive(Clone, Debug)]
pub struct PathRule {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    /// Where in the route's list of parameters the value stands.
    Parameter(usize),
}

impl PathRule {
    /// Prepares the settings for a route with these parameter names, in the order of its path.
    ///
    /// # Errors
    /// When the path is not a template or names a parameter that the route does not have.
    pub fn compile(settings: &Rewrite, parameters: &[&str]) -> Result<Self, SettingsError> {
        let Rewrite { path } = settings;
        let template = PathTemplate::parse(path).map_err(|error| invalid(error.to_string()))?;
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let parameter = |pieces: &mut Vec<Piece>, literal: &mut String, name: &str| {
            let at = parameters.iter().position(|known| *known == name);
            let at = at.ok_or_else(|| invalid(format!("the route has no parameter `{name}`")))?;
            pieces.push(Piece::Literal(std::mem::take(literal).into_boxed_str()));
            pieces.push(Piece::Parameter(at));
            Ok::<(), SettingsError>(())
        };
        for segment in template.segments() {
            literal.push('/');
            match segment {
                Segment::Literal(text) => literal.push_str(text),
                Segment::Parameter(name) | Segment::Multi(name) => {
                    parameter(&mut pieces, &mut literal, name)?
                }
                Segment::Mixed { literals, names } => {
                    for (text, name) in literals.iter().zip(names) {
                        literal.push_str(text);
                        parameter(&mut pieces, &mut literal, name)?;
                    }
                    literal.push_str(literals.last().map_or("", String::as_str));
                }
            }
        }
        pieces.push(Piece::Literal(literal.into_boxed_str()));
        Ok(Self { pieces })
    }

    /// Appends the path with these raw (still percent-encoded) values, in the order of the route's path.
    pub fn render(&self, values: &[&str], path: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => path.push_str(text),
                Piece::Parameter(at) => path.push_str(values.get(*at).copied().unwrap_or_default()),
            }
        }
    }
}

fn invalid(reason: String) -> SettingsError {
    SettingsError { kind: Rewrite::KIND, reason }
}
