//! Places where the link dies on purpose, so that tests can prove that no death leaves anything half done.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

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

/// Whether and where to die.
#[derive(Default)]
pub(crate) struct Failpoints {
    point: Option<Failpoint>,
    passes: AtomicU32,
    #[cfg(test)]
    observer: Option<Box<dyn Fn(Step) + Send + Sync>>,
}

impl Failpoints {
    pub(crate) fn new(point: Option<Failpoint>) -> Self {
        Self { point, ..Self::default() }
    }

    /// Calls back at every step instead of dying, so that a test sees what a death there would leave behind.
    #[cfg(test)]
    pub(crate) fn observed(observer: impl Fn(Step) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Box::new(observer)), ..Self::default() }
    }

    /// Whether anything happens at a step.
    pub(super) fn watches(&self, step: Step) -> bool {
        #[cfg(test)]
        if self.observer.is_some() {
            return true;
        }
        self.point.is_some_and(|point| point.step == step)
    }

    /// Dies here if this is the place: at once, as by SIGKILL, with nothing flushed and nothing dropped.
    pub(super) fn reach(&self, step: Step) {
        #[cfg(test)]
        if let Some(observer) = &self.observer {
            observer(step);
        }
        let Some(point) = self.point else { return };
        if point.step == step && self.passes.fetch_add(1, Ordering::Relaxed) + 1 == point.pass {
            std::process::abort();
        }
    }
}
