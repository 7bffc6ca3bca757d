//! How data gets from the admin API into a view, and from a form to the admin API.

mod paged;
mod remote;
mod task;
mod url;

pub use paged::{Paged, paged};
pub use remote::{Remote, remote};
pub use task::Task;
pub use url::{UrlText, go, go_replacing, set_url_values, url_text};

use std::sync::atomic::{AtomicU64, Ordering};

/// An id that no other element of the page has.
pub fn unique_id(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
