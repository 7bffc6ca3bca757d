//! No file of the repository names a path of somebody's machine: it would work there and nowhere else.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Beginnings of paths that only exist on one machine. In two parts, so that this file does not name them either.
const BEGINNINGS: [(&str, &str); 5] =
    [("/ro", "ot/"), ("/wo", "rk/"), ("/ho", "me/"), ("/Us", "ers/"), ("/opt/wh", "eels")];

pub fn check(workspace: &Workspace) -> Result<Outcome> {
    let files = process::output(Command::new("git").current_dir(&workspace.root).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut problems = Vec::new();
    for file in files.lines() {
        // A file that was just removed, or one that is not text, names nothing.
        let Ok(text) = fs::read_to_string(workspace.root.join(file)) else { continue };
        problems.extend(named_paths(&text).map(|(line, path)| format!("{file}:{line} names {path}")));
    }
    if problems.is_empty() { Ok(Outcome::Passed) } else { bail!("{}", problems.join("; ")) }
}

/// Line numbers and beginnings of machine paths in the text.
fn named_paths(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        BEGINNINGS
            .iter()
            .map(|(start, end)| format!("{start}{end}"))
            .filter(|beginning| {
                line.match_indices(beginning.as_str()).any(|(at, _)| begins_a_path(&line[..at]))
            })
            .map(move |beginning| (index + 1, beginning))
    })
}

/// Whether a slash after this text is the first of a path, and not one inside `example.com/some/item`.
fn begins_a_path(before: &str) -> bool {
    !before
        .ends_with(|last: char| last.is_alphanumeric() || matches!(last, '.' | '-' | '_' | '}' | '*' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_folder_is_found_with_its_line() {
        let text = format!("first\nread \"/ho{}someone/x\"", "me/");
        assert_eq!(named_paths(&text).collect::<Vec<_>>(), [(2, format!("/ho{}", "me/"))]);
    }

    #[test]
    fn a_path_inside_an_address_is_not_a_machine_path() {
        let text = format!("https://example.com/ho{}page", "me/");
        assert_eq!(named_paths(&text).count(), 0);
    }
}
