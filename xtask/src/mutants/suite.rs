//! The tests, how long each takes, and which changes each reaches: found out by running each of them alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{panic, thread};

use anyhow::{Result, bail};

use super::program::{End, Program, Say};
use crate::report;

/// For a test that nothing is changed for; those that wait for something in vain give up after half a minute.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Suite {
    pub programs: Vec<Program>,
    /// The quickest first.
    pub tests: Vec<Test>,
}

pub struct Test {
    pub program: usize,
    pub name: String,
    pub took: Duration,
    reaches: BTreeSet<usize>,
}

impl Suite {
    pub fn look_at(programs: Vec<PathBuf>, folder: &Path, scratch: &Path, jobs: usize) -> Result<Self> {
        let program = |path| Program { path, folder: folder.join("server/gateway") };
        let programs: Vec<Program> = programs.into_iter().map(program).collect();
        let mut names = Vec::new();
        for (number, program) in programs.iter().enumerate() {
            names.extend(program.tests()?.into_iter().map(|name| (number, name)));
        }
        report::progress(&format!("running each of {} tests alone", names.len()));
        let look = |(number, name): &(usize, String), job: usize| {
            alone(*number, &programs[*number], name, &scratch.join(job.to_string()))
        };
        let mut tests = Vec::new();
        let mut failed = Vec::new();
        for test in in_parallel(jobs, &names, look) {
            match test? {
                Ok(test) => tests.push(test),
                Err(name) => failed.push(name),
            }
        }
        if !failed.is_empty() {
            bail!("tests that fail although nothing is changed: {}", failed.join(", "));
        }
        tests.sort_by_key(|test| test.took);
        Ok(Self { programs, tests })
    }

    /// The tests that reach a change.
    pub fn of(&self, change: usize) -> Vec<&Test> {
        self.tests.iter().filter(|test| test.reaches.contains(&change)).collect()
    }
}

/// A test by itself; its name where it fails twice.
fn alone(number: usize, program: &Program, name: &str, scratch: &Path) -> Result<Result<Test, String>> {
    let reached = scratch.with_extension("reached");
    for _ in 0..2 {
        fs::remove_file(&reached).ok();
        let began = Instant::now();
        if program.run(&[name], 1, &Say::Reached(&reached), PATIENCE, scratch)? == End::Passed {
            let took = began.elapsed();
            // No file: it reaches none.
            let reached = fs::read_to_string(&reached).unwrap_or_default();
            let reaches = reached.lines().filter_map(|number| number.parse().ok()).collect();
            return Ok(Ok(Test { program: number, name: name.to_owned(), took, reaches }));
        }
    }
    Ok(Err(name.to_owned()))
}

/// What is to be done for each, by so many threads; in order. Told is the thread's number too.
pub fn in_parallel<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    act: impl Fn(&T, usize) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = |job: usize| {
        let mut own = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { return own };
            own.push((place, act(item, job)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|job| scope.spawn(move || work(job))).collect();
        let results =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|why| panic::resume_unwind(why)));
        results.flatten().collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}
