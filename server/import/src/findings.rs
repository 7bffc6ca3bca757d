//! What is wrong with a document and what of it is left out, collected while it is read.

use serde_json::value::RawValue;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::imports::ImportWarning;

use crate::raw::{self, Object};

/// A document with more problems than this is not helped by a longer list.
const MOST_PROBLEMS: usize = 100;
const MOST_WARNINGS: usize = 200;

/// Problems and warnings, each with its JSON pointer (RFC 6901).
#[derive(Debug, Default)]
pub(crate) struct Findings {
    problems: Vec<FieldProblem>,
    warnings: Vec<ImportWarning>,
}

impl Findings {
    pub(crate) fn problem(&mut self, pointer: impl Into<String>, code: &str, message: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(FieldProblem::new(pointer, code, message));
        }
    }

    pub(crate) fn warning(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(ImportWarning { pointer: pointer.into(), message: message.into() });
        }
    }

    pub(crate) fn into_parts(self) -> (Vec<FieldProblem>, Vec<ImportWarning>) {
        (self.problems, self.warnings)
    }

    /// The object there; none and a problem when it is something else, none when it is absent.
    pub(crate) fn object<'a>(&mut self, value: Option<&'a RawValue>, at: &str) -> Option<Object<'a>> {
        let value = value?;
        Object::of(value).or_else(|| self.wrong_type(at, "an object", value))
    }

    /// The list there.
    pub(crate) fn list<'a>(&mut self, value: Option<&'a RawValue>, at: &str) -> Option<Vec<&'a RawValue>> {
        let value = value?;
        raw::list(value).or_else(|| self.wrong_type(at, "a list", value))
    }

    /// The text there.
    pub(crate) fn string(&mut self, value: Option<&RawValue>, at: &str) -> Option<String> {
        let value = value?;
        raw::string(value).or_else(|| self.wrong_type(at, "text", value))
    }

    /// The truth value there.
    pub(crate) fn boolean(&mut self, value: Option<&RawValue>, at: &str) -> Option<bool> {
        let value = value?;
        raw::boolean(value).or_else(|| self.wrong_type(at, "true or false", value))
    }

    fn wrong_type<T>(&mut self, at: &str, expected: &str, value: &RawValue) -> Option<T> {
        let found = raw::kind(value);
        self.problem(at, "wrong_type", format!("This is {found} and should be {expected}."));
        None
    }
}
