//! One action of a person: busy while it runs, and what went wrong when it failed.

use std::future::Future;

use leptos::prelude::*;
use leptos::task::spawn_local;
use sluice_contract::problem::Problem;

use super::loader::{Arrival, Fetch};

/// The state of an action such as "save" or "delete". At most one runs at a time.
#[derive(Clone, Copy)]
pub struct Task {
    busy: RwSignal<bool>,
    problem: RwSignal<Option<Problem>>,
}

impl Default for Task {
    fn default() -> Self {
        Self::new()
    }
}

impl Task {
    pub fn new() -> Self {
        Self { busy: RwSignal::new(false), problem: RwSignal::new(None) }
    }

    /// Starts the work unless it runs already; `done` gets what it returned.
    pub fn run<T: 'static>(
        self,
        work: impl Future<Output = Result<T, Problem>> + 'static,
        done: impl FnOnce(T) + 'static,
    ) {
        self.start(Box::pin(async move {
            let value = work.await?;
            Ok(Box::new(move || done(value)) as Arrival)
        }));
    }

    /// The same for every type, so that it is compiled once.
    fn start(self, work: Fetch) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.problem.set(None);
        spawn_local(async move {
            let reply = work.await;
            // A value comes back when the page that started it is gone: nobody waits for the answer.
            if self.busy.try_set(false).is_some() {
                return;
            }
            match reply {
                Ok(done) => done(),
                Err(problem) => self.problem.set(Some(problem)),
            }
        });
    }

    /// Whether it runs.
    pub fn busy(self) -> Signal<bool> {
        self.busy.into()
    }

    /// Why it failed the last time.
    pub fn problem(self) -> Signal<Option<Problem>> {
        self.problem.into()
    }

    /// What is wrong with the field at this JSON pointer.
    pub fn field(self, pointer: &'static str) -> Signal<Option<String>> {
        Signal::derive(move || {
            self.problem.with(|problem| {
                let fields = &problem.as_ref()?.fields;
                fields.iter().find(|field| field.pointer == pointer).map(|field| field.message.clone())
            })
        })
    }

    /// Reports a problem that was found before anything was sent.
    pub fn fail(self, problem: Problem) {
        self.problem.set(Some(problem));
    }

    /// Forgets the last failure.
    pub fn clear(self) {
        self.problem.set(None);
    }
}
