//! What became of each change, kept in a file as it is found out, so that a run can go on where the last one ended.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::changes::Change;
use super::runs::Outcome;

pub struct Results<'a> {
    path: PathBuf,
    file: File,
    changes: &'a [Change],
}

/// A line of the file; of several of a change the last counts.
#[derive(Serialize, Deserialize)]
struct Line {
    change: Change,
    outcome: Outcome,
    tests: Vec<String>,
}

impl<'a> Results<'a> {
    pub fn open(path: PathBuf, changes: &'a [Change]) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("could not write {}", path.display()))?;
        Ok(Self { path, file, changes })
    }

    pub fn note(&self, number: usize, outcome: Outcome, tests: &[String]) -> Result<()> {
        let line = Line { change: self.changes[number].clone(), outcome, tests: tests.to_vec() };
        let line = format!("{}\n", serde_json::to_string(&line)?);
        (&self.file).write_all(line.as_bytes()).context("could not note a result")
    }

    pub fn read(&self) -> Result<BTreeMap<Change, Outcome>> {
        let text = fs::read_to_string(&self.path).context("could not read the results")?;
        let line = |line| serde_json::from_str(line).map(|line: Line| (line.change, line.outcome));
        text.lines().map(line).collect::<Result<_, _>>().context("could not read the results")
    }
}

/// Forgets what earlier runs have found.
pub fn clear(path: &Path) -> Result<()> {
    if path.exists() { fs::remove_file(path).context("could not remove the last results") } else { Ok(()) }
}
