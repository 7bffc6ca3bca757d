//! Splits the compiled console: what only one part needs goes into a file that a browser fetches with the first page of
//! that part (`lazy_pages!` in the console marks where).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use wasm_split_cli_support::{Options, transform};

use super::remove_folder_if_there;

/// How the glue, once wasm-bindgen has made it, imports the script that loads the parts.
pub const LOADER: &str = "./__wasm_split.js";
/// How that script imports the glue.
pub const GLUE: &str = "./app.js";

pub struct Split {
    /// The module that a browser loads first; input of wasm-bindgen.
    pub main: PathBuf,
    /// The script that fetches the parts.
    pub loader: String,
    /// The parts by the path that the loader fetches them from.
    pub parts: BTreeMap<String, Vec<u8>>,
}

/// Splits a module that was linked with its relocations.
pub fn split(compiled: &Path, folder: &Path) -> Result<Split> {
    remove_folder_if_there(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    let module = fs::read(compiled).with_context(|| format!("could not read {}", compiled.display()))?;
    let main = folder.join("console.wasm");
    let mut options = Options::new(&module);
    options.output_dir = folder;
    options.main_out_path = &main;
    options.link_name = LOADER;
    options.main_module = GLUE;
    let split = transform(options).map_err(|error| anyhow!("could not split the console: {error:#}"))?;

    let loader = fs::read_to_string(folder.join(LOADER)).context("the split console has no loader")?;
    let mut parts = BTreeMap::new();
    for file in split.split_modules {
        let name = file.file_name().and_then(|name| name.to_str()).context("a part's name is not text")?;
        let content = fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
        let part =
            without_custom_sections(&content).with_context(|| format!("{name} is no WebAssembly module"))?;
        parts.insert(format!("./{name}"), part);
    }
    Ok(Split { main, loader, parts })
}

/// A module without what only tools read: names of functions, relocations. Sections are an id, their length (LEB128)
/// and their content; those of tools have id 0 (WebAssembly Core Specification §5.5).
fn without_custom_sections(module: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 8;
    let (header, mut rest) = module.split_at_checked(HEADER)?;
    let mut kept = header.to_vec();
    while let Some((&id, after_id)) = rest.split_first() {
        let (length, digits) = leb128(after_id)?;
        let (section, next) = rest.split_at_checked(1 + digits + length)?;
        if id != 0 {
            kept.extend_from_slice(section);
        }
        rest = next;
    }
    Some(kept)
}

/// An unsigned number and how many bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    const LONGEST: usize = 5;
    let mut number = 0;
    for (index, byte) in bytes.iter().take(LONGEST).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::without_custom_sections;

    #[test]
    fn sections_of_tools_are_dropped_and_all_others_kept() {
        let header = b"\0asm\x01\0\0\0";
        let (code, names) = ([10, 2, 7, 7], [[0, 0x81, 1].as_slice(), &[9; 129]].concat());
        let module = [header, names.as_slice(), &code, &names].concat();
        assert_eq!(without_custom_sections(&module).unwrap(), [header, code.as_slice()].concat());
        assert!(without_custom_sections(&module[..module.len() - 1]).is_none());
        assert!(without_custom_sections(b"\0asm").is_none());
    }
}
