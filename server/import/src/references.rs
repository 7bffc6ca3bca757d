//! References inside of a document (`$ref`), followed to their end.
//!
//! Only references of path items, parameters and responses are followed: a schema may well refer to itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::value::RawValue;

use crate::findings::Findings;
use crate::raw::{self, Object};

/// A document whose parts can be found by JSON pointer.
pub(crate) struct Document<'a> {
    root: Rc<Object<'a>>,
    /// Objects on the way to what was referred to, by pointer: `/components/parameters` is read once, not 3,000 times.
    containers: RefCell<HashMap<String, Option<Rc<Object<'a>>>>>,
}

/// Why a reference leads nowhere.
enum Dangling {
    /// To another document.
    External(String),
    Missing(String),
    /// The references, in the order in which they lead back to the first.
    Loop(Vec<String>),
    NotText,
}

impl<'a> Document<'a> {
    pub(crate) fn new(root: Object<'a>) -> Self {
        Self { root: Rc::new(root), containers: RefCell::default() }
    }

    pub(crate) fn root(&self) -> &Object<'a> {
        &self.root
    }

    /// The object at `at`, or the one that it refers to. None after a problem or warning has been noted.
    pub(crate) fn object(
        &self,
        value: &'a RawValue,
        at: &str,
        findings: &mut Findings,
    ) -> Option<Object<'a>> {
        match self.follow(value) {
            Ok(value) => findings.object(Some(value), at),
            Err(dangling) => {
                dangling.note(at, findings);
                None
            }
        }
    }

    fn follow(&self, mut value: &'a RawValue) -> Result<&'a RawValue, Dangling> {
        let mut seen: Vec<String> = Vec::new();
        while let Some(reference) = reference_of(value)? {
            if seen.contains(&reference) {
                seen.push(reference);
                return Err(Dangling::Loop(seen));
            }
            let Some(fragment) = reference.strip_prefix('#') else {
                return Err(Dangling::External(reference));
            };
            let found = self.locate(&percent_decode(fragment));
            value = found.ok_or_else(|| Dangling::Missing(reference.clone()))?;
            seen.push(reference);
        }
        Ok(value)
    }

    fn locate(&self, pointer: &str) -> Option<&'a RawValue> {
        let (container, name) = pointer.rsplit_once('/')?;
        self.container(container)?.get(&unescape(name))
    }

    fn container(&self, pointer: &str) -> Option<Rc<Object<'a>>> {
        if pointer.is_empty() {
            return Some(Rc::clone(&self.root));
        }
        if let Some(known) = self.containers.borrow().get(pointer) {
            return known.clone();
        }
        let found = self.locate(pointer).and_then(Object::of).map(Rc::new);
        self.containers.borrow_mut().insert(pointer.to_owned(), found.clone());
        found
    }
}

impl Dangling {
    fn note(self, at: &str, findings: &mut Findings) {
        let pointer = format!("{at}/$ref");
        match self {
            Self::External(reference) => {
                let message =
                    format!("`{reference}` is in another document, which is not read: this is left out.");
                findings.warning(pointer, message);
            }
            Self::Missing(reference) => {
                let message = format!("`{reference}` is not in the document.");
                findings.problem(pointer, "dangling_reference", message);
            }
            Self::Loop(references) => {
                let message = format!("This reference leads back to itself: {}.", references.join(" → "));
                findings.problem(pointer, "reference_loop", message);
            }
            Self::NotText => findings.problem(pointer, "wrong_type", "A `$ref` is text."),
        }
    }
}

/// The `$ref` of an object, if it is one and has one.
fn reference_of(value: &RawValue) -> Result<Option<String>, Dangling> {
    // Cheap before exact: most objects have none, and reading an object costs its whole length.
    if !value.get().contains("\"$ref\"") {
        return Ok(None);
    }
    match Object::of(value).and_then(|object| object.get("$ref")) {
        None => Ok(None),
        Some(reference) => raw::string(reference).map(Some).ok_or(Dangling::NotText),
    }
}

/// One step of a JSON pointer, escaped (RFC 6901 §3).
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// A pointer in a URI fragment is percent-encoded (RFC 6901 §6).
fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
