//! The program's files under the names that carry their hashes, each naming the others by those.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::assets::File;
use super::split;
use super::wasm::Program;

/// The program as a browser fetches it.
pub struct Linked {
    pub wasm: File,
    pub glue: File,
    /// What the glue imports: the scripts of crates, and the loader of the parts.
    pub imported: Vec<File>,
    /// What the loader fetches.
    pub parts: Vec<File>,
}

pub fn link(program: Program) -> Result<Linked> {
    let mut glue = program.glue;
    let mut imported = Vec::new();
    for (path, script) in program.modules {
        let module = File::hashed("module.js", script.into_bytes())?;
        renamed(&mut glue, &path, &module)?;
        imported.push(module);
    }
    let mut loader = program.loader;
    let parts = linked_parts(&mut loader, program.parts)?;
    let (glue, loader) = tied(glue, loader)?;
    imported.push(loader);
    Ok(Linked { wasm: File::hashed("app.wasm", program.wasm)?, glue, imported, parts })
}

fn linked_parts(loader: &mut String, parts: BTreeMap<String, Vec<u8>>) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for (path, part) in parts {
        let part = File::hashed(path.trim_start_matches("./"), part)?;
        renamed(loader, &path, &part)?;
        files.push(part);
    }
    Ok(files)
}

/// Lets a script ask for a file by the address that it is served from.
fn renamed(script: &mut String, path: &str, file: &File) -> Result<()> {
    if !script.contains(path) {
        bail!("the program brings {path}, which nothing imports");
    }
    *script = script.replace(path, &file.address());
    Ok(())
}

/// The glue and the loader import one another, so that one hash, of both, names both.
fn tied(mut glue: String, mut loader: String) -> Result<(File, File)> {
    let both = [glue.as_bytes(), loader.as_bytes()].concat();
    let (glue_name, loader_name) = (File::hashed("app.js", both.clone())?, File::hashed("parts.js", both)?);
    imported_as(&mut glue, split::LOADER, &loader_name)?;
    imported_as(&mut loader, split::GLUE, &glue_name)?;
    Ok((
        File { content: glue.into_bytes(), ..glue_name },
        File { content: loader.into_bytes(), ..loader_name },
    ))
}

/// Changes where a script imports another from, and nothing else: the module knows the loader by its first name.
fn imported_as(script: &mut String, path: &str, file: &File) -> Result<()> {
    let import = format!("from \"{path}\"");
    if !script.contains(&import) {
        bail!("the program brings {path}, which nothing imports");
    }
    *script = script.replace(&import, &format!("from \"{}\"", file.address()));
    Ok(())
}
