//! The programs that tests run beside: databases, a browser, a load generator. What is missing is installed where
//! that is possible.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::report::Outcome;
use crate::{apt, environment, process};

const NODE_VERSION: u32 = 20;

/// One need: how to tell that it is met, and the packages (Debian's names) that meet it.
struct Need {
    met: fn() -> bool,
    packages: &'static [&'static str],
}

const FOR_RUST: [Need; 4] = [
    Need { met: || postgres_folder().is_some(), packages: &["postgresql"] },
    Need { met: || on_path("redis-server"), packages: &["redis-server"] },
    Need { met: || on_path("memcached"), packages: &["memcached"] },
    Need { met: || on_path("nats-server"), packages: &["nats-server"] },
];

const FOR_BROWSER: [Need; 6] = [
    Need { met: || on_path("chromium") && has_font(), packages: &["chromium", "fonts-liberation"] },
    Need { met: || on_path("nginx"), packages: &["nginx-light"] },
    Need { met: || on_path("wrk"), packages: &["wrk"] },
    Need { met: || on_path("node") && on_path("npm"), packages: &["nodejs", "npm"] },
    Need { met: can_make_environments, packages: &["python3-venv"] },
    Need { met: || on_path("psql"), packages: &["postgresql-client"] },
];

/// Installs what is missing, in one go.
pub fn install(for_browser: bool) -> Result<Outcome> {
    let browser = if for_browser { FOR_BROWSER.as_slice() } else { &[] };
    let needs = FOR_RUST.iter().chain(browser);
    let missing: Vec<&str> =
        needs.filter(|need| !(need.met)()).flat_map(|need| need.packages).copied().collect();
    if !missing.is_empty() {
        apt::install(&missing, "running the tests")?;
    }
    if for_browser {
        check_node()?;
    }
    Ok(Outcome::Passed)
}

/// The folder of Postgres' server programs; distributions keep it off the path. The newest, when there are several.
pub fn postgres_folder() -> Option<PathBuf> {
    let on_path = environment::program("initdb").and_then(|file| file.parent().map(PathBuf::from));
    on_path.into_iter().chain(packaged_postgres()).find(|folder| {
        // A wrapper of one of them on the path is not a whole installation.
        ["initdb", "postgres", "pg_isready"].iter().all(|program| folder.join(program).is_file())
    })
}

/// Where Debian's packages put each version, the newest first.
fn packaged_postgres() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, folder)| folder).collect()
}

fn check_node() -> Result<()> {
    let version = process::output(Command::new("node").arg("--version"))?;
    let major =
        version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_VERSION => Ok(()),
        _ => bail!("the browser tests need Node {NODE_VERSION} or newer, this is {}", version.trim()),
    }
}

fn on_path(program: &str) -> bool {
    environment::system_program(program).is_some()
}

/// Without any font Chromium draws boxes, and the screenshots show nothing.
fn has_font() -> bool {
    PathBuf::from("/usr/share/fonts/truetype/liberation").is_dir()
        || !process::output(Command::new("fc-list").arg(":lang=en")).unwrap_or_default().trim().is_empty()
}

fn can_make_environments() -> bool {
    process::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]))
}
