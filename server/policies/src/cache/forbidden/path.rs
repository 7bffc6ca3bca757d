//! Paths into JSON: names, numbers of list items, and anything, at one depth or at any.

/// `$.a[0]..b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// At any depth below, not only at the next.
    pub(super) anywhere: bool,
    pub(super) which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Named(String),
    Item(u64),
    Any,
}

/// The most steps of one path.
const MOST_STEPS: usize = 16;
const SYNTAX: &str = "A path begins with `$` and goes on with `.name`, `['name']`, `[0]`, `[*]` or `..name`.";

impl Path {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut rest = text.strip_prefix('$').ok_or(SYNTAX)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or(SYNTAX)?;
            steps.push(step);
            rest = after;
        }
        match steps.len() {
            0 => Err(SYNTAX),
            1..=MOST_STEPS => Ok(Self(steps)),
            _ => Err("A path has at most 16 steps."),
        }
    }
}

fn step(text: &str) -> Option<(Step, &str)> {
    let (anywhere, dotted) = match text.strip_prefix("..") {
        Some(rest) => (true, Some(rest).filter(|rest| !rest.starts_with('['))),
        None => (false, text.strip_prefix('.')),
    };
    let (which, rest) = match dotted {
        Some(rest) => {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let is_name =
                !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "]'\"*$?@".contains(c));
            match name {
                "*" => (Which::Any, rest),
                _ if is_name => (Which::Named(name.to_owned()), rest),
                _ => return None,
            }
        }
        None => bracketed(text.trim_start_matches('.').strip_prefix('[')?)?,
    };
    Some((Step { anywhere, which }, rest))
}

/// What is behind `[`, up to and with `]`.
fn bracketed(text: &str) -> Option<(Which, &str)> {
    if let Some(quote @ ('\'' | '"')) = text.chars().next() {
        let (name, rest) = text[1..].split_once(quote)?;
        return Some((Which::Named(name.to_owned()), rest.strip_prefix(']')?));
    }
    let (inside, rest) = text.split_once(']')?;
    let which = match inside {
        "*" => Which::Any,
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Which::Item(digits.parse().ok()?)
        }
        _ => return None,
    };
    Some((which, rest))
}
