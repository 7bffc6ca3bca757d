//! Header rules of a proxy: what is only for the next hop, and what a proxy adds.

use http::HeaderMap;
use http::header::{CONNECTION, COOKIE, Entry, HeaderName, HeaderValue, TE, VIA};

/// The console's session cookie: a browser that knows a gateway and the console by one host must not hand it to upstreams.
const CONSOLE_COOKIE: &str = "__Host-sluice=";

/// Removes the fields that are for one hop only (RFC 9110 §7.6.1), of a request; and what others said of the hops before
/// when they are not trusted.
pub(super) fn strip_request(headers: &mut HeaderMap, trusted: bool) {
    let trailers = headers.iter().any(|(name, value)| *name == TE && lists_trailers(value));
    remove(headers, |name| {
        is_for_one_hop(name)
            // The gateway answers the expectation itself, when it begins to read the body (RFC 9110 §10.1.1).
            || matches!(name, "expect" | "http2-settings")
            // Said anew for each hop.
            || matches!(name, "x-request-id" | "traceparent")
            || (!trusted
                && matches!(
                    name,
                    "forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host"
                ))
    });
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn lists_trailers(value: &HeaderValue) -> bool {
    value.as_bytes().split(|&byte| byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Removes the fields that are for one hop only, of a response.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    remove(headers, |name| is_for_one_hop(name) || name == "proxy-authenticate");
}

fn is_for_one_hop(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade")
}

/// Removes the fields of these names, and those that `Connection` names. One look at each field that is there: asking
/// for each that might be there would cost several times as much.
fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    while let Some(name) = headers.keys().find(|name| unwanted(name.as_str())).cloned() {
        if name == CONNECTION {
            let names_fields = |list: &&HeaderValue| !matches!(list.as_bytes(), b"close" | b"keep-alive");
            let lists: Vec<HeaderValue> =
                headers.get_all(CONNECTION).iter().filter(names_fields).cloned().collect();
            lists.iter().for_each(|list| remove_named(headers, list));
        }
        headers.remove(name);
    }
}

/// Fields that `Connection` names; those without which the message would mean something else stay.
fn remove_named(headers: &mut HeaderMap, named: &HeaderValue) {
    for name in named.to_str().unwrap_or_default().split(',').map(str::trim) {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        let essential = [http::header::HOST, http::header::CONTENT_LENGTH, http::header::CONTENT_TYPE, TE];
        let credential = name == http::header::AUTHORIZATION || name.as_str().starts_with("x-forwarded-");
        if !essential.contains(&name) && !credential {
            headers.remove(name);
        }
    }
}

/// Adds this hop (RFC 9110 §7.6.3).
pub(crate) fn add_via(headers: &mut HeaderMap, version: http::Version) {
    let own = own_via(version);
    match headers.entry(VIA) {
        Entry::Vacant(none) => {
            none.insert(HeaderValue::from_static(own));
        }
        Entry::Occupied(mut some) => {
            let mut joined =
                some.iter().fold(Vec::new(), |before, one| [&before[..], one.as_bytes(), b", "].concat());
            joined.extend_from_slice(own.as_bytes());
            some.insert(HeaderValue::from_bytes(&joined).unwrap_or(HeaderValue::from_static(own)));
        }
    }
}

/// This hop, for a message that came in this version.
pub(super) fn own_via(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "1.0 sluice",
        http::Version::HTTP_2 => "2 sluice",
        _ => "1.1 sluice",
    }
}

/// Takes the console's cookie out.
pub(super) fn strip_console_cookie(headers: &mut HeaderMap) {
    let ours = |pair: &str| pair.trim_start().starts_with(CONSOLE_COOKIE);
    let has = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.split(';').any(ours));
    if !headers.iter().any(|(name, value)| *name == COOKIE && has(value)) {
        return;
    }
    let kept: Vec<String> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter(|pair| !ours(pair))
        .map(|pair| pair.trim().to_owned())
        .collect();
    headers.remove(COOKIE);
    if let Ok(value) = HeaderValue::from_str(&kept.join("; "))
        && !value.is_empty()
    {
        headers.insert(COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn fields_for_one_hop_end_here() {
        let mut headers = map(&[
            ("connection", "close, X-Own, Authorization"),
            ("connection", "x-second, host"),
            ("x-own", "1"),
            ("x-second", "1"),
            ("authorization", "Bearer x"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers, deflate"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("x-kept", "1"),
        ]);
        strip_request(&mut headers, true);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "te", "x-kept"]);
        assert_eq!(headers["te"], "trailers");
    }

    #[test]
    fn fields_for_one_hop_of_a_response_end_here_named_or_not() {
        let mut headers = map(&[
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ]);
        strip_response(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }

    #[test]
    fn what_strangers_say_of_the_hops_before_is_not_passed_on() {
        let said = [
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
        ];
        let (mut believed, mut not_believed) = (map(&said), map(&said));
        strip_request(&mut believed, true);
        strip_request(&mut not_believed, false);
        assert_eq!((believed.len(), not_believed.len()), (3, 0));
    }

    #[test]
    fn the_console_s_cookie_stays_here() {
        let mut headers = map(&[("cookie", "a=1; __Host-sluice=secret; b=2"), ("cookie", "__Host-sluice=x")]);
        strip_console_cookie(&mut headers);
        assert_eq!(headers["cookie"], "a=1; b=2");
        let mut only = map(&[("cookie", "__Host-sluice=secret")]);
        strip_console_cookie(&mut only);
        assert!(only.is_empty());
    }

    #[test]
    fn a_hop_is_added_to_those_before() {
        let mut headers = map(&[("via", "1.0 far"), ("via", "1.1 edge")]);
        add_via(&mut headers, http::Version::HTTP_11);
        assert_eq!(headers.get_all("via").iter().collect::<Vec<_>>(), ["1.0 far, 1.1 edge, 1.1 sluice"]);
    }
}
