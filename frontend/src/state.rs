//! How data gets from the admin API into a view, and from a form to the admin API.

mod loader;
mod paged;
mod remote;
mod task;
mod url;

pub use paged::{Paged, paged};
pub use remote::{Remote, remote};
pub use task::Task;
pub use url::{UrlText, go, go_replacing, set_url_values, url_text};

use std::sync::atomic::{AtomicU64, Ordering};

use leptos::prelude::*;

/// An id that no other element of the page has.
pub fn unique_id(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs now, and whenever a signal that it reads changes. Compiled once, whatever it runs.
pub fn effect(run: impl FnMut() + 'static) {
    fn boxed(mut run: Box<dyn FnMut()>) {
        Effect::new(move |_| run());
    }
    boxed(Box::new(run));
}

/// A flag for a dialog about something: true once there is a subject; when it falls, the subject goes.
pub fn opened_by<T: Send + Sync + 'static>(subject: RwSignal<Option<T>>) -> RwSignal<bool> {
    let open = RwSignal::new(false);
    effect(move || {
        if subject.with(Option::is_some) {
            open.set(true);
        }
    });
    when_closed(open, move || subject.set(None));
    open
}

/// Runs when a flag falls: a dialog that was open has closed.
pub fn when_closed(open: RwSignal<bool>, run: impl Fn() + 'static) {
    let mut was_open = false;
    effect(move || {
        let is_open = open.get();
        if was_open && !is_open {
            run();
        }
        was_open = is_open;
    });
}
