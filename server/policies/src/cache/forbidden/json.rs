//! Paths of JSON in text that arrives in pieces. Nothing is built: for each open object and list there is only which steps of
//! which paths its members could be.

use std::borrow::Cow;

use super::path::{Path, Step, Which};

/// Steps of all paths one behind the other; a set of them is a number with their bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    steps: Vec<Step>,
    /// The first steps.
    first: u128,
    /// The last ones.
    last: u128,
    /// Bytes of the longest name as it can be written: each byte as `\u0000`.
    longest: usize,
}

/// The deepest that is followed.
const DEEPEST: usize = 128;

/// Why reading ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// One of the paths is there.
    Found,
    /// It is not JSON, or too deep.
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    /// A value; a list may also end when it has none yet.
    Value {
        or_end: bool,
    },
    /// A name; an object may also end when it has none yet.
    Name {
        or_end: bool,
    },
    Colon,
    CommaOrEnd,
    /// The rest of a name or a text.
    Quoted {
        name: bool,
        escaped: bool,
    },
    /// The rest of a number or a word.
    Bare,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    /// Steps that members could be.
    steps: u128,
    /// The number of the next item; None: an object.
    item: Option<u64>,
}

/// On its way through a text of one value or several.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    open: Vec<Open>,
    expects: Expects,
    /// The name that is being read as it is written, or one byte more of it than can matter.
    name: Vec<u8>,
    /// Steps that the members of the value which comes next could be.
    below: u128,
}

impl Paths {
    /// None when there are more steps than can be followed.
    pub(super) fn new(paths: &[Path]) -> Option<Self> {
        let mut all = Self::default();
        for Path(steps) in paths {
            all.first |= 1_u128.checked_shl(u32::try_from(all.steps.len()).ok()?)?;
            all.steps.extend(steps.iter().cloned());
            all.last |= 1_u128.checked_shl(u32::try_from(all.steps.len() - 1).ok()?)?;
        }
        let lengths = all.steps.iter().map(|step| match &step.which {
            Which::Named(name) => name.len(),
            Which::Item(_) | Which::Any => 0,
        });
        all.longest = lengths.max().unwrap_or(0) * 6;
        Some(all)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn read(&self) -> Reading {
        Reading {
            open: Vec::new(),
            expects: Expects::Value { or_end: false },
            name: Vec::new(),
            below: self.first,
        }
    }

    /// Of a member that may be so: which steps its own members could be; None when a path ends with it.
    fn descend(&self, steps: u128, is_meant: impl Fn(&Which) -> bool) -> Option<u128> {
        let (mut below, mut left) = (0, steps);
        while left != 0 {
            let index = left.trailing_zeros();
            left &= left - 1;
            let step = &self.steps[index as usize];
            let bit = 1_u128 << index;
            if step.anywhere {
                below |= bit;
            }
            if is_meant(&step.which) {
                if self.last & bit != 0 {
                    return None;
                }
                below |= bit << 1;
            }
        }
        Some(below)
    }
}

impl Reading {
    /// Whether nothing has been read yet.
    pub(super) fn is_new(&self) -> bool {
        self.open.is_empty() && matches!(self.expects, Expects::Value { .. })
    }

    pub(super) fn see(&mut self, paths: &Paths, bytes: &[u8]) -> Result<(), End> {
        bytes.iter().try_for_each(|&byte| self.step(paths, byte))
    }

    /// Whether all that was opened is closed.
    pub(super) fn end(&self) -> Result<(), End> {
        let whole = self.open.is_empty() && matches!(self.expects, Expects::Value { .. } | Expects::Bare);
        if whole { Ok(()) } else { Err(End::Malformed) }
    }

    fn step(&mut self, paths: &Paths, byte: u8) -> Result<(), End> {
        match self.expects {
            Expects::Quoted { name, escaped } => return self.quoted(paths, byte, name, escaped),
            Expects::Bare if byte.is_ascii_alphanumeric() || b"+-.".contains(&byte) => return Ok(()),
            Expects::Bare => self.value_ends(),
            _ => {}
        }
        // RFC 8259 §2; records of RFC 7464 begin with 0x1e.
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x1e) {
            return Ok(());
        }
        match (self.expects, byte) {
            (Expects::Value { or_end: true }, b']') | (Expects::Name { or_end: true }, b'}') => {
                self.close();
                Ok(())
            }
            (Expects::Value { .. }, _) => self.value(paths, byte),
            (Expects::Name { .. }, b'"') => {
                self.name.clear();
                self.expects = Expects::Quoted { name: true, escaped: false };
                Ok(())
            }
            (Expects::Colon, b':') => {
                self.expects = Expects::Value { or_end: false };
                Ok(())
            }
            (Expects::CommaOrEnd, b',') => {
                self.next_member();
                Ok(())
            }
            (Expects::CommaOrEnd, b'}' | b']') => {
                let is_list = self.open.last().is_some_and(|open| open.item.is_some());
                if is_list != (byte == b']') {
                    return Err(End::Malformed);
                }
                self.close();
                Ok(())
            }
            _ => Err(End::Malformed),
        }
    }

    fn quoted(&mut self, paths: &Paths, byte: u8, name: bool, escaped: bool) -> Result<(), End> {
        if byte == b'"' && !escaped {
            if !name {
                self.value_ends();
                return Ok(());
            }
            self.expects = Expects::Colon;
            let steps = self.open.last().map_or(0, |open| open.steps);
            let written = std::mem::take(&mut self.name);
            let text = unescaped(&written, paths.longest)?;
            let is_meant = |which: &Which| match which {
                Which::Named(wanted) => text.as_deref() == Some(wanted.as_bytes()),
                Which::Any => true,
                Which::Item(_) => false,
            };
            self.below = paths.descend(steps, is_meant).ok_or(End::Found)?;
            return Ok(());
        }
        if name && self.name.len() <= paths.longest {
            self.name.push(byte);
        }
        self.expects = Expects::Quoted { name, escaped: byte == b'\\' && !escaped };
        Ok(())
    }

    fn value(&mut self, paths: &Paths, byte: u8) -> Result<(), End> {
        match self.open.last() {
            Some(Open { steps, item: Some(item) }) => {
                let is_meant = |which: &Which| match which {
                    Which::Item(wanted) => wanted == item,
                    Which::Any => true,
                    Which::Named(_) => false,
                };
                self.below = paths.descend(*steps, is_meant).ok_or(End::Found)?;
            }
            // Its name has told.
            Some(Open { item: None, .. }) => {}
            None => self.below = paths.first,
        }
        self.expects = match byte {
            b'{' => return self.enter(None, Expects::Name { or_end: true }),
            b'[' => return self.enter(Some(0), Expects::Value { or_end: true }),
            b'"' => Expects::Quoted { name: false, escaped: false },
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Expects::Bare,
            _ => return Err(End::Malformed),
        };
        Ok(())
    }

    fn enter(&mut self, item: Option<u64>, expects: Expects) -> Result<(), End> {
        if self.open.len() == DEEPEST {
            return Err(End::Malformed);
        }
        self.open.push(Open { steps: self.below, item });
        self.expects = expects;
        Ok(())
    }

    fn close(&mut self) {
        self.open.pop();
        self.value_ends();
    }

    fn value_ends(&mut self) {
        let or_end = false;
        self.expects = if self.open.is_empty() { Expects::Value { or_end } } else { Expects::CommaOrEnd };
    }

    fn next_member(&mut self) {
        let or_end = false;
        self.expects = match self.open.last_mut() {
            Some(Open { item: Some(item), .. }) => {
                *item += 1;
                Expects::Value { or_end }
            }
            _ => Expects::Name { or_end },
        };
    }
}

/// A name as it is meant. None: it is longer than any that is looked for.
fn unescaped(written: &[u8], longest: usize) -> Result<Option<Cow<'_, [u8]>>, End> {
    if written.len() > longest {
        return Ok(None);
    }
    if !written.contains(&b'\\') {
        return Ok(Some(Cow::Borrowed(written)));
    }
    let quoted = [b"\"", written, b"\""].concat();
    let text: String = serde_json::from_slice(&quoted).map_err(|_| End::Malformed)?;
    Ok(Some(Cow::Owned(text.into_bytes())))
}
