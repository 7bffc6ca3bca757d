//! Places where the link dies on purpose, so that tests can prove that no death leaves anything half done.

use std::str::FromStr;

/// A step of applying a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A part has been fetched and is not stored yet.
    AfterFetch,
    /// Entries have arrived and nothing is written yet.
    BeforePersist,
    /// Half of what is to be written is.
    MidWrite,
    /// A file is complete and has its name.
    AfterRename,
    /// Everything is on disk and not served yet.
    BeforeSwap,
    /// Everything is served and not acknowledged yet.
    BeforeAck,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [
        Self::AfterFetch,
        Self::BeforePersist,
        Self::MidWrite,
        Self::AfterRename,
        Self::BeforeSwap,
        Self::BeforeAck,
    ];

    /// Name in the `failpoint` setting.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfterFetch => "after-fetch",
            Self::BeforePersist => "before-persist",
            Self::MidWrite => "mid-write",
            Self::AfterRename => "after-rename",
            Self::BeforeSwap => "before-swap",
            Self::BeforeAck => "before-ack",
        }
    }
}

/// Dies at the given pass of a step: `before-persist` or `before-persist:3` (at the third).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failpoint {
    pub step: Step,
    /// From 1.
    pub pass: u32,
}

/// The text is not a failpoint.
#[derive(Debug, thiserror::Error)]
#[error("a failpoint is a step's name and optionally `:` and the pass")]
pub struct NotAFailpoint;

impl FromStr for Failpoint {
    type Err = NotAFailpoint;

    fn from_str(text: &str) -> Result<Self, NotAFailpoint> {
        let (name, pass) = text.split_once(':').unwrap_or((text, "1"));
        let step = Step::ALL.into_iter().find(|step| step.name() == name).ok_or(NotAFailpoint)?;
        let pass = pass.parse().ok().filter(|pass| *pass > 0).ok_or(NotAFailpoint)?;
        Ok(Self { step, pass })
    }
}
