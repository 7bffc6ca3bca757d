//! Builds the gateway's tests with all changes in them. What rustc refuses is left out, and it is built again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use proc_macro2::LineColumn;
use serde_json::Value;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Arm, Expr, Stmt};

use super::changes::Changes;
use super::copy::Copy;
use crate::{process, report};

/// Optimised a little, because the tests run some ten thousand times; what the changes make superfluous is not warned of.
const ARGUMENTS: [&str; 10] = [
    "test",
    "--locked",
    "--package=sluice-gateway",
    "--no-run",
    "--message-format=json",
    "--config=profile.dev.opt-level=1",
    "--config=profile.dev.debug=false",
    "--config=profile.dev.incremental=false",
    "--config=build.rustflags=['--cap-lints=allow']",
    "--target-dir",
];
/// Errors of one phase of rustc hide those of the next.
const ROUNDS: usize = 12;

/// The programs of the tests.
pub fn tests(copy: &Copy, target: &Path, changes: &mut Changes) -> Result<Vec<PathBuf>> {
    for _ in 0..ROUNDS {
        copy.switch(changes)?;
        report::progress(&format!("building {} changes at once", changes.built().count()));
        let mut programs = Vec::new();
        let mut errors = Vec::new();
        let mut cargo = process::cargo(&copy.folder);
        let status = process::each_line(cargo.args(ARGUMENTS).arg(target), |line| {
            let Ok(message) = serde_json::from_str::<Value>(line) else { return };
            if message["profile"]["test"] == true
                && let Some(program) = message["executable"].as_str()
            {
                programs.push(PathBuf::from(program));
            }
            if message["message"]["level"] == "error" && message["message"]["spans"][0].is_object() {
                errors.push(message["message"].clone());
            }
        })?;
        if status.success() {
            return Ok(programs);
        }
        let mut refused = BTreeSet::new();
        for error in &errors {
            refused.extend(around(&copy.folder, error)?);
        }
        if refused.is_empty() {
            bail!(
                "the tests cannot be built: {}",
                errors.first().map_or("", |error| error["rendered"].as_str().unwrap_or_default())
            );
        }
        report::progress(&format!("{} do not compile", refused.len()));
        changes.left_out.extend(refused.into_iter().map(|number| changes.all[number].clone()));
    }
    bail!("after {ROUNDS} times there are changes that do not compile")
}

/// The changes of the innermost part of the source that has both the error and a change in it.
fn around(folder: &Path, error: &Value) -> Result<BTreeSet<usize>> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let Some(span) = spans.into_iter().find(|span| span["is_primary"] == true) else {
        return Ok(BTreeSet::new());
    };
    let number = |name: &str| span[name].as_u64().unwrap_or_default() as usize;
    let file = folder.join(span["file_name"].as_str().unwrap_or_default());
    let source = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    let place = LineColumn { line: number("line_start"), column: number("column_start").saturating_sub(1) };
    let mut around = Around { place, least: usize::MAX, changes: BTreeSet::new() };
    around.visit_file(&syn::parse_file(&source)?);
    Ok(around.changes)
}

struct Around {
    place: LineColumn,
    /// Length of the smallest part that has the place and a change in it.
    least: usize,
    changes: BTreeSet<usize>,
}

impl Around {
    fn look_at(&mut self, part: &impl Spanned) {
        let span = part.span();
        if !(span.start() <= self.place && self.place < span.end()) {
            return;
        }
        let text = span.source_text().unwrap_or_default();
        let changes: BTreeSet<usize> = text
            .split("crate::mutants::on(")
            .skip(1)
            .filter_map(|rest| rest.split_once("usize")?.0.parse().ok())
            .collect();
        if !changes.is_empty() && text.len() < self.least {
            (self.least, self.changes) = (text.len(), changes);
        }
    }
}

impl<'ast> Visit<'ast> for Around {
    fn visit_expr(&mut self, part: &'ast Expr) {
        self.look_at(part);
        visit::visit_expr(self, part);
    }

    fn visit_stmt(&mut self, part: &'ast Stmt) {
        self.look_at(part);
        visit::visit_stmt(self, part);
    }

    fn visit_arm(&mut self, part: &'ast Arm) {
        self.look_at(part);
        visit::visit_arm(self, part);
    }
}
