//! Runs the program to its end.

use std::path::Path;
use std::process::{Command, Output};

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
