//! What is stored, brought up to date by what the upstream says of it: in a 304, or in its answer to HEAD.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::DATE;
use http::{HeaderMap, StatusCode, response};
use sluice_contract::calls::CacheOutcome;

use super::Timing;
use crate::body::Origin;
use crate::cache::conditional;
use crate::cache::flight::{Flight, Stage};
use crate::cache::freshness;
use crate::cache::judge::Asked;
use crate::cache::labels::{self, Tags};
use crate::cache::rules::{Audience, Storable};
use crate::cache::status::{Did, Forward, Kept, say};
use crate::cache::stored::{Stored, Written, updated_headers};
use crate::cache::vary::Selecting;
use crate::pipeline::{Answer, Call};

impl Asked<'_> {
    /// The upstream has confirmed what is stored: its fields are brought up to date (RFC 9111 §4.3.4).
    pub(super) fn validated(
        &self,
        call: &mut Call,
        stored: &Stored,
        (head, why): (&response::Parts, Forward),
        timing: Timing,
        flight: Option<Flight>,
    ) -> Answer {
        call.cache = CacheOutcome::Revalidated;
        let headers = if conditional::is_about(&head.headers, &stored.headers) {
            updated_headers(&stored.headers, &head.headers, self.rule)
        } else {
            // The stored tag was confirmed, and the fields are those of another version.
            let only_date = head.headers.get(DATE).map(|date| (DATE, date.clone())).into_iter().collect();
            updated_headers(&stored.headers, &only_date, self.rule)
        };
        let plan = self.storable(&self.method(), stored.status, &headers);
        let may_store = plan.is_ok();
        let plan = plan.unwrap_or(Storable { lifetime: Duration::ZERO, no_cache: true, ..stored.storable });
        let tags = labels::tags(&head.headers);
        let fresh = Arc::new(self.renewed(stored, headers, tags, plan, timing));
        let stage = if may_store { Stage::Stored(Arc::clone(&fresh)) } else { Stage::Uncacheable };
        if may_store {
            self.put(stored, &fresh);
        }
        if let Some(flight) = flight {
            flight.is_now(stage);
        }
        let mut head = self.head(&fresh, self.now());
        let status = Some(StatusCode::NOT_MODIFIED.as_u16());
        let kept = if may_store { Kept::Yes(fresh.digest) } else { Kept::No };
        say(&mut head.headers, Did::Forwarded { why, status, kept });
        self.conditioned(Answer::new(head, Origin::of(fresh.body.clone())))
    }

    /// The upstream has described what is stored in its answer to HEAD: the same response is brought up to date, another
    /// has made it stale (RFC 9111 §4.3.5).
    pub(super) fn described(&self, stored: &Stored, head: &response::Parts, timing: Timing) {
        let stale =
            Storable { lifetime: Duration::ZERO, while_revalidate: Duration::ZERO, ..stored.storable };
        let renewed = if conditional::describes(&head.headers, &stored.headers, stored.body.len()) {
            let headers = updated_headers(&stored.headers, &head.headers, self.rule);
            let Ok(plan) = self.storable(&self.method(), stored.status, &headers) else { return };
            self.renewed(stored, headers, labels::tags(&head.headers), plan, timing)
        } else {
            self.renewed(stored, stored.headers.clone(), None, stale, timing)
        };
        self.put(stored, &Arc::new(renewed));
    }

    /// A stored response with other fields, and other tags where it has been given some.
    fn renewed(
        &self,
        stored: &Stored,
        headers: HeaderMap,
        tags: Option<Tags>,
        plan: Storable,
        timing: Timing,
    ) -> Stored {
        // Under the key that it has.
        let own = *stored.key != *self.keys.shared().bytes;
        let audience = if own { Audience::Caller } else { plan.audience };
        Stored {
            key: stored.key.clone(),
            digest: stored.digest,
            labels: tags.map_or_else(|| stored.labels.clone(), |tags| self.labels_of(tags, audience)),
            status: stored.status,
            initial_age: freshness::initial_age(&headers, self.rule, SystemTime::now(), timing.took),
            // The upstream may have come to name other fields.
            selecting: Selecting::new(&headers, &self.rule.vary_headers, &self.headers),
            headers,
            body: stored.body.clone(),
            stamp: timing.stamp,
            arrived: self.now(),
            storable: plan,
            made_tag: stored.made_tag,
            hits: stored.hits.carried_over(),
            written: Written::default(),
        }
    }

    fn put(&self, old: &Stored, new: &Arc<Stored>) {
        let shared = self.keys.shared();
        let key = if *new.key == *shared.bytes { shared } else { self.keys.own() };
        self.cache().put_instead(key.hash, Some(old), Arc::clone(new), self.account());
        self.share(new);
    }
}
