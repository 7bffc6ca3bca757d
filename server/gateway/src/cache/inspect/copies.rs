//! What the second level has of what is told: looked at as a call would ask for it, but nothing is taken over and nothing counted.

use http::{HeaderMap, HeaderValue};
use sluice_contract::rest::cache::{CacheState, CopyState, SecondLevelCopy};

use super::{Standing, left};
use crate::cache::level::{Place, adopt, sharing};
use crate::cache::second::{Response, SecondLevel, Seen, Sharing, What};
use crate::cache::stored::Stored;
use crate::cache::vary::Selecting;
use crate::compile::Api;
use crate::shared::Shared;
use crate::state::Snapshot;

/// A key of a URL, and what a request says by which its copies differ.
pub(in crate::cache) struct Sought {
    sharing: Sharing,
    path: Box<str>,
    url: u64,
    key: Box<[u8]>,
    headers: HeaderMap,
}

impl Sought {
    /// The URL by its path as clients ask for it, the query that belongs to the key, and what purges call it. None: there is no second
    /// level that could be asked.
    pub(in crate::cache) fn new(
        (shared, snapshot, api): (&Shared, &Snapshot, &Api),
        (path, query, url): (&str, &[u8], u64),
        key: &[u8],
        headers: HeaderMap,
    ) -> Option<Self> {
        let sharing = sharing(shared, snapshot, api, (path, query))?;
        Some(Self { sharing, path: path.into(), url, key: key.into(), headers })
    }

    /// What has the key of a stored response, and answers the same requests.
    pub(super) fn same(
        of: (&Shared, &Snapshot, &Api),
        query: &[u8],
        Stored { key, labels, selecting, .. }: &Stored,
    ) -> Option<Self> {
        Self::new(of, (&labels.path, query, labels.url), key, said(selecting))
    }

    async fn look(self, shared: &Shared, second: &SecondLevel) -> Option<SecondLevelCopy> {
        let Self { sharing: Sharing { location, incarnation, purges }, path, url, key, headers } = self;
        let Seen { what, bytes, varies_by } = second.look(location, &key, headers).await?;
        let told = match what {
            What::Nothing => copy(CopyState::Absent),
            What::Damaged => copy(CopyState::Damaged),
            What::Outdated(response) => outdated(&response),
            What::Good(response) => {
                let refused = outdated(&response);
                let place = Place { path: &path, url, key: &key };
                let stored = adopt(shared, second, (incarnation, &purges), &place, *response);
                let standing = |stored: &Stored| Standing::of(stored, &purges, shared.clock.now());
                stored.map_or(refused, |stored| of_use(&stored, standing(&stored)))
            }
        };
        let varies_by = varies_by.iter().map(|name| name.as_str().to_owned()).collect();
        let bytes = (told.state != CopyState::Absent).then_some(bytes as u64);
        Some(SecondLevelCopy { bytes, varies_by, ..told })
    }
}

/// Looks for them one after the other; when one is not answered the others are not asked for: each could take the second level's
/// whole budget.
pub(in crate::cache) async fn copies(
    shared: &Shared,
    wanted: Vec<Option<Sought>>,
) -> Vec<Option<SecondLevelCopy>> {
    let mut found = Vec::with_capacity(wanted.len());
    let mut answers = true;
    for wanted in wanted {
        let (Some(wanted), Some(second)) = (wanted, shared.cache.second_level()) else {
            found.push(None);
            continue;
        };
        let seen = if answers { wanted.look(shared, second).await } else { None };
        answers = seen.is_some();
        found.push(Some(seen.unwrap_or_else(|| copy(CopyState::NoAnswer))));
    }
    found
}

/// Of which nothing is known but this.
fn copy(state: CopyState) -> SecondLevelCopy {
    SecondLevelCopy {
        state,
        age_s: None,
        fresh_for_s: None,
        bytes: None,
        body_bytes: None,
        varies_by: Vec::new(),
    }
}

fn outdated(response: &Response) -> SecondLevelCopy {
    SecondLevelCopy {
        age_s: Some(response.origin.age().as_secs()),
        body_bytes: Some(response.body.len() as u64),
        ..copy(CopyState::Outdated)
    }
}

fn of_use(stored: &Stored, Standing { state, age, lifetime }: Standing) -> SecondLevelCopy {
    let state = match state {
        CacheState::Fresh => CopyState::Fresh,
        CacheState::Stale => CopyState::Stale,
        CacheState::SoftlyPurged => CopyState::SoftlyPurged,
        CacheState::Purged => CopyState::Outdated,
    };
    SecondLevelCopy {
        age_s: Some(age.as_secs()),
        fresh_for_s: Some(left(lifetime, age)),
        body_bytes: Some(stored.body.len() as u64),
        ..copy(state)
    }
}

/// A request's fields that select the same again.
fn said(selecting: &Selecting) -> HeaderMap {
    let fields = selecting
        .fields()
        .filter_map(|(name, value)| Some((name.clone(), HeaderValue::from_bytes(value?).ok()?)));
    fields.collect()
}
