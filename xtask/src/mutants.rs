//! `cargo xtask mutants`: whether the tests see it when the gateway's cache does something else. It is changed in some two thousand
//! places, one at a time, and each change has to fail a test, or to be listed in `mutants.toml` with the reason why none can see it.
//!
//! All changes are in one build, each behind a switch; with each only the tests run that get to it.

mod build;
mod changes;
mod copy;
mod listed;
mod program;
mod results;
mod runs;
mod suite;
mod values;
mod visitor;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZero;

use anyhow::{Context, Result};
use clap::Args;

use crate::report;
use crate::test;
use crate::workspace::Workspace;
use changes::{Change, Changes};
use copy::Copy;
use listed::Listed;
use results::Results;
use runs::{Outcome, Runs};
use suite::Suite;

const LIST: &str = "server/gateway/src/cache/mutants.toml";

#[derive(Args)]
pub struct Options {
    /// Only changes to files whose names have this in them, from the folder of the cache.
    #[arg(long)]
    only: Option<String>,
    /// Only changes that the last run did not see, or did not get to.
    #[arg(long)]
    again: bool,
    /// Changes that are tried at the same time; as many as there are cores unless it is set.
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let list = Listed::read(&workspace.root.join(LIST))?;
    test::install_for_rust()?;
    let folder = workspace.target.join("mutants");
    let scratch = folder.join("work");
    fs::create_dir_all(&scratch).with_context(|| format!("could not create {}", scratch.display()))?;
    let copy = Copy::make(workspace, folder.join("src"))?;
    let mut changes = Changes::default();
    // What did not compile the last time does not now.
    let left_out = folder.join("left_out.json");
    if let Ok(text) = fs::read(&left_out) {
        changes.left_out = serde_json::from_slice(&text).context("could not read what does not compile")?;
    }
    let programs = build::tests(&copy, &folder.join("build"), &mut changes)?;
    fs::write(left_out, serde_json::to_vec(&changes.left_out)?)
        .context("could not note what does not compile")?;
    let jobs = options.jobs.or(std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let suite = Suite::look_at(programs, &copy.folder, &scratch, jobs)?;

    let file = folder.join("results.jsonl");
    if !options.again && options.only.is_none() {
        results::clear(&file)?;
    }
    let results = Results::open(file, &changes.all)?;
    let is_asked = |change: &Change| options.only.as_ref().is_none_or(|only| change.file.contains(only));
    let before = results.read()?;
    let is_done = |change: &Change| {
        options.again && matches!(before.get(change), Some(Outcome::Fails | Outcome::NeverEnds))
    };
    let asked: Vec<usize> = changes.built().filter(|number| is_asked(&changes.all[*number])).collect();
    let open: Vec<usize> = asked.iter().copied().filter(|number| !is_done(&changes.all[*number])).collect();
    Runs { suite: &suite, scratch: &scratch }.all(&open, jobs, &results)?;

    let outcomes = results.read()?;
    let outcomes: BTreeMap<_, _> = asked
        .iter()
        .filter_map(|number| changes.all.get(*number))
        .filter_map(|change| Some((change, *outcomes.get(change)?)))
        .collect();
    tell(&outcomes, &changes);
    list.compare(&outcomes, is_asked)
}

fn tell(outcomes: &BTreeMap<&Change, Outcome>, changes: &Changes) {
    let files: BTreeSet<_> = outcomes.keys().map(|change| &change.file).collect();
    let of = |outcome: Outcome| outcomes.values().filter(|found| **found == outcome).count();
    report::result(&format!("{:>6} changes in {} files", outcomes.len(), files.len()));
    report::result(&format!("{:>6} fail a test", of(Outcome::Fails)));
    report::result(&format!("{:>6} never end", of(Outcome::NeverEnds)));
    report::result(&format!("{:>6} no test gets to", of(Outcome::NotReached)));
    report::result(&format!("{:>6} others do not compile", changes.left_out.len()));
}
