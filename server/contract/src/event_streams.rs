//! What is wrong with where a source of events reads its stream.

use crate::problem::FieldProblem;
use crate::rest::event_sources::{EventStream, SaveEventSource, StreamKind};

const URL_MAX: usize = 2048;
/// Longest name of a stream, group, field or user, in bytes.
const NAME_MAX: usize = 200;
/// Longest certificates, in bytes.
const CA_MAX: usize = 64 << 10;

/// Longest password, in bytes.
const PASSWORD_MAX: usize = 8 << 10;

/// By pointers that begin with `at`; nothing is wrong where there is neither a stream nor a password.
#[must_use]
pub fn problems(at: &str, of: &SaveEventSource) -> Vec<FieldProblem> {
    let mut found = of_stream(at, of.stream.as_ref());
    found.extend(of_password(of).map(|(code, message)| FieldProblem::new("/stream_password", code, message)));
    found
}

fn of_password(of: &SaveEventSource) -> Option<(&'static str, &'static str)> {
    match &of.stream_password {
        Some(password) if password.len() > PASSWORD_MAX => Some(("too_long", "At most 8 KiB.")),
        Some(_) if of.stream.is_none() => Some(("no_stream", "Only a stream has a password.")),
        _ => None,
    }
}

fn of_stream(at: &str, stream: Option<&EventStream>) -> Vec<FieldProblem> {
    let Some(EventStream { kind: StreamKind::Redis, url, user, ca, stream, group, field }) = stream else {
        return Vec::new();
    };
    let wrong =
        |name: &str, code: &str, message: &str| FieldProblem::new(format!("{at}/{name}"), code, message);
    let address = (!is_redis(url)).then(|| {
        wrong("url", "invalid_url", "redis://host:6379 or rediss://host:6379, with the number of a database behind a slash if it is not 0.")
    });
    let ca = ca.as_ref().filter(|ca| !is_pem(ca)).map(|_| {
        wrong("ca", "invalid_certificate", "Certificates as PEM: -----BEGIN CERTIFICATE----- and so on.")
    });
    let names = [
        ("stream", Some(stream)),
        ("group", group.as_ref()),
        ("field", field.as_ref()),
        ("user", user.as_ref()),
    ];
    let names = names
        .into_iter()
        .filter(|(_, text)| text.is_some_and(|text| !is_name(text)))
        .map(|(name, _)| wrong(name, "invalid_name", "1 to 200 bytes, without control characters."));
    address.into_iter().chain(ca).chain(names).collect()
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// What is in it is looked at by who connects.
fn is_pem(text: &str) -> bool {
    text.len() <= CA_MAX && text.contains("-----BEGIN CERTIFICATE-----")
}

fn is_redis(url: &str) -> bool {
    let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("rediss://"));
    let Some(rest) = rest.filter(|_| url.len() <= URL_MAX) else { return false };
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, port)) => (host, port),
        None => place.find(':').map_or((place, ""), |at| place.split_at(at)),
    };
    let port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let database = database.is_empty() || database.parse::<u16>().is_ok();
    let of_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let host =
        !host.is_empty() && host.bytes().all(|byte| of_host(byte) || (bracketed.is_some() && byte == b':'));
    host && port && database
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_redis_has_a_host_and_neither_credentials_nor_options() {
        for right in
            ["redis://a", "rediss://a.example.com:6380/2", "redis://10.0.0.1:6379/", "redis://[::1]:6379/0"]
        {
            assert!(is_redis(right), "{right}");
        }
        for wrong in [
            "",
            "redis://",
            "redis:///0",
            "http://a",
            "redis://u:p@a",
            "redis://a:0",
            "redis://a:x",
            "redis://a/x",
            "redis://a/0?protocol=resp3",
            "redis://a#insecure",
            "redis://a b",
            "unix:///tmp/x",
            "redis://a:1:2",
        ] {
            assert!(!is_redis(wrong), "{wrong}");
        }
    }
}
