//! Puts the console's files together: fonts, one style sheet, the program, the script that starts it, and the page
//! that names them all. Nothing is inline, because the content security policy allows no inline script or style.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::assets::File;
use super::inputs::files_below;
use super::wasm::Program;

const STYLES: &str = "<!--sluice:styles-->";
const SCRIPT: &str = "<!--sluice:script-->";

/// Everything below `target/console`, the page last.
pub fn assemble(root: &Path, program: Program) -> Result<Vec<File>> {
    let fonts = fonts(&root.join("assets/fonts"))?;
    let styles = File::hashed("app.css", style_sheet(&root.join("assets/styles"), &fonts)?.into_bytes())?;
    let wasm = File::hashed("app.wasm", program.wasm)?;
    let mut modules = Vec::new();
    let mut glue = program.glue;
    for (path, script) in program.modules {
        let module = File::hashed("module.js", script.into_bytes())?;
        if !glue.contains(&path) {
            bail!("the program brings {path}, which nothing imports");
        }
        glue = glue.replace(&path, &module.address());
        modules.push(module);
    }
    let glue = File::hashed("app.js", glue.into_bytes())?;
    let boot = File::hashed("boot.js", boot_script(&glue, &wasm).into_bytes())?;

    let template = root.join("frontend/index.html");
    let template =
        fs::read_to_string(&template).with_context(|| format!("could not read {}", template.display()))?;
    let page = page(&template, &style_tags(&styles, fonts.values()), &script_tags(&boot, &glue, &wasm))?;

    let mut files: Vec<File> = fonts.into_values().collect();
    files.extend(modules);
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

/// The program is preloaded, so that its download does not wait for the scripts'.
fn script_tags(boot: &File, glue: &File, wasm: &File) -> String {
    format!(
        "<link rel=\"modulepreload\" href=\"{}\">\n<link rel=\"preload\" href=\"{}\" as=\"fetch\" type=\"application/wasm\" crossorigin>\n<script type=\"module\" src=\"{}\"></script>",
        glue.address(),
        wasm.address(),
        boot.address()
    )
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
        let import = "import { f } from './snippets/dep/inline0.js';";
        Program {
            wasm: b"\0asm".to_vec(),
            glue: import.to_owned(),
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
        assert_eq!(addresses.len(), 5, "{page}");
        for address in addresses {
            assert!(files.iter().any(|file| file.address() == address), "{address} is not there");
        }
        assert!(text(&files, "assets/app.").contains("url(/assets/x."));
    }

    #[test]
    fn a_script_that_a_crate_brings_is_imported_by_its_hashed_name() {
        let files = assembled(TEMPLATE, "").unwrap();
        let module = files.iter().find(|file| file.path.starts_with("assets/module.")).unwrap();
        let glue = files
            .iter()
            .find(|file| file.path.starts_with("assets/app.") && file.path.ends_with(".js"))
            .unwrap();
        let expected = format!("import {{ f }} from '{}';", module.address());
        assert_eq!(std::str::from_utf8(&glue.content).unwrap(), expected);
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
