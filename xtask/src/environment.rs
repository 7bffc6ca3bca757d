//! The environment of the task, read in this one place: programs on the path, and what `cargo run` adds for this
//! program that must not reach the builds it starts.

use std::path::PathBuf;

/// The first file of that name on `PATH`.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The programs that some distributions keep off an ordinary user's `PATH`.
pub fn system_program(name: &str) -> Option<PathBuf> {
    program(name).or_else(|| {
        ["/usr/sbin", "/sbin", "/usr/local/sbin"]
            .iter()
            .map(|folder| PathBuf::from(folder).join(name))
            .find(|f| f.is_file())
    })
}

/// A variable's text, when it is set and is text.
#[expect(clippy::disallowed_methods, reason = "this is the settings module of xtask")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The variables that `cargo run` sets about xtask itself. Build scripts (ring's for one) ask cargo to rebuild when
/// these change, so a build started from here and one started by hand would undo each other.
pub fn set_by_cargo_run() -> impl Iterator<Item = String> {
    const PREFIXES: [&str; 5] =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name == "OUT_DIR")
}
