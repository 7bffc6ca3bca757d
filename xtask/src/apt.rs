//! Installs what a task needs from the distribution, where that is Debian or one of its children; elsewhere says
//! what to install.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{environment, process, report};

/// Installs the packages; `purpose` ends the sentence that a person reads when that is not possible.
pub fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let list = packages.join(" ");
    if !Path::new("/etc/debian_version").exists() || environment::program("apt-get").is_none() {
        bail!("{purpose} needs these packages (Debian's names), please install them: {list}");
    }
    report::progress(&format!("installing {list} ({purpose})"));
    let mut update = as_root("apt-get")?;
    // An old package list is no reason to stop: the install says so itself when a package is gone.
    if let Err(error) = process::run(update.args(["update", "-qq"])) {
        report::progress(&format!("warning: {error:#}"));
    }
    let mut install = as_root("apt-get")?;
    install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages);
    process::run(&mut install)
}

fn as_root(program: &str) -> Result<Command> {
    let mut command = if is_root()? {
        Command::new(program)
    } else if environment::program("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        // `-n`: fail with a message instead of waiting for a password that nobody may be there to type.
        sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", program]);
        sudo
    } else {
        bail!("installing packages needs root or sudo");
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

/// Whether this program runs as root.
pub fn is_root() -> Result<bool> {
    Ok(process::output(Command::new("id").arg("-u"))?.trim() == "0")
}
