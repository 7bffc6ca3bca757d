//! Errors of the gateway: who is at fault, a stable code, whether to try again; and the one place where they become
//! responses.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use sluice_contract::problem::{ErrorSource, PROBLEM_JSON, Problem};

use super::request_id::RequestId;
use crate::body::Body;

/// Why a call ends with an answer of the gateway's own.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// What went wrong this time.
    detail: Cow<'static, str>,
    /// Fields of the answer, beside those that every answer has.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the connection cannot be used any more.
    close: bool,
}

/// The outcome of a stage.
pub type Outcome<T> = Result<T, Box<Failure>>;

macro_rules! kinds {
    ($($name:ident: $status:ident, $code:literal, $source:ident, $retry:literal, $title:literal;)+) => {
        /// What kinds of errors there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind { $($name),+ }

        impl Kind {
            /// Every kind, for the reference and for tests.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            /// Stable, for programs.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            pub fn source(self) -> ErrorSource {
                match self { $(Self::$name => ErrorSource::$source),+ }
            }

            /// Whether the same request may succeed when it is sent again.
            pub fn retry(self) -> bool {
                match self { $(Self::$name => $retry),+ }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }
        }
    };
}

kinds! {
    NotReady: SERVICE_UNAVAILABLE, "not_ready", Gateway, true, "The gateway has no current configuration";
    Framing: BAD_REQUEST, "ambiguous_request", Client, false, "The end of the request cannot be told for sure";
    BadRequest: BAD_REQUEST, "bad_request", Client, false, "The request is malformed";
    HeadTooLarge: REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", Client, false, "The request's headers are too large";
    TargetTooLong: URI_TOO_LONG, "target_too_long", Client, false, "The request's target is too long";
    BodyTooLarge: PAYLOAD_TOO_LARGE, "body_too_large", Client, false, "The request's body is too large";
    BodyTimeout: REQUEST_TIMEOUT, "body_timeout", Client, true, "The request's body did not arrive in time";
    Loop: LOOP_DETECTED, "loop_detected", Gateway, false, "The call has passed through too many gateways";
    NoApi: NOT_FOUND, "unknown_api", Client, false, "There is no API here";
    NoRoute: NOT_FOUND, "unknown_route", Client, false, "The API has no such route";
    Method: METHOD_NOT_ALLOWED, "method_not_allowed", Client, false, "The route does not allow this method";
    PlainKey: FORBIDDEN, "key_over_http", Client, false, "Keys are not taken over plain HTTP";
    MissingKey: UNAUTHORIZED, "missing_key", Client, false, "The API needs a key";
    UnknownKey: UNAUTHORIZED, "unknown_key", Client, false, "The key is not valid";
    ExpiredKey: UNAUTHORIZED, "expired_key", Client, false, "The key has expired";
    NotSubscribed: FORBIDDEN, "not_subscribed", Client, false, "The application has no subscription to this API";
    Suspended: FORBIDDEN, "subscription_suspended", Client, false, "The subscription is suspended";
    RateLimited: TOO_MANY_REQUESTS, "rate_limited", Client, true, "Too many requests";
    OnlyIfCached: GATEWAY_TIMEOUT, "not_cached", Client, true, "There is no stored response";
    NoTarget: SERVICE_UNAVAILABLE, "no_upstream", Gateway, true, "The route has no upstream that takes calls";
    Resting: SERVICE_UNAVAILABLE, "upstream_resting", Upstream, true, "The upstream has failed and is left alone for a while";
    Unresolvable: BAD_GATEWAY, "upstream_unresolvable", Upstream, true, "The upstream's name does not resolve";
    Forbidden: BAD_GATEWAY, "upstream_forbidden", Gateway, false, "The upstream's address is not allowed";
    Refused: BAD_GATEWAY, "upstream_refused", Upstream, true, "The upstream does not accept connections";
    Tls: BAD_GATEWAY, "upstream_tls", Upstream, true, "No secure connection to the upstream could be made";
    ConnectTimeout: GATEWAY_TIMEOUT, "upstream_connect_timeout", Upstream, true, "The upstream did not accept a connection in time";
    Timeout: GATEWAY_TIMEOUT, "upstream_timeout", Upstream, true, "The upstream did not answer in time";
    Closed: BAD_GATEWAY, "upstream_closed", Upstream, true, "The upstream closed the connection before it answered";
    BadResponse: BAD_GATEWAY, "upstream_bad_response", Upstream, true, "The upstream's answer is malformed";
}

impl Kind {
    /// Whether the upstream could not be reached or did not answer, so that a stored answer may stand in.
    pub(crate) fn is_upstream_down(self) -> bool {
        self.source() == ErrorSource::Upstream
    }

    /// A failure of this kind.
    pub fn because(self, detail: impl Into<Cow<'static, str>>) -> Box<Failure> {
        Box::new(Failure { kind: self, detail: detail.into(), headers: Vec::new(), close: false })
    }
}

impl Failure {
    /// Adds a field to the answer.
    pub fn with(mut self: Box<Self>, name: HeaderName, value: HeaderValue) -> Box<Self> {
        self.headers.push((name, value));
        self
    }

    /// Ends the connection after the answer.
    pub fn closing(mut self: Box<Self>) -> Box<Self> {
        self.close = true;
        self
    }

    /// Says when to come again.
    pub fn retry_after(self: Box<Self>, seconds: u64) -> Box<Self> {
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Says which methods there are (RFC 9110 §10.2.1).
    pub fn allow(self: Box<Self>, methods: &[http::Method]) -> Box<Self> {
        let list = methods.iter().map(http::Method::as_str).collect::<Vec<_>>().join(", ");
        match HeaderValue::from_str(&list) {
            Ok(value) => self.with(ALLOW, value),
            Err(_) => self,
        }
    }

    /// The answer.
    pub(crate) fn into_response(self, request_id: &RequestId) -> Response<Body> {
        let Self { kind, detail, headers, close } = self;
        let mut problem = Problem::new(kind.status().as_u16(), kind.code(), kind.title()).detail(detail);
        problem.request_id = Some(request_id.text(&mut RequestId::buffer()).to_owned());
        problem.source = Some(kind.source());
        problem.retry = kind.retry();
        let bytes = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::full(Bytes::from(bytes)));
        *response.status_mut() = kind.status();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        fields.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.extend(headers);
        if close {
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
