//! Sitemaps as a source of URLs (sitemaps.org, protocol 0.9): fetched behind the connection guard like any document from an
//! address that a user gives, with an index followed one step, within bounds of bytes, documents, locations and time.

mod document;
mod places;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use sluice_contract::rest::warmings::MOST_URLS;
use sluice_store::warmings::{PATH_MAX, Urls};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::fetch::{FetchError, fetch};
use crate::outbound::OutboundGuard;
use document::{Document, Malformed};
pub(super) use places::{Places, below};

/// Bytes of a sitemap as it is sent, which may be with gzip.
const MOST_BYTES: usize = 16 << 20;
/// Sitemaps of one index that are read.
const MOST_DOCUMENTS: usize = 50;
/// Time for all sitemaps of a source together.
const WHOLE: Duration = Duration::from_secs(60);
/// A document is held while it comes and while it is read: so many at a time, the others wait.
static FETCHED_AT_ONCE: Semaphore = Semaphore::const_new(8);
static READ_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Why the locations of a sitemap cannot be had.
#[derive(Debug, Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("it is no sitemap: {0}")]
    Malformed(#[from] Malformed),
    #[error("it took too long")]
    TooLate,
}

/// Adds the paths below the API's base that a sitemap, or the sitemaps of an index, tell.
///
/// # Errors
/// When the first document cannot be had; of the sitemaps of an index one that cannot is only counted.
pub(super) async fn read(
    guard: &OutboundGuard,
    places: &Places,
    url: &str,
    urls: &mut Urls,
) -> Result<(), Unread> {
    let until = Instant::now() + WHOLE;
    let first = load(guard, url, until).await?;
    let mut walk = Walk { places: places.with_sitemap(&first.at), urls };
    if !first.document.is_index {
        walk.take(first.document);
        return Ok(());
    }
    let mut seen = HashSet::new();
    let mut left: VecDeque<String> =
        first.document.locations.into_iter().filter(|url| seen.insert(url.clone())).collect();
    let many = left.len().saturating_sub(MOST_DOCUMENTS);
    walk.urls.leave_out("sitemap_over_limit", many as u64 + first.document.more);
    left.truncate(MOST_DOCUMENTS);
    for url in left {
        match load(guard, &url, until).await {
            // Nested indexes are against the protocol, and a way to send us anywhere for ever.
            Ok(found) if found.document.is_index => walk.urls.leave_out("sitemap_is_index", 1),
            Ok(found) => walk.take(found.document),
            Err(error) => {
                tracing::debug!(%error, %url, "a sitemap of an index is left out");
                walk.urls.leave_out("sitemap_unread", 1);
            }
        }
    }
    Ok(())
}

/// A document and where it came from in the end.
struct Loaded {
    document: Document,
    at: url::Url,
}

async fn load(guard: &OutboundGuard, url: &str, until: Instant) -> Result<Loaded, Unread> {
    let loading = async {
        let _fetching = FETCHED_AT_ONCE.acquire().await;
        let (bytes, at) = fetch(guard, url, MOST_BYTES).await?;
        let _reading = READ_AT_ONCE.acquire().await;
        // Megabytes of XML keep a thread busy.
        let read = tokio::task::spawn_blocking(move || document::read(&bytes)).await;
        Ok(Loaded { document: read.map_err(|_| Malformed::Broken)??, at })
    };
    tokio::time::timeout_at(until, loading).await.map_err(|_| Unread::TooLate)?
}

struct Walk<'w> {
    places: Places,
    urls: &'w mut Urls,
}

impl Walk<'_> {
    fn take(&mut self, document: Document) {
        self.urls.leave_out("over_limit", document.more);
        for location in document.locations {
            match self.places.path_of(&location) {
                Err(reason) => self.urls.leave_out(reason, 1),
                Ok(path) if path.len() > PATH_MAX => self.urls.leave_out("too_long", 1),
                Ok(_) if self.urls.paths.len() >= MOST_URLS => self.urls.leave_out("over_limit", 1),
                Ok(path) => self.urls.paths.push(path),
            }
        }
    }
}
