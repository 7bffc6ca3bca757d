//! Runs tests of one of the programs that hold them, and ends it and all that it has started at the first that fails.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;

/// In KiB, of address space: a change may take memory without end.
const MEMORY: &str = "ulimit -v 16000000; exec \"$@\"";

/// How tests ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Passed,
    /// The first that failed; none is named where the program itself ended.
    Failed(Option<String>),
    /// None of these had ended for too long.
    Silent(Vec<String>),
}

pub struct Program {
    pub path: PathBuf,
    /// Where cargo runs it.
    pub folder: PathBuf,
}

/// What is said to a program by its environment.
pub enum Say<'a> {
    /// Write the numbers of the changes that are reached into this file.
    Reached(&'a Path),
    /// Make the change with this number.
    Change(usize),
}

impl Program {
    /// The names of its tests.
    pub fn tests(&self) -> Result<Vec<String>> {
        let mut command = Command::new(&self.path);
        let list = process::output(command.current_dir(&self.folder).args(["--list", "--format=terse"]))?;
        Ok(list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }

    /// Runs these tests, so many at a time. They have ended when none has for as long as `patience`.
    pub fn run(
        &self,
        tests: &[&str],
        threads: usize,
        say: &Say<'_>,
        patience: Duration,
        scratch: &Path,
    ) -> Result<End> {
        fs::create_dir_all(scratch).context("could not make a folder for tests")?;
        let mut command = Command::new("sh");
        command.args(["-c", MEMORY, "sh"]).arg(&self.path).args(tests).arg("--exact");
        command.arg(format!("--test-threads={threads}")).current_dir(&self.folder).env("TMPDIR", scratch);
        match say {
            Say::Reached(file) => command.env("SLUICE_MUTANTS_REACHED", file),
            Say::Change(number) => command.env("SLUICE_MUTANT", number.to_string()),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().context("could not start a program of tests")?;
        let end = watch(&mut child, tests, patience);
        // What it has started, and itself; when all is well there is nothing left to end.
        process::succeeds(Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]));
        child.wait().context("could not wait for a program of tests")?;
        fs::remove_dir_all(scratch).ok();
        end
    }
}

fn watch(child: &mut Child, tests: &[&str], patience: Duration) -> Result<End> {
    let output = child.stdout.take().context("a program of tests without output")?;
    let (lines, said) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    let mut open: Vec<&str> = tests.to_vec();
    loop {
        let line = match said.recv_timeout(patience) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                return Ok(End::Silent(open.iter().map(|test| (*test).to_owned()).collect()));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Failed(None)),
        };
        if line.starts_with("test result: ok") {
            return Ok(if open.is_empty() { End::Passed } else { End::Failed(None) });
        }
        if line.starts_with("test result:") {
            return Ok(End::Failed(None));
        }
        let Some((name, how)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ")) else {
            continue;
        };
        // Tests that end as they should by panicking say so after their names.
        let name = name.split(" - ").next().unwrap_or(name);
        if how.ends_with("FAILED") {
            return Ok(End::Failed(Some(name.to_owned())));
        }
        open.retain(|test| *test != name);
    }
}
