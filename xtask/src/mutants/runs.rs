//! Runs the tests that reach a change with the change on, the quickest first, until one fails.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::program::{End, Say};
use super::results::Results;
use super::suite::{Suite, Test, in_parallel};
use crate::report;

/// Many tests wait most of the time.
const THREADS: usize = 4;
/// How long tests that run together take one by one, but for the last of them.
const TOGETHER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::MAX];
/// A test never ends when it takes so much longer than it does, and this.
const TIMES: u32 = 5;
const LEAST: Duration = Duration::from_secs(20);

/// Tests that take longer measure time, or wait for it: on a busy machine some of them fail by themselves.
const SLOW: Duration = Duration::from_secs(1);

/// What the tests make of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Fails,
    NeverEnds,
    Survives,
    /// No test gets there.
    NotReached,
}

/// An outcome, and the tests that it is by.
type Found = (Outcome, Vec<String>);

pub struct Runs<'a> {
    pub suite: &'a Suite,
    pub scratch: &'a Path,
}

impl Runs<'_> {
    /// All of these. Machines are busy at times: what never ended, or failed a test that takes its time, is tried once more when
    /// nothing else runs.
    pub fn all(&self, numbers: &[usize], jobs: usize, results: &Results<'_>) -> Result<()> {
        let done = AtomicUsize::new(0);
        let attempt = |number: &usize, job: usize| -> Result<Option<(usize, Vec<String>)>> {
            let (outcome, by) = self.change(*number, &self.suite.of(*number), job)?;
            let is_sure = outcome != Outcome::NeverEnds && !self.is_slow(&by);
            if is_sure {
                results.note(*number, outcome, &by)?;
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(50) {
                report::progress(&format!("{done} of {}", numbers.len()));
            }
            Ok((!is_sure).then_some((*number, by)))
        };
        let unsure: Vec<_> = in_parallel(jobs, numbers, attempt).into_iter().collect::<Result<_>>()?;
        let unsure: Vec<_> = unsure.into_iter().flatten().collect();
        report::progress(&format!("{} once more, alone", unsure.len()));
        for (number, by) in unsure {
            let tests = self.suite.of(number);
            let first: Vec<_> = tests.iter().copied().filter(|test| by.contains(&test.name)).collect();
            let mut found = self.change(number, &first, 0)?;
            if !matches!(found.0, Outcome::Fails | Outcome::NeverEnds) {
                found = self.change(number, &tests, 0)?;
            }
            results.note(number, found.0, &found.1)?;
        }
        Ok(())
    }

    fn is_slow(&self, names: &[String]) -> bool {
        self.suite.tests.iter().any(|test| test.took > SLOW && names.contains(&test.name))
    }

    fn change(&self, number: usize, tests: &[&Test], job: usize) -> Result<Found> {
        if tests.is_empty() {
            return Ok((Outcome::NotReached, Vec::new()));
        }
        let mut left = tests;
        for most in TOGETHER {
            let mut sum = Duration::ZERO;
            let few = left.iter().take_while(|test| {
                let has_room = sum < most;
                sum += test.took;
                has_room
            });
            let (together, others) = left.split_at(few.count());
            left = others;
            for program in 0..self.suite.programs.len() {
                let own: Vec<_> = together.iter().copied().filter(|test| test.program == program).collect();
                match self.together(number, program, own, job)? {
                    End::Passed => {}
                    End::Failed(test) => return Ok((Outcome::Fails, test.into_iter().collect())),
                    End::Silent(open) => return Ok((Outcome::NeverEnds, open)),
                }
            }
        }
        Ok((Outcome::Survives, Vec::new()))
    }

    /// Tests of one program. One that fails once fails by the change only if it does so again by itself.
    fn together(&self, number: usize, program: usize, mut tests: Vec<&Test>, job: usize) -> Result<End> {
        while !tests.is_empty() {
            let failed = match self.once(number, program, &tests, job)? {
                End::Failed(failed) => failed,
                other => return Ok(other),
            };
            let again: Vec<_> = match &failed {
                Some(name) => tests.iter().copied().filter(|test| test.name == *name).collect(),
                None => tests.clone(),
            };
            match self.once(number, program, &again, job)? {
                End::Passed => tests.retain(|test| again.iter().all(|again| again.name != test.name)),
                other => return Ok(other),
            }
        }
        Ok(End::Passed)
    }

    fn once(&self, number: usize, program: usize, tests: &[&Test], job: usize) -> Result<End> {
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        let longest = tests.iter().map(|test| test.took).max().unwrap_or_default();
        let scratch = self.scratch.join(job.to_string());
        let patience = LEAST + TIMES * longest;
        self.suite.programs[program].run(&names, THREADS, &Say::Change(number), patience, &scratch)
    }
}
