//! The stage of the pipeline: a call on a route with the cache policy is answered from the store or the upstream.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{AGE, CONTENT_ENCODING, CONTENT_TYPE, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, Method, StatusCode};
use sha2::{Digest as _, Sha256};
use sluice_contract::calls::CacheOutcome;
use sluice_policies::cache::CacheRule;

use super::again::Question;
use super::conditional::{self, Conditions};
use super::flight::{Boarding, Flights};
use super::invalidate;
use super::judge::{Asked, Found};
use super::key::{Digest, ShortDigest};
use super::labels;
use super::level::Shared;
use super::made_tag;
use super::purges::{Stamp, Verdict};
use super::represent;
use super::rules::Audience;
use super::status::{Did, Forward, forwarded, say, write_hit};
use super::stored::Stored;
use crate::body::{Origin, RequestBody};
use crate::http1::fields;
use crate::pipeline::{
    Answer, Authorised, Call, Kind, Outbound, Outcome, RateFields, RequestId, fetch, forward, remember,
};
use crate::state::Snapshot;

/// Answers from the store, or from the upstream, storing what it says. What goes to the upstream is boxed, so that a hit
/// does not carry the size of a fetch.
pub(crate) async fn serve(
    call: &mut Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    rule: &CacheRule,
    mut outbound: Outbound,
) -> Outcome<Answer> {
    let body = match rule.post_max_body_bytes {
        Some(most) if !rule.strong && asks_by_body(&outbound) => {
            let body = question(&mut outbound, most).await;
            call.mark("body");
            body
        }
        _ => None,
    };
    if body.is_none() && !invalidate::is_cacheable(&outbound.head.method) {
        let answer = Box::pin(write(call, snapshot, authorised, rule, outbound)).await;
        return without_tags(rule, answer);
    }
    if rule.strong {
        return bypass(call, snapshot, authorised, rule, outbound, None).await;
    }
    let mut asked = Asked::new(call, snapshot, authorised, rule, &outbound, body);
    if asked.directives.no_store
        || (call.told.to_caches && conditional::is_for_upstream(&outbound.head.headers))
        || (body.is_none() && !outbound.body.is_empty())
    {
        return bypass(call, snapshot, authorised, rule, outbound, Some(&asked)).await;
    }
    let now = call.moment();
    let found = asked.look_up(&outbound.head.headers, now);
    call.mark("cache");
    match &found {
        Found::Fresh(stored) => {
            if call.told.to_caches {
                asked.conditions = Conditions::take(&mut outbound.head.headers);
            }
            call.cache = asked.outcome(stored, now);
            let headers = std::mem::take(&mut outbound.head.headers);
            if let Some(words) = call.words.take()
                && asked.is_everybodys()
                && asked.written(stored).is_some()
            {
                remember(call, words, snapshot, authorised, Question::of(&asked.keys, &headers));
            }
            // The request's fields are no longer needed, but their memory.
            return Ok(asked.answer_from(stored, now, false, headers));
        }
        _ => {
            if (asked.directives.only_if_cached || asked.wanted.is_some())
                && let Some(answer) = Box::pin(asked.shared_alone(call, &outbound.head.headers)).await
            {
                return Ok(answer);
            }
            if asked.directives.only_if_cached {
                call.cache = found.missed().outcome();
                return Err(Kind::OnlyIfCached.because("The request allows only a stored response."));
            }
            // A part alone is not stored, and to fetch the whole for it could cost far more than was asked for.
            if asked.wanted.is_some() && !is_of_made_version(rule, &mut outbound.head.headers) {
                return bypass(call, snapshot, authorised, rule, outbound, Some(&asked)).await;
            }
            asked.wanted = None;
            asked.conditions = Conditions::take(&mut outbound.head.headers);
            asked.headers = outbound.head.headers.clone();
        }
    }
    match found {
        Found::Stale(stored) if asked.may_refresh_behind(&stored, now) => {
            call.cache = CacheOutcome::Stale;
            let answer = asked.answer(&stored, now);
            tokio::task::spawn_local(refresh(call.behind(), authorised.clone(), outbound, body, stored));
            Ok(answer)
        }
        Found::Fresh(stored) | Found::Stale(stored) => {
            let why = asked.why_not(&stored, now);
            without_tags(rule, Box::pin(asked.fetch(call, outbound, Some(stored), why)).await)
        }
        Found::Nothing(why) => without_tags(rule, Box::pin(asked.fetch(call, outbound, None, why)).await),
    }
}

/// Whether a part is wanted of a version that only gateways know: then the whole is fetched, which tells anew what it is.
fn is_of_made_version(rule: &CacheRule, headers: &mut HeaderMap) -> bool {
    rule.make_etags && made_tag::take_out_range(headers)
}

/// Tags are between the upstream and the cache, unless the policy passes them on.
fn without_tags(rule: &CacheRule, answer: Outcome<Answer>) -> Outcome<Answer> {
    let mut answer = answer?;
    if !rule.pass_tags {
        labels::remove_tags(&mut answer.head.headers);
    }
    Ok(answer)
}

/// To the upstream, past the store.
async fn bypass(
    call: &mut Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    rule: &CacheRule,
    mut outbound: Outbound,
    asked: Option<&Asked<'_>>,
) -> Outcome<Answer> {
    call.cache = CacheOutcome::Bypass;
    if rule.make_etags {
        made_tag::take_out_range(&mut outbound.head.headers);
        made_tag::take_out_conditions(&mut outbound.head.headers);
    }
    let mut answer = Box::pin(forward(call, snapshot, authorised, outbound)).await?;
    forwarded(&mut answer.head.headers, Forward::Bypass);
    if let Some(asked) = asked {
        asked.tell_of_passing(&mut answer.head);
    }
    without_tags(rule, Ok(answer))
}

/// A method that may change things: what is stored of the same URLs is forgotten. What it returns may answer a later GET, when it
/// is what its own URL stands for from now on (RFC 9110 §9.3.3), by its own word or the policy's.
async fn write(
    call: &mut Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    rule: &CacheRule,
    outbound: Outbound,
) -> Outcome<Answer> {
    call.cache = CacheOutcome::Method;
    let mut asked = Asked::new(call, snapshot, authorised, rule, &outbound, None);
    let method = outbound.head.method.clone();
    // Where the policy says that POST asks, it changes nothing, however long its body is.
    let asks = method == Method::POST && rule.post_max_body_bytes.is_some();
    let may_store = represent::may(&method, rule)
        && !asks
        && !rule.strong
        && !asked.directives.no_store
        && !asked.distrust;
    if may_store {
        asked.headers.clone_from(&outbound.head.headers);
    }
    let stamp = asked.stamp();
    let (mut head, body) = fetch(call, snapshot, authorised, outbound).await?;
    let labels = asked.labels(&head.headers, Audience::Everyone);
    let purged = authorised.matched.api.purges.verdict(&labels.as_ref(), stamp) != Verdict::Good;
    if !asks {
        invalidate::invalidate(call, authorised, head.status, &head.headers);
    }
    let represents = may_store && !purged && represent::does(call, authorised, rule, &head, &body);
    if !represents {
        forwarded(&mut head.headers, Forward::Method);
        return Ok(Answer::new(head, body.into_origin()));
    }
    // Younger than what it has just invalidated itself.
    let timing = asked.timing(stamp).since(Stamp { at: asked.now() + 1, ..stamp });
    Ok(asked.store_representation(&method, head, body, timing))
}

/// Fetches a response anew behind an answer that was stale (RFC 5861 §3); one at a time for each key.
async fn refresh(
    mut call: Call,
    authorised: Authorised,
    outbound: Outbound,
    body: Option<Digest>,
    stored: Arc<Stored>,
) {
    let worker = Rc::clone(&call.worker);
    let snapshot = worker.snapshot();
    let Some(rule) = authorised.cache_rule() else { return };
    let asked = Asked::new(&call, &snapshot, &authorised, rule, &outbound, body);
    let asked = Asked { headers: outbound.head.headers.clone(), ..asked };
    let own = asked.keys.own();
    if let Boarding::Leader(flight) = Flights::board(asked.cache(), own.hash, own.bytes) {
        // Another's fetch may have ended between the look at the store and this one's beginning.
        if let Found::Fresh(_) = asked.look_up(&asked.headers, asked.now()) {
            return;
        }
        // Another gateway may have fetched it meanwhile.
        if let Some(Shared::Usable(_)) = asked.second_level(&mut call, Some(&flight)).await {
            return;
        }
        // Whoever asks next sees what came of it.
        let _ = asked.fetch_alone(&mut call, outbound, Some(stored), Forward::Stale, Some(flight)).await;
    }
}

/// Whether a request is a question in a body, which the policy may let be cached: conditions and ranges are about a
/// resource that can be got by its URL (RFC 9110 §13.1, §14.2).
fn asks_by_body(outbound: &Outbound) -> bool {
    let headers = &outbound.head.headers;
    outbound.head.method == Method::POST
        && ![IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE].iter().any(|name| headers.contains_key(name))
}

/// What the body says and how it says it; None when it is too long. It is still sent on whole.
async fn question(outbound: &mut Outbound, most: u64) -> Option<Digest> {
    let body = std::mem::replace(&mut outbound.body, RequestBody::Empty);
    let (body, said) = body.gather(most).await;
    outbound.body = body;
    said.map(|said| body_digest(&outbound.head.headers, said.iter().map(AsRef::as_ref)))
}

/// What tells bodies apart: what they say and how.
pub(super) fn body_digest<'b>(headers: &HeaderMap, pieces: impl Iterator<Item = &'b [u8]>) -> Digest {
    let mut hash = Sha256::new();
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        let lines = headers.get_all(&name);
        hash.update((lines.iter().count() as u64).to_le_bytes());
        for line in lines {
            hash.update((line.len() as u64).to_le_bytes());
            hash.update(line);
        }
    }
    pieces.for_each(|piece| hash.update(piece));
    hash.finalize().into()
}

impl Asked<'_> {
    /// An answer from the store: 304 when the client has it already, without a body to HEAD, a part when that is wanted.
    pub(super) fn answer(&self, stored: &Stored, now: u64) -> Answer {
        self.answer_from(stored, now, false, HeaderMap::new())
    }

    /// The same, when it may have come from the second level just now, in a map that may have been used before.
    pub(super) fn answer_from(
        &self,
        stored: &Stored,
        now: u64,
        second_level: bool,
        spare: HeaderMap,
    ) -> Answer {
        // What warms the store is nobody's call.
        if !self.worker.internal {
            stored.hits.count();
        }
        if self.plain
            && let Some(ready) = self.ready(stored, now, second_level)
        {
            return ready.in_map(spare);
        }
        let lifetime = self.lifetime(stored);
        let mut head = stored.head(now, self.rule, lifetime);
        let ttl = lifetime.as_secs() as i64 - stored.age(now).as_secs() as i64;
        say(&mut head.headers, Did::Hit { ttl, key: stored.digest, second_level });
        let mut body = stored.body.clone();
        // §13.2.2: conditions come before ranges.
        if let Some(wanted) = &self.wanted
            && !self.conditions.hold_for(head.status, &head.headers)
        {
            body = wanted.cut(&mut head, body);
        }
        self.conditioned(Answer::new(head, Origin::of(body)))
    }

    /// The answer to a plain request. None when it depends on the call which fields it gets.
    pub(super) fn ready(&self, stored: &Stored, now: u64, second_level: bool) -> Option<Ready> {
        let (written, lifetime) = self.written(stored)?;
        let age = stored.age(now).as_secs();
        let ttl = lifetime.as_secs() as i64 - age as i64;
        let written = written.clone();
        let lead = Lead { written, age, ttl, key: stored.digest, second_level, request_id: None, rate: None };
        Some(Ready { status: stored.status, lead, body: stored.body.clone() })
    }

    /// The fields that do not depend on the call, and how long what has them is fresh.
    fn written<'s>(&self, stored: &'s Stored) -> Option<(&'s Bytes, Duration)> {
        let lifetime = self.lifetime(stored);
        Some((stored.written(self.rule, lifetime)?, lifetime))
    }

    pub(super) fn conditioned(&self, mut answer: Answer) -> Answer {
        if self.conditions.hold_for(answer.head.status, &answer.head.headers) {
            conditional::not_modified(&mut answer.head);
            answer.body = Origin::Empty;
        } else if self.head_only {
            answer.body = Origin::Empty;
        }
        answer
    }
}

/// The whole of what is stored, with fields that were written before.
pub(crate) struct Ready {
    pub(crate) status: StatusCode,
    pub(crate) lead: Lead,
    pub(crate) body: Bytes,
}

impl Ready {
    /// As any other answer, in a map that may have been used before.
    fn in_map(self, mut map: HeaderMap) -> Answer {
        map.clear();
        let (mut head, ()) = http::Response::new(()).into_parts();
        (head.status, head.headers) = (self.status, map);
        Answer { head, lead: Some(self.lead), body: Origin::of(self.body) }
    }
}

/// The fields of an answer from the store, most of which were written before.
pub(crate) struct Lead {
    written: Bytes,
    /// Seconds.
    age: u64,
    ttl: i64,
    key: ShortDigest,
    second_level: bool,
    request_id: Option<RequestId>,
    rate: Option<RateFields>,
}

impl Lead {
    /// Of the call that it answers.
    pub(crate) fn answers(&mut self, request_id: RequestId, rate: Option<RateFields>) {
        self.request_id = Some(request_id);
        self.rate = rate;
    }

    /// Whether the answer came from the second level just now.
    pub(super) fn is_from_second_level(&self) -> bool {
        self.second_level
    }

    /// Writes them, a `Date` among them, as HTTP/1 does.
    pub(crate) fn write(&self, into: &mut BytesMut) {
        into.put_slice(&self.written);
        fields::write_one(&AGE, itoa::Buffer::new().format(self.age).as_bytes(), into);
        write_hit(self.ttl, &self.key, self.second_level, into);
        if let Some(request_id) = &self.request_id {
            request_id.write(into);
        }
        if let Some(rate) = &self.rate {
            rate.write(into);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn bodies_are_told_apart_by_what_they_say_and_how_however_it_is_cut() {
        let of = |types: &[&'static str], pieces: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            types.iter().for_each(|kind| _ = headers.append(CONTENT_TYPE, kind.parse().unwrap()));
            body_digest(&headers, pieces.iter().copied())
        };
        let whole = of(&["a/b"], &[b"who?"]);
        assert_eq!(of(&["a/b"], &[b"wh", b"", b"o?"]), whole);
        assert_ne!(of(&["a/b"], &[b"what?"]), whole);
        assert_ne!(of(&["a/c"], &[b"who?"]), whole);
        assert_ne!(of(&[], &[b"who?"]), whole);
        assert_ne!(of(&["a", "bc"], &[]), of(&["ab", "c"], &[]));
        let headers = |fields: &[(HeaderName, &'static str)]| -> HeaderMap {
            fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
        };
        let none = || std::iter::empty();
        let of_both = body_digest(&headers(&[(CONTENT_TYPE, "a"), (CONTENT_ENCODING, "b")]), none());
        assert_ne!(of(&["a", "b"], &[]), of_both, "a type is no encoding");
    }
}
