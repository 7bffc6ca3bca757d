//! What is wrong with where a source of events reads its stream.

use crate::problem::FieldProblem;
use crate::rest::event_sources::{EventStream, SaveEventSource, StreamKind};

const URL_MAX: usize = 2048;
/// Longest name of a stream, group, field or user, in bytes.
const NAME_MAX: usize = 200;
/// Longest certificates, in bytes.
const CA_MAX: usize = 64 << 10;
/// Most servers of one stream.
const SERVERS_MAX: usize = 10;
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
    let Some(EventStream { kind, url, user, ca, stream, group, field, subject }) = stream else {
        return Vec::new();
    };
    let wrong =
        |name: &str, code: &str, message: &str| FieldProblem::new(format!("{at}/{name}"), code, message);
    let address = address_problem(*kind, url).map(|message| wrong("url", "invalid_url", message));
    let ca = ca.as_ref().filter(|ca| !is_pem(ca)).map(|_| {
        wrong("ca", "invalid_certificate", "Certificates as PEM: -----BEGIN CERTIFICATE----- and so on.")
    });
    let is_nats = *kind == StreamKind::Nats;
    let texts = [("field", field.as_ref()), ("user", user.as_ref())];
    let texts = texts.into_iter().filter(|(_, text)| text.is_some_and(|text| !is_text(text)));
    let texts =
        texts.map(|(name, _)| wrong(name, "invalid_name", "1 to 200 bytes, without control characters."));
    let names =
        [("stream", Some(stream)), ("group", group.as_ref())].into_iter().filter_map(|(name, text)| {
            let text = text?;
            match is_nats {
                false if !is_text(text) => {
                    Some(wrong(name, "invalid_name", "1 to 200 bytes, without control characters."))
                }
                true if !is_nats_name(text) => Some(wrong(
                    name,
                    "invalid_name",
                    "1 to 200 characters of ASCII, without spaces and . * > / \\.",
                )),
                _ => None,
            }
        });
    let subject = subject.as_ref().and_then(|subject| match is_nats {
        false => Some(wrong("subject", "not_of_redis", "Only messages of NATS have a subject.")),
        true if !is_subject(subject) => Some(wrong(
            "subject",
            "invalid_subject",
            "Words with dots between them; * is one, a last > all that follow.",
        )),
        true => None,
    });
    let field = (is_nats && field.is_some()).then(|| {
        wrong("field", "not_of_nats", "The payload of a message is the event; only Redis has fields.")
    });
    address.into_iter().chain(ca).chain(names).chain(texts).chain(subject).chain(field).collect()
}

fn address_problem(kind: StreamKind, url: &str) -> Option<&'static str> {
    match kind {
        StreamKind::Redis => (!is_redis(url)).then_some(
            "redis://host:6379 or rediss://host:6379, with the number of a database behind a slash if it is not 0.",
        ),
        StreamKind::Nats => {
            (!is_nats(url)).then_some("nats://host:4222 or tls://host:4222; up to 10, with commas between them.")
        }
    }
}

fn is_text(text: &str) -> bool {
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
    is_place(place) && (database.is_empty() || database.parse::<u16>().is_ok())
}

fn is_nats(urls: &str) -> bool {
    let is_server = |url: &str| {
        let place = url.strip_prefix("nats://").or_else(|| url.strip_prefix("tls://"));
        place.is_some_and(|place| is_place(place.strip_suffix('/').unwrap_or(place)))
    };
    urls.len() <= URL_MAX && urls.split(',').count() <= SERVERS_MAX && servers(urls).all(is_server)
}

/// The servers of NATS that an address names.
pub fn servers(urls: &str) -> impl Iterator<Item = &str> {
    urls.split(',').map(str::trim)
}

/// Whether a message can be of both subjects.
#[must_use]
pub fn meet(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some(one), Some(other)) if one == other || one == "*" || other == "*" => {}
            _ => return false,
        }
    }
}

/// A host and perhaps a port, nothing else.
fn is_place(place: &str) -> bool {
    let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, port)) => (host, port),
        None => place.find(':').map_or((place, ""), |at| place.split_at(at)),
    };
    let port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let of_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let host =
        !host.is_empty() && host.bytes().all(|byte| of_host(byte) || (bracketed.is_some() && byte == b':'));
    host && port
}

fn is_nats_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b".*>/\\".contains(&byte);
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn is_subject(text: &str) -> bool {
    let words: Vec<&str> = text.split('.').collect();
    let is_word = |(at, word): (usize, &&str)| match *word {
        "*" => true,
        ">" => at + 1 == words.len(),
        word => {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic() && !b"*>".contains(&byte))
        }
    };
    text.len() <= NAME_MAX && words.iter().enumerate().all(is_word)
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

    #[test]
    fn an_address_of_nats_names_servers_and_a_subject_words() {
        for right in
            ["nats://a", "tls://a.example.com:4222", "nats://a:4222, nats://b:4222/", "nats://[::1]:4222"]
        {
            assert!(is_nats(right), "{right}");
        }
        for wrong in [
            "",
            "a:4222",
            "nats://",
            "ws://a",
            "nats://u:p@a",
            "nats://a,",
            "nats://a,http://b",
            "nats://a/x",
        ] {
            assert!(!is_nats(wrong), "{wrong}");
        }
        for right in ["a", "shop.changes", "shop.*.x", "shop.>", ">", "*"] {
            assert!(is_subject(right), "{right}");
        }
        for wrong in ["", ".", "a..b", "a b", "a.>.b", "a*", "a.", "é"] {
            assert!(!is_subject(wrong), "{wrong}");
        }
    }
    #[test]
    fn subjects_meet_where_a_message_can_be_of_both() {
        for (one, other) in [("a.b", "a.b"), ("a.*", "*.b"), ("a.>", "a.b.c"), (">", "a"), ("a.*.c", "a.b.>")]
        {
            assert!(meet(one, other) && meet(other, one), "{one} {other}");
        }
        for (one, other) in [("a.b", "a.c"), ("a", "a.b"), ("a.>", "a"), ("a.*", "a.b.c"), ("b.>", "a.>")] {
            assert!(!meet(one, other) && !meet(other, one), "{one} {other}");
        }
    }
}
