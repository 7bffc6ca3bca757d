//! Responses to changes that are what their URL stands for from now on: they may take the place of what is stored.

use http::header::{CONTENT_LOCATION, ETAG, EXPIRES, LOCATION};
use http::{Method, StatusCode, response};
use sluice_policies::cache::{CacheRule, WriteThrough};

use super::directives::Directives;
use super::fetch::{Timing, said};
use super::invalidate::{self, same_host};
use super::judge::Asked;
use super::status::Forward;
use crate::pipeline::{Answer, Authorised, Call, Fetched};

/// Whether a response to this method could be one.
pub(super) fn may(method: &Method, rule: &CacheRule) -> bool {
    let by_policy = rule.write_through != WriteThrough::Explicit;
    *method == Method::POST || (by_policy && (*method == Method::PUT || *method == Method::PATCH))
}

/// Whether it is one.
pub(super) fn does(
    call: &Call,
    authorised: &Authorised,
    rule: &CacheRule,
    head: &response::Parts,
    body: &Fetched,
) -> bool {
    let named = head.headers.get(CONTENT_LOCATION);
    let names_own = || {
        named.and_then(|value| invalidate::named(authorised, value)).is_some_and(|uri| {
            let same_query = uri.query().unwrap_or_default() == call.query().unwrap_or_default();
            same_query
                && same_host(call, authorised, &uri).iter().any(|path| **path == *authorised.matched.path)
        })
    };
    let created = head.status == StatusCode::CREATED;
    let full = head.status == StatusCode::OK || created;
    match rule.write_through {
        // RFC 9110 §9.3.3.
        WriteThrough::Explicit => head.status == StatusCode::OK && is_explicit(head) && names_own(),
        WriteThrough::Named => full && names_own(),
        // What POST creates is elsewhere, and nothing at all is hardly what is there now.
        WriteThrough::Always => {
            full && !(created && call.method == Method::POST)
                && body.announced() != Some(0)
                && (named.is_none() || names_own())
        }
    }
}

/// Whether it says how long it is fresh.
fn is_explicit(head: &response::Parts) -> bool {
    let directives = Directives::of_response(&head.headers);
    let expires = head.headers.contains_key(EXPIRES) && !directives.targeted;
    directives.s_maxage.or(directives.max_age).is_some() || expires
}

impl Asked<'_> {
    /// Stores it as the response to a GET, if that may be, and answers with it.
    pub(super) fn store_representation(
        &self,
        method: &Method,
        mut head: response::Parts,
        body: Fetched,
        timing: Timing,
    ) -> Answer {
        let answered = head.status;
        let (had_tag, location) = (head.headers.contains_key(ETAG), head.headers.get(LOCATION).cloned());
        let method = match self.rule.write_through {
            WriteThrough::Explicit => method,
            WriteThrough::Named | WriteThrough::Always => &Method::GET,
        };
        if answered == StatusCode::CREATED {
            head.status = StatusCode::OK;
            head.headers.remove(LOCATION);
        }
        let (mut answer, kept) = match self.plan(method, &head, &body) {
            Ok(plan) => self.store(head, body, plan, timing, None),
            Err(why_not) => self.pass(head, body, why_not, None),
        };
        answer.head.status = answered;
        if let Some(location) = location {
            answer.head.headers.insert(LOCATION, location);
        }
        // To a change, a tag would say that what was sent is there unchanged (RFC 9110 §9.3.4).
        if !had_tag {
            answer.head.headers.remove(ETAG);
        }
        said(answer, Forward::Method, kept)
    }
}
