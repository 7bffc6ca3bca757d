//! The console's WebAssembly: compiled by rustup's toolchain, or by the distribution's where that has no wasm target
//! to add; then bound to JavaScript.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;
use wasm_bindgen_cli_support::{Bindgen, Output};

use super::split::{self, Split};
use crate::workspace::Workspace;
use crate::{apt, environment, process, report};

pub const TARGET: &str = "wasm32-unknown-unknown";

/// The distribution's compiler and what it needs to build the standard library for wasm (Debian's names).
const DISTRIBUTION_PACKAGES: [&str; 5] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"];

/// What a browser loads: the module, and the JavaScript that starts it.
pub struct Program {
    pub wasm: Vec<u8>,
    pub glue: String,
    /// Scripts of the program's crates, by the path that the glue imports them from.
    pub modules: BTreeMap<String, String>,
    /// The script that fetches parts, imported by the glue and importing it.
    pub loader: String,
    /// Modules of single areas, by the path that the loader fetches them from.
    pub parts: BTreeMap<String, Vec<u8>>,
}

pub fn build(workspace: &Workspace) -> Result<Program> {
    let compiled = compile(workspace)?;
    let Split { main, loader, parts } =
        split::split(&compiled, &workspace.root.join("target").join("console.parts"))?;
    let mut output = Bindgen::new()
        .input_path(&main)
        // The parts use what the linker exports for them.
        .keep_lld_exports(true)
        .demangle(false)
        .web(true)?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()
        .context("wasm-bindgen refused the compiled console")?;
    let glue = output.js().to_owned();
    let modules = modules(&output);
    let wasm = optimise(workspace, output.wasm_mut().emit_wasm())?;
    Ok(Program { wasm, glue, modules, loader, parts })
}

/// The JavaScript that crates bring along, by the path that the glue imports it from.
fn modules(output: &Output) -> BTreeMap<String, String> {
    let inline = output.snippets().iter().flat_map(|(crate_name, scripts)| {
        let path = move |index| format!("./snippets/{crate_name}/inline{index}.js");
        scripts.iter().enumerate().map(move |(index, script)| (path(index), script.clone()))
    });
    let local =
        output.local_modules().iter().map(|(path, script)| (format!("./snippets/{path}"), script.clone()));
    inline.chain(local).collect()
}

/// Whether this machine's default toolchain cannot build for wasm.
pub fn native_target_missing() -> bool {
    let Ok(library) =
        process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
    else {
        return true;
    };
    !Path::new(library.trim()).exists()
}

fn compile(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = process::cargo(&workspace.root);
    if native_target_missing() && !added_by_rustup() {
        use_distribution_compiler(&mut cargo)?;
    } else {
        cargo.arg("rustc");
    }
    cargo.args(["--locked", "--package", "sluice-console", "--profile", "browser", "--target", TARGET]);
    cargo.arg("--message-format=json-render-diagnostics");
    // Without the relocations nobody can tell which function needs which other.
    cargo.args(["--", "-C", "link-arg=--emit-relocs"]);
    let messages = process::output(cargo.stdin(Stdio::null()))?;
    built_file(&messages).context("cargo built no WebAssembly for the console")
}

/// The `.wasm` file among cargo's messages.
fn built_file(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "sluice-console")
        .filter_map(|message| {
            let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
            files
                .map(PathBuf::from)
                .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        })
        .next_back()
}

fn added_by_rustup() -> bool {
    if environment::program("rustup").is_none() {
        return false;
    }
    report::progress(&format!("adding the {TARGET} target"));
    let added = process::run(Command::new("rustup").args(["target", "add", TARGET]));
    if let Err(error) = &added {
        report::progress(&format!("warning: {error:#}; trying the distribution's compiler"));
    }
    added.is_ok() && !native_target_missing()
}

/// Debian ships no standard library for wasm that matches, but the source to build one from.
fn use_distribution_compiler(cargo: &mut Command) -> Result<()> {
    let compiler = Path::new("/usr/bin/rustc");
    let source = Path::new("/usr/lib/rustlib/src/rust/library");
    if !compiler.exists() || !source.exists() || !Path::new("/usr/bin/cargo").exists() {
        apt::install(&DISTRIBUTION_PACKAGES, "building the console without rustup")?;
    }
    cargo.env("PATH", "/usr/bin:/bin").env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
    cargo.args(["rustc", "-Z", "build-std=std,panic_abort"]);
    Ok(())
}

/// Binaryen's optimiser, when it is on the path; its gain is in raw size, hardly in compressed size.
fn optimise(workspace: &Workspace, wasm: Vec<u8>) -> Result<Vec<u8>> {
    const FEATURES: [&str; 7] = [
        "--enable-bulk-memory",
        "--enable-bulk-memory-opt",
        "--enable-nontrapping-float-to-int",
        "--enable-sign-ext",
        "--enable-mutable-globals",
        "--enable-reference-types",
        "--enable-multivalue",
    ];
    let Some(optimiser) = environment::program("wasm-opt") else { return Ok(wasm) };
    let before = workspace.root.join("target").join("console.before.wasm");
    let after = workspace.root.join("target").join("console.after.wasm");
    fs::write(&before, &wasm).context("could not write the module for wasm-opt")?;
    process::run(Command::new(optimiser).arg("-Oz").args(FEATURES).arg(&before).arg("-o").arg(&after))?;
    let smaller = fs::read(&after).context("wasm-opt wrote nothing")?;
    fs::remove_file(before)?;
    fs::remove_file(after)?;
    Ok(smaller)
}

#[cfg(test)]
mod tests {
    use super::built_file;

    #[test]
    fn the_module_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"leptos"},"filenames":["/t/libleptos.rlib"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"sluice-console"},"filenames":["/t/sluice-console.wasm"]}"#,
            "\nnot json\n",
        );
        assert_eq!(built_file(messages).unwrap().to_str(), Some("/t/sluice-console.wasm"));
        assert!(built_file(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
