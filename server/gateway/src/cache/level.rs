//! Between the levels: what another gateway has stored is taken over, what this one fetches is handed on.

use std::sync::Arc;

use http::HeaderMap;
use sluice_contract::calls::{SecondLevelAnswer, SecondLevelAsked};
use sluice_contract::ids::IncarnationId;

use super::conditional::Conditions;
use super::flight::{Flight, Stage};
use super::judge::Asked;
use super::key::{self, Key, ShortDigest};
use super::labels::Labels;
use super::made_tag::Making;
use super::purges::{ApiPurges, Stamp, Verdict};
use super::second::{Location, Response, SecondLevel, Sharing, count};
use super::stored::{Hits, Stored, Written};
use crate::compile::Api;
use crate::pipeline::{Answer, Call};
use crate::shared::Shared as Gateway;
use crate::state::Snapshot;

/// What another gateway has stored.
pub(super) enum Shared {
    /// The answer that it gives.
    Usable(Box<Answer>),
    /// To be validated.
    Stale(Arc<Stored>),
}

impl Asked<'_> {
    /// Asks the second level, on behalf of all who wait for the same where there are some. What it has is stored here too.
    pub(super) async fn second_level(&self, call: &mut Call, flight: Option<&Flight>) -> Option<Shared> {
        self.cache().second_level()?;
        let taken = Box::pin(self.take_over()).await;
        call.mark("second level");
        let (stored, asked) = taken?;
        call.second_level = Some(asked);
        let (stored, now) = (stored?, call.moment());
        if !self.is_usable(&stored, now) {
            return Some(Shared::Stale(stored));
        }
        if let Some(flight) = flight {
            flight.is_now(Stage::Stored(Arc::clone(&stored)));
        }
        call.cache = self.outcome(&stored, now);
        Some(Shared::Usable(Box::new(self.answer_from(&stored, now, true, HeaderMap::new()))))
    }

    /// The answer of the second level to a request for which nothing whole is fetched: for a part, or for what is stored
    /// already and nothing else.
    pub(super) async fn shared_alone(&mut self, call: &mut Call, headers: &HeaderMap) -> Option<Answer> {
        self.cache().second_level()?;
        self.headers.clone_from(headers);
        self.conditions = Conditions::take(&mut self.headers);
        match self.second_level(call, None).await {
            Some(Shared::Usable(answer)) => Some(*answer),
            Some(Shared::Stale(_)) | None => None,
        }
    }

    /// None: it was not asked.
    async fn take_over(&self) -> Option<(Option<Arc<Stored>>, SecondLevelAsked)> {
        let second = self.cache().second_level()?;
        let Sharing { location, incarnation, purges } = self.context()?;
        let keys = [self.keys.own(), self.keys.shared()];
        let keys = &keys[usize::from(self.keys.caller().is_none())..];
        let asking = second.ask(location, keys.iter().map(|key| key.bytes), &self.headers);
        let (answer, took) = asking.await?;
        let has_failed = answer.is_err();
        let found = answer.ok().flatten().and_then(|(index, response)| {
            self.adopt(second, (incarnation, &purges), keys.get(index)?, *response)
        });
        let answer = match &found {
            Some(_) => SecondLevelAnswer::Found,
            None if has_failed => SecondLevelAnswer::Failed,
            None => SecondLevelAnswer::Nothing,
        };
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Some((found, SecondLevelAsked { answer, took_us }))
    }

    /// Stores what the second level had, if it is for the caller and nothing has made it unusable.
    fn adopt(
        &self,
        second: &SecondLevel,
        (incarnation, purges): (IncarnationId, &ApiPurges),
        key: &Key<'_>,
        response: Response,
    ) -> Option<Arc<Stored>> {
        if !self.is_for_caller(&response.storable) {
            return None;
        }
        let place = Place { path: &self.authorised.matched.path, url: self.url(), key: key.bytes };
        let shared = &self.worker.shared;
        let Some(mut stored) = adopt(shared, second, (incarnation, purges), &place, response) else {
            count(&second.stats().outdated);
            return None;
        };
        let makes_tag = self.rule.make_etags && !self.by_body;
        let making = makes_tag.then(|| Making::begin(stored.status, &stored.headers)).flatten();
        stored.made_tag = making.map(|making| making.of(&stored.body));
        let stored = Arc::new(stored);
        self.cache().put(key.hash, Arc::clone(&stored), self.account());
        Some(stored)
    }

    /// Hands a response on to other gateways.
    pub(super) fn share(&self, stored: &Arc<Stored>) {
        if let (Some(second), Some(context)) = (self.cache().second_level(), self.context()) {
            second.write(context, stored, self.now());
        }
    }

    pub(super) fn context(&self) -> Option<Sharing> {
        let matched = &self.authorised.matched;
        sharing(&self.worker.shared, self.snapshot, &matched.api, (&matched.path, self.keys.query()))
    }
}

/// Of a URL of an API, by its path as clients ask for it and the query that belongs to the key. None: there is no second level, or it
/// is not known yet which environment and journal this gateway serves.
pub(super) fn sharing(
    shared: &Gateway,
    snapshot: &Snapshot,
    api: &Api,
    (path, query): (&str, &[u8]),
) -> Option<Sharing> {
    shared.cache.second_level()?;
    Some(Sharing {
        location: Location::new(shared.environment()?, api.id, path, query),
        incarnation: snapshot.incarnation?,
        purges: Arc::clone(&api.purges),
    })
}

/// Hands on again what is stored here of a URL that this gateway has changed itself: others refuse now what was handed on before the
/// change had its place in the journal.
pub(crate) fn share_again(shared: &Gateway, api: &Api, path: &str) {
    let snapshot = shared.peek();
    let Some(second) = shared.cache.second_level().filter(|second| !second.is_own()) else { return };
    for (path, query) in key::purged_urls(Some(api), path) {
        let Some(context) = sharing(shared, &snapshot, api, (&path, query.as_bytes())) else { return };
        let url = key::url(&path, &query);
        for variants in shared.cache.of_url(api.id, &path, url) {
            for kept in variants.kept.iter().filter(|kept| kept.stored.labels.url == url) {
                second.write(context.clone(), &kept.stored, shared.clock.now());
            }
        }
    }
}

/// What a response of the second level is found by.
pub(super) struct Place<'a> {
    /// As the client asks for it below the API's base.
    pub(super) path: &'a str,
    pub(super) url: u64,
    pub(super) key: &'a [u8],
}

/// A response of the second level as it would be stored here. None: it is of another journal, or may be older than a purge that covers
/// it.
pub(super) fn adopt(
    shared: &Gateway,
    second: &SecondLevel,
    (incarnation, purges): (IncarnationId, &ApiPurges),
    place: &Place<'_>,
    response: Response,
) -> Option<Stored> {
    let Response { status, headers, body, selecting, storable, tags, origin } = response;
    let now = shared.clock.now();
    let (stamp, own) = second.stamp(&origin, now);
    let labels = Labels { path: place.path.into(), url: place.url, tags: tags.into(), names: None };
    let verdict = match own {
        true => purges.verdict(&labels.as_ref(), stamp),
        false => purges.verdict_on_foreign(&labels.as_ref(), stamp),
    };
    let known = shared.compiler.purges.know_since(origin.position);
    if verdict == Verdict::Gone || !known || origin.incarnation != incarnation {
        return None;
    }
    Some(Stored {
        made_tag: None,
        key: place.key.into(),
        digest: ShortDigest::of(place.key),
        labels,
        status,
        headers,
        body,
        selecting,
        // It has passed every purge that is known now; those to come are newer than this moment.
        stamp: Stamp { position: origin.position, at: now },
        arrived: now,
        initial_age: origin.age(),
        storable,
        hits: Hits::default(),
        written: Written::default(),
    })
}
