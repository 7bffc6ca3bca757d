//! Puts the console's files together: fonts, one style sheet, the program, the script that starts it, and the page
//! that names them all. Nothing is inline, because the content security policy allows no inline script or style.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::assets::File;
use super::inputs::files_below;
use super::linked::{Linked, link};
use super::wasm::Program;

const STYLES: &str = "<!--sluice:styles-->";
const SCRIPT: &str = "<!--sluice:script-->";

/// Everything below `target/console`, the page last.
pub fn assemble(root: &Path, program: Program) -> Result<Vec<File>> {
    let fonts = fonts(&root.join("assets/fonts"))?;
    let styles = File::hashed("app.css", style_sheet(&root.join("assets/styles"), &fonts)?.into_bytes())?;
    let Linked { wasm, glue, imported, parts } = link(program)?;
    let boot = File::hashed("boot.js", boot_script(&glue, &wasm).into_bytes())?;

    let template = root.join("frontend/index.html");
    let template =
        fs::read_to_string(&template).with_context(|| format!("could not read {}", template.display()))?;
    let page =
        page(&template, &style_tags(&styles, fonts.values()), &script_tags(&boot, &glue, &imported, &wasm))?;

    let mut files: Vec<File> = fonts.into_values().collect();
    files.extend(imported);
    files.extend(parts);
    files.extend([styles, wasm, glue, boot, File::named("index.html", page.into_bytes())]);
    Ok(files)
}

/// The fonts by their names in `assets/fonts`.
fn fonts(folder: &Path) -> Result<BTreeMap<String, File>> {
    let mut fonts = BTreeMap::new();
    for path in files_below(folder)?
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "woff2"))
    {
        let name =
            path.file_name().and_then(|name| name.to_str()).context("a font's name is not text")?.to_owned();
        let content = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        fonts.insert(name.clone(), File::hashed(&name, content)?);
    }
    Ok(fonts)
}

/// All styles in the order of their file names, with the addresses of fonts in place.
fn style_sheet(folder: &Path, fonts: &BTreeMap<String, File>) -> Result<String> {
    const FONTS: &str = "../fonts/";
    let mut sheet = String::new();
    for path in files_below(folder)?
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "css"))
    {
        let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        sheet.push_str(&text);
        sheet.push('\n');
    }
    for (name, file) in fonts {
        sheet = sheet.replace(&format!("{FONTS}{name}"), &file.address());
    }
    if let Some(at) = sheet.find(FONTS) {
        let named: String =
            sheet[at..].chars().take_while(|c| !matches!(c, ')' | '"' | '\'' | '\n')).collect();
        bail!("a style names {named}, which is not in assets/fonts");
    }
    Ok(sheet)
}

/// Fetches the program by the name that carries its hash, and starts it.
fn boot_script(glue: &File, wasm: &File) -> String {
    format!(
        "import start from \"{}\";\nstart({{ module_or_path: \"{}\" }});\n",
        glue.address(),
        wasm.address()
    )
}

fn style_tags<'a>(styles: &File, fonts: impl Iterator<Item = &'a File>) -> String {
    let mut tags = format!("<link rel=\"stylesheet\" href=\"{}\">", styles.address());
    for font in fonts {
        let address = font.address();
        tags.push_str(&format!(
            "\n<link rel=\"preload\" href=\"{address}\" as=\"font\" type=\"font/woff2\" crossorigin>"
        ));
    }
    tags
}

/// What starts the program is preloaded, so that no download waits for the one that asks for it.
fn script_tags(boot: &File, glue: &File, imported: &[File], wasm: &File) -> String {
    let mut tags: String = std::iter::once(glue)
        .chain(imported)
        .map(|script| format!("<link rel=\"modulepreload\" href=\"{}\">\n", script.address()))
        .collect();
    tags.push_str(&format!(
        "<link rel=\"preload\" href=\"{}\" as=\"fetch\" type=\"application/wasm\" crossorigin>\n<script type=\"module\" src=\"{}\"></script>",
        wasm.address(),
        boot.address()
    ));
    tags
}

/// The template with its two marks replaced.
fn page(template: &str, styles: &str, script: &str) -> Result<String> {
    for mark in [STYLES, SCRIPT] {
        if template.matches(mark).count() != 1 {
            bail!("frontend/index.html must contain {mark} exactly once");
        }
    }
    Ok(template.replace(STYLES, styles).replace(SCRIPT, script))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str =
        "<!doctype html><head><!--sluice:styles--></head><body><!--sluice:script--></body>";

    fn assembled(template: &str, style: &str) -> Result<Vec<File>> {
        let folder = tempdir();
        for (path, content) in [
            ("frontend/index.html", template),
            ("assets/styles/10-a.css", style),
            ("assets/fonts/x.woff2", "font"),
        ] {
            let file = folder.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let files = assemble(&folder, program());
        fs::remove_dir_all(folder).unwrap();
        files
    }

    fn program() -> Program {
        let glue = "import { f } from './snippets/dep/inline0.js'; import * as a from \"./__wasm_split.js\"; \
                    ({ \"./__wasm_split.js\": a });";
        let loader = "import { initSync } from \"./app.js\"; fetch('./split_calls.wasm')";
        Program {
            wasm: b"\0asm".to_vec(),
            glue: glue.to_owned(),
            loader: loader.to_owned(),
            parts: BTreeMap::from([("./split_calls.wasm".to_owned(), b"\0asm calls".to_vec())]),
            modules: BTreeMap::from([(
                "./snippets/dep/inline0.js".to_owned(),
                "export const f = 1;".to_owned(),
            )]),
        }
    }

    fn tempdir() -> std::path::PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        std::env::temp_dir().join(format!("sluice-bundle-{}-{number}", std::process::id()))
    }

    fn text<'a>(files: &'a [File], start: &str) -> &'a str {
        let file = files.iter().find(|file| file.path.starts_with(start)).unwrap();
        std::str::from_utf8(&file.content).unwrap()
    }

    #[test]
    fn every_address_on_the_page_is_a_file_of_the_bundle() {
        let files = assembled(TEMPLATE, "@font-face { src: url(../fonts/x.woff2) }").unwrap();
        let page = text(&files, "index.html");
        let addresses: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
        assert_eq!(addresses.len(), 7, "{page}");
        for address in addresses {
            assert!(files.iter().any(|file| file.address() == address), "{address} is not there");
        }
        assert!(text(&files, "assets/app.").contains("url(/assets/x."));
    }

    #[test]
    fn scripts_and_parts_ask_for_one_another_by_their_hashed_names() {
        let files = assembled(TEMPLATE, "").unwrap();
        let address = |start: &str, extension: &str| {
            let is_it = |file: &&File| file.path.starts_with(start) && file.extension() == extension;
            files.iter().find(is_it).unwrap().address()
        };
        let (glue, loader) = (address("assets/app.", "js"), address("assets/parts.", "js"));
        let module = address("assets/module.", "js");
        let expected = format!(
            "import {{ f }} from '{module}'; import * as a from \"{loader}\"; ({{ \"./__wasm_split.js\": a }});"
        );
        assert_eq!(text(&files, glue.trim_start_matches('/')), expected);
        let part = address("assets/split_calls.", "wasm");
        let expected = format!("import {{ initSync }} from \"{glue}\"; fetch('{part}')");
        assert_eq!(text(&files, loader.trim_start_matches('/')), expected);
    }

    #[test]
    fn a_part_that_nothing_fetches_is_refused() {
        let program = Program { loader: "import { initSync } from \"./app.js\";".to_owned(), ..program() };
        let error = link(program).err().unwrap();
        assert!(error.to_string().contains("./split_calls.wasm"), "{error}");
    }

    #[test]
    fn a_style_that_names_a_missing_font_is_refused() {
        let error = assembled(TEMPLATE, "src: url(../fonts/gone.woff2)").err().unwrap();
        assert!(error.to_string().contains("../fonts/gone.woff2"), "{error}");
    }

    #[test]
    fn a_template_without_its_marks_is_refused() {
        let error = assembled("<!doctype html>", "").err().unwrap();
        assert!(error.to_string().contains("<!--sluice:styles-->"), "{error}");
    }

    #[test]
    fn a_changed_style_gets_another_name() {
        let name = |style| {
            let files = assembled(TEMPLATE, style).unwrap();
            files.into_iter().find(|file| file.path.ends_with(".css")).unwrap().path
        };
        assert_eq!(name("a {}"), name("a {}"));
        assert_ne!(name("a {}"), name("b {}"));
    }
}
