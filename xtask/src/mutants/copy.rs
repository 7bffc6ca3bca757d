//! A copy of the repository whose cache has a switch for each change. Files that say the same are left alone, so that cargo builds
//! only what differs from the last time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use syn::Item;

use super::changes::Changes;
use super::visitor::is_for_tests;
use crate::process;
use crate::workspace::Workspace;

/// The module whose parts are changed, which are in the folder of the same name.
const CACHE: &str = "server/gateway/src/cache";
/// Where the switches are made known, and what they are.
const ROOT: &str = "server/gateway/src/lib.rs";
const SWITCH: (&str, &str) = ("server/gateway/src/mutants.rs", include_str!("switch.rs"));

pub struct Copy {
    pub folder: PathBuf,
    sources: Vec<Source>,
}

/// A file of the cache that is no test.
struct Source {
    /// From the folder of the cache.
    file: String,
    text: String,
}

impl Copy {
    pub fn make(workspace: &Workspace, folder: PathBuf) -> Result<Self> {
        let mut sources = Vec::new();
        read_modules(&workspace.root.join(CACHE), "", &mut sources)?;
        let switched: BTreeSet<_> = sources.iter().map(|source| place(&source.file)).collect();
        let tracked = process::output(Command::new("git").current_dir(&workspace.root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut kept: BTreeSet<_> = tracked.lines().map(PathBuf::from).collect();
        kept.retain(|file| workspace.root.join(file).is_file());
        for file in kept.iter().filter(|file| !switched.contains(*file)) {
            let mut text = read(&workspace.root.join(file))?;
            if file == Path::new(ROOT) {
                text.extend_from_slice(b"\npub mod mutants;\n");
            }
            write(&folder.join(file), &text)?;
        }
        write(&folder.join(SWITCH.0), SWITCH.1.as_bytes())?;
        kept.insert(SWITCH.0.into());
        remove_others(&folder, Path::new(""), &kept)?;
        Ok(Self { folder, sources })
    }

    /// Writes the files of the cache with their switches.
    pub fn switch(&self, changes: &mut Changes) -> Result<()> {
        changes.all.clear();
        for Source { file, text } in &self.sources {
            let switched = changes.switch(file, text)?;
            write(&self.folder.join(place(file)), switched.as_bytes())?;
        }
        Ok(())
    }
}

fn place(file: &str) -> PathBuf {
    Path::new(CACHE).join(file)
}

/// The files of the modules that this one names, but tests; `within` is its folder, from that of the cache.
fn read_modules(module: &Path, within: &str, sources: &mut Vec<Source>) -> Result<()> {
    let text = String::from_utf8(read(&module.with_extension("rs"))?).context("source that is not text")?;
    let parsed = syn::parse_file(&text).with_context(|| format!("could not read {}", module.display()))?;
    if let Some(name) = within.strip_suffix('/') {
        sources.push(Source { file: format!("{name}.rs"), text });
    }
    for item in parsed.items {
        if let Item::Mod(item) = item
            && item.content.is_none()
            && !is_for_tests(&item.attrs)
        {
            let name = item.ident.to_string();
            read_modules(&module.join(&name), &format!("{within}{name}/"), sources)?;
        }
    }
    Ok(())
}

/// Removes what is no more, and what tests have left.
fn remove_others(root: &Path, within: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root.join(within)).context("could not look into the copy")? {
        let entry = entry.context("could not look into the copy")?;
        let path = within.join(entry.file_name());
        if entry.path().is_dir() {
            remove_others(root, &path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(entry.path()).with_context(|| format!("could not remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("could not read {}", file.display()))
}

fn write(file: &Path, text: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|before| before == text) {
        return Ok(());
    }
    let folder = file.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    fs::write(file, text).with_context(|| format!("could not write {}", file.display()))
}
