//! How much a browser loads: before the first page, and later for an area of pages. The first load has a bar, so that
//! it grows by decision and not by accident.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::inputs::files_below;
use crate::report;

/// Bytes over the wire, brotli, before the first page shows.
const FIRST_LOAD_BAR: u64 = 600 * 1024;
/// Of these, the program's.
const PROGRAM_BAR: u64 = 450 * 1024;

/// Sizes in bytes as sent to a browser: compressed where a compressed form is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The module that starts the console.
    program: u64,
    /// The page and every file that it names.
    first_load: u64,
    /// The files that a page fetches when it is opened.
    parts: Vec<u64>,
}

/// Weighs a built console.
pub fn measure(console: &Path) -> Result<Sizes> {
    let page = console.join("index.html");
    let text = fs::read_to_string(&page).with_context(|| format!("could not read {}", page.display()))?;
    let mut sizes = Sizes { first_load: sent(&page)?, ..Sizes::default() };
    for file in files_below(&console.join("assets"))?.into_iter().filter(|file| !is_compressed_form(file)) {
        let is_program = file.extension().is_some_and(|extension| extension == "wasm");
        let size = sent(&file)?;
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !text.contains(name) {
            sizes.parts.push(size);
            continue;
        }
        sizes.first_load += size;
        if is_program {
            sizes.program += size;
        }
    }
    Ok(sizes)
}

impl Sizes {
    pub fn print(&self) {
        report::progress(&format!(
            "console: program {}, first load {}, {} parts of up to {} (brotli)",
            report::size(self.program),
            report::size(self.first_load),
            self.parts.len(),
            report::size(self.parts.iter().copied().max().unwrap_or_default()),
        ));
    }

    /// An error when a first visit loads more than it may.
    pub fn check(&self) -> Result<()> {
        for (what, size, bar) in [
            ("the first load", self.first_load, FIRST_LOAD_BAR),
            ("the program that starts the console", self.program, PROGRAM_BAR),
        ] {
            if size > bar {
                bail!(
                    "{what} is {}, which is over its bar of {}: make a page lazy (frontend/README.md)",
                    report::size(size),
                    report::size(bar)
                );
            }
        }
        Ok(())
    }
}

fn is_compressed_form(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "br" || extension == "gz")
}

fn sent(file: &Path) -> Result<u64> {
    let mut compressed = file.as_os_str().to_owned();
    compressed.push(".br");
    let compressed = PathBuf::from(compressed);
    let sent = if compressed.exists() { compressed.as_path() } else { file };
    Ok(fs::metadata(sent).with_context(|| format!("could not look at {}", sent.display()))?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(files: &[(&str, usize)]) -> Sizes {
        let folder = std::env::temp_dir().join(format!(
            "sluice-sizes-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::create_dir_all(folder.join("assets")).unwrap();
        fs::write(
            folder.join("index.html"),
            "<link href=\"/assets/app.1.wasm\"><link href=\"/assets/x.2.woff2\">",
        )
        .unwrap();
        fs::write(folder.join("index.html.br"), "12345").unwrap();
        for (name, size) in files {
            fs::write(folder.join("assets").join(name), vec![0; *size]).unwrap();
        }
        let sizes = measure(&folder).unwrap();
        fs::remove_dir_all(folder).unwrap();
        sizes
    }

    #[test]
    fn the_first_load_is_what_the_page_names_as_sent() {
        let files = [("app.1.wasm", 1000), ("app.1.wasm.br", 400), ("x.2.woff2", 50), ("calls.3.wasm", 70)];
        let sizes = measured(&files);
        assert_eq!(sizes, Sizes { program: 400, first_load: 455, parts: vec![70] });
        sizes.check().unwrap();
    }

    #[test]
    fn a_first_load_over_its_bar_is_refused() {
        let over = usize::try_from(FIRST_LOAD_BAR).unwrap();
        let error = measured(&[("x.2.woff2", over)]).check().unwrap_err().to_string();
        assert!(error.contains("the first load is 600.0 KB"), "{error}");
        let over = usize::try_from(PROGRAM_BAR).unwrap() + 1;
        let error = measured(&[("app.1.wasm", over)]).check().unwrap_err().to_string();
        assert!(error.contains("the program"), "{error}");
    }
}
