//! What is changed, and how it is named.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;

use super::visitor::Visitor;

/// One change, named so that it is found again when lines have moved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// Below the folder of the cache.
    pub file: String,
    pub function: String,
    pub text: String,
    /// What stands there instead.
    pub to: String,
    /// Which of those that are called the same, from 1.
    #[serde(default = "first")]
    pub nth: usize,
}

fn first() -> usize {
    1
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, function, text, to, nth } = self;
        write!(formatter, "{file} {function}: `{text}` -> {to}")?;
        if *nth > 1 { write!(formatter, " ({nth})") } else { Ok(()) }
    }
}

/// All changes of a build. The number of a change is its place here, whatever is left out.
#[derive(Default)]
pub struct Changes {
    pub all: Vec<Change>,
    /// What does not compile, and is not in the build.
    pub left_out: BTreeSet<Change>,
}

impl Changes {
    /// The source with a switch for each change that can be made in it.
    pub fn switch(&mut self, file: &str, source: &str) -> Result<String> {
        let mut parsed = syn::parse_file(source).with_context(|| format!("could not read {file}"))?;
        Visitor::new(self, file).visit_file_mut(&mut parsed);
        Ok(prettyplease::unparse(&parsed))
    }

    /// Notes a change; its number, unless it is left out.
    pub(super) fn add(
        &mut self,
        file: &str,
        function: String,
        original: &Original,
        to: &str,
    ) -> Option<usize> {
        let (file, text, to) = (file.to_owned(), original.0.clone(), to.to_owned());
        let mut change = Change { file, function, text, to, nth: 1 };
        while self.all.contains(&change) {
            change.nth += 1;
        }
        let is_built = !self.left_out.contains(&change);
        self.all.push(change);
        is_built.then_some(self.all.len() - 1)
    }

    /// Numbers of the changes that are in the build.
    pub fn built(&self) -> impl Iterator<Item = usize> {
        (0..self.all.len()).filter(|number| !self.left_out.contains(&self.all[*number]))
    }
}

/// What something says, on one line: taken before it is changed.
pub(super) struct Original(String);

impl Original {
    pub(super) fn of(node: &impl Spanned) -> Self {
        let text = node.span().source_text().unwrap_or_default();
        Self(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    pub(super) fn named(text: String) -> Self {
        Self(text)
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Changes;

    const SOURCE: &str = "
        const MOST: u64 = 8 * 1024;
        impl Shelf {
            fn is_full(&self, more: u64) -> bool {
                self.held + more > MOST && !self.grows
            }
            fn find(&self, name: &str) -> Option<u64> {
                self.note(name);
                if let Some(found) = self.get(name) && found > 0 {
                    return Some(found);
                }
                match name {
                    \"first\" => self.first(),
                    other if other.is_empty() => None,
                    _ => matches!(self.kind, Kind::Open | Kind::New).then_some(1),
                }
            }
        }
        #[cfg(test)]
        mod tests {
            fn nothing() -> bool { 1 < 2 }
        }
    ";

    #[test]
    fn each_change_is_found_once_and_is_behind_a_switch() {
        let mut changes = Changes::default();
        let switched = changes.switch("shelf.rs", SOURCE).unwrap();
        let told: Vec<_> = changes
            .all
            .iter()
            .map(|change| format!("{} {} -> {}", change.function, change.text, change.to))
            .collect();
        assert_eq!(
            told,
            [
                "Shelf::is_full self.held + more -> -",
                "Shelf::is_full self.held + more > MOST -> >=",
                "Shelf::is_full self.held + more > MOST -> <",
                "Shelf::is_full self.held + more > MOST -> true",
                "Shelf::is_full !self.grows -> without !",
                "Shelf::is_full !self.grows -> true",
                "Shelf::is_full self.held + more > MOST && !self.grows -> false",
                "Shelf::find self.note(name); -> nothing",
                "Shelf::find found > 0 -> >=",
                "Shelf::find found > 0 -> <",
                "Shelf::find found > 0 -> true",
                "Shelf::find \"first\" -> no arm",
                "Shelf::find other.is_empty() -> true",
                "Shelf::find other if other.is_empty() -> no arm",
                "Shelf::find matches!(self.kind, Kind::Open | Kind::New) -> not",
                "Shelf::find fn find -> None",
            ]
        );
        for number in changes.built() {
            assert!(
                switched.contains(&format!("crate::mutants::on({number}usize)")),
                "{number} in {switched}"
            );
        }
        assert_eq!(syn::parse_file(&switched).map(|file| file.items.len()).unwrap(), 3);
    }

    #[test]
    fn what_is_left_out_keeps_its_number() {
        let source = "fn f(a: u8) -> u8 { a + a * 2 }";
        let mut changes = Changes::default();
        changes.switch("a.rs", source).unwrap();
        let (_, first) = (changes.left_out.insert(changes.all[0].clone()), changes.all.clone());
        changes.all.clear();
        let switched = changes.switch("a.rs", source).unwrap();
        assert_eq!(changes.all, first);
        assert!(!switched.contains("on(0usize)") && switched.contains("on(1usize)"), "{switched}");
    }
}
