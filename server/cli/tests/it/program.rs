//! Runs the program: to its end, or for as long as a test lasts.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Mutex;

/// What the program said.
pub struct Said {
    pub success: bool,
    pub out: String,
    pub err: String,
}

/// Runs `sluice` with its data in this directory, and nothing of the tests' environment.
pub fn sluice(data: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.env_clear().args(arguments).arg("--data").arg(data);
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { success: status.success(), out: text(stdout), err: text(stderr) }
}

impl Said {
    /// The one line that the program ended with.
    #[track_caller]
    pub fn only_complaint(&self) -> &str {
        assert!(!self.success, "it ended well: {}", self.out);
        let line = self.err.trim_end();
        assert!(!line.is_empty() && !line.contains('\n'), "not one line: {:?}", self.err);
        line
    }
}

/// A program that runs until it is dropped.
pub struct Running {
    child: Child,
    out: Mutex<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts `sluice` as [`sluice`] does.
    pub fn start(data: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.env_clear().args(arguments).arg("--data").arg(data);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let out = child.stdout.take().expect("its output");
        Self { child, out: Mutex::new(BufReader::new(out)) }
    }

    /// Waits for a line that starts so.
    #[track_caller]
    pub fn line(&self, start: &str) -> String {
        let mut out = self.out.lock().expect("one reader");
        let lines = out.by_ref().lines().map(|line| line.expect("text"));
        let mut seen = Vec::new();
        for line in lines {
            if line.starts_with(start) {
                return line;
            }
            seen.push(line);
        }
        unreachable!("it ended without a line {start:?}: {seen:?}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
