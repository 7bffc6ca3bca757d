//! The survivors that are right to survive, listed beside the cache with the reason of each, by kind of reason; the list has
//! neither fewer nor more than there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::changes::Change;
use super::runs::Outcome;
use crate::report;

/// Survivors by kind of reason.
pub struct Listed(BTreeMap<String, Vec<Entry>>);

#[derive(Deserialize)]
struct Entry {
    #[serde(flatten)]
    change: Change,
    /// Read by people alone, but it has to be there.
    #[serde(rename = "why")]
    _why: String,
}

impl Listed {
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
        toml::from_str(&text).map(Self).with_context(|| format!("could not read {}", file.display()))
    }

    /// Says what the run found of these changes; an error where the list says something else.
    pub fn compare(
        &self,
        outcomes: &BTreeMap<&Change, Outcome>,
        is_asked: impl Fn(&Change) -> bool,
    ) -> Result<()> {
        let survives = |outcome: Outcome| matches!(outcome, Outcome::Survives | Outcome::NotReached);
        let mut problems = 0;
        let mut tell = |change: &Change, what: &str| {
            problems += 1;
            report::result(&format!("{what}: {change}"));
        };
        let mut listed = Vec::new();
        for (kind, entries) in &self.0 {
            let asked: Vec<_> =
                entries.iter().map(|entry| &entry.change).filter(|change| is_asked(change)).collect();
            for change in &asked {
                match outcomes.get(change) {
                    None => tell(change, "listed, but there is no such change"),
                    Some(outcome) if !survives(*outcome) => tell(change, "listed, but a test sees it"),
                    Some(_) => {}
                }
            }
            report::result(&format!("{:>6} survive: {kind}", asked.len()));
            listed.extend(asked);
        }
        for (change, outcome) in outcomes {
            if survives(*outcome) && !listed.contains(change) {
                let reached = if *outcome == Outcome::Survives {
                    "not listed"
                } else {
                    "not listed, and no test gets there"
                };
                tell(change, reached);
            }
        }
        if problems == 0 { Ok(()) } else { bail!("{problems} changes are not as the list has them") }
    }
}
