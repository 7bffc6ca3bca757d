//! What the tasks say on the terminal. The only module that prints; progress goes to standard error, so that
//! standard output carries results alone.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// One line about what is happening now.
#[expect(clippy::print_stderr, reason = "a task speaks to the person who started it")]
pub fn progress(line: &str) {
    eprintln!("{line}");
}

/// One line of a task's result.
#[expect(clippy::print_stdout, reason = "results go to standard output")]
pub fn result(line: &str) {
    println!("{line}");
}

/// Why a task ended early: one line, with its causes.
#[expect(clippy::print_stderr, reason = "a task speaks to the person who started it")]
pub fn failure(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// The named steps of a task, how long each took and whether it held.
#[derive(Default)]
pub struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    outcome: Outcome,
}

/// How a step ended.
pub enum Outcome {
    Passed,
    Failed,
    /// Not done, with the reason; does not fail the task.
    Skipped(String),
}

impl Steps {
    /// Runs one step; its error is shown and remembered, so that the steps after it can still run. True when it held.
    pub fn step(&mut self, name: &str, action: impl FnOnce() -> Result<Outcome>) -> bool {
        progress(&format!("== {name}"));
        let started = Instant::now();
        let outcome = action().unwrap_or_else(|error| {
            failure(&error);
            Outcome::Failed
        });
        let held = !outcome.failed();
        self.done.push(Step { name: name.to_owned(), took: started.elapsed(), outcome });
        held
    }

    /// Prints the table of steps and the time of all together; an error when any of them failed.
    pub fn finish(self) -> Result<()> {
        let width = self.done.iter().map(|step| step.name.len()).max().unwrap_or(0);
        for step in &self.done {
            result(&format!(
                "{:<width$}  {:>7.1} s  {}",
                step.name,
                step.took.as_secs_f64(),
                step.outcome.text()
            ));
        }
        let total: f64 = self.done.iter().map(|step| step.took.as_secs_f64()).sum();
        result(&format!("{:<width$}  {total:>7.1} s", "total"));
        let failed: Vec<&str> =
            self.done.iter().filter(|step| step.outcome.failed()).map(|s| s.name.as_str()).collect();
        if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
    }
}

impl Outcome {
    fn failed(&self) -> bool {
        matches!(self, Outcome::Failed)
    }

    fn text(&self) -> String {
        match self {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed => "FAILED".to_owned(),
            Outcome::Skipped(reason) => format!("skipped: {reason}"),
        }
    }
}

/// A size in bytes as people read it.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} B") } else { format!("{:.1} KB", bytes as f64 / 1024.0) }
}
