//! What the pipeline asks of a request's header fields, found in one look at each: a lookup in a header map hashes the name,
//! and a dozen of them cost more than everything that is decided by them.

use http::HeaderMap;
use http::header::HeaderValue;

/// The first value of each field that decides something about every call.
#[derive(Default)]
pub(super) struct Fields<'h> {
    pub(super) host: Option<&'h HeaderValue>,
    /// How many `Host` fields there are.
    pub(super) hosts: usize,
    pub(super) user_agent: Option<&'h HeaderValue>,
    pub(super) origin: Option<&'h HeaderValue>,
    pub(super) request_id: Option<&'h HeaderValue>,
    pub(super) traceparent: Option<&'h HeaderValue>,
    pub(super) content_length: Option<&'h HeaderValue>,
    pub(super) via: Option<&'h HeaderValue>,
    /// A field with which a client says something to caches: a directive, a condition, a range.
    pub(super) steers_caches: bool,
    /// A field that says who is calling: a credential, a cookie.
    pub(super) personal: bool,
}

impl<'h> Fields<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "host" => {
                    fields.hosts += 1;
                    &mut fields.host
                }
                "user-agent" => &mut fields.user_agent,
                "origin" => &mut fields.origin,
                "x-request-id" => &mut fields.request_id,
                "traceparent" => &mut fields.traceparent,
                "content-length" => &mut fields.content_length,
                "via" => &mut fields.via,
                "authorization" | "cookie" => {
                    fields.personal = true;
                    continue;
                }
                "cache-control"
                | "pragma"
                | "range"
                | "if-range"
                | "if-match"
                | "if-none-match"
                | "if-modified-since"
                | "if-unmodified-since" => {
                    fields.steers_caches = true;
                    continue;
                }
                _ => continue,
            };
            place.get_or_insert(value);
        }
        fields
    }

    /// Nothing ties the call to another one: an id or a trace that somebody else gave it.
    pub(super) fn is_of_no_other_call(&self) -> bool {
        self.request_id.is_none() && self.traceparent.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_field_is_found_and_hosts_are_counted() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a"),
            ("host", "b"),
            ("accept", "x"),
            ("user-agent", "curl"),
            ("user-agent", "other"),
            ("traceparent", "t"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let fields = Fields::of(&headers);
        assert_eq!(fields.hosts, 2);
        for (found, first) in [(fields.host, "a"), (fields.user_agent, "curl"), (fields.traceparent, "t")] {
            assert_eq!(found.unwrap(), first);
        }
        assert!(fields.origin.is_none() && !fields.steers_caches);
    }

    #[test]
    fn every_field_that_is_said_to_caches_counts() {
        for name in [
            "cache-control",
            "pragma",
            "range",
            "if-range",
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static("x"))]);
            assert!(Fields::of(&headers).steers_caches, "{name}");
        }
    }
}
