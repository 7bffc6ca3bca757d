//! The path that routes are found by. Two spellings of one path must find one route, or a rule for one could be dodged
//! by the other.
//!
//! The rules (RFC 3986 §6.2.2):
//! - escapes of unreserved characters are decoded (`%41` is `A`, `%2E` is `.`), the others keep their escape in upper
//!   case: an encoded slash (`%2F`) never ends a segment;
//! - dot segments are removed, also those that were escaped; a path cannot climb above its root;
//! - a broken escape, a NUL (`%00`), a backslash or a control character is refused;
//! - empty segments (`//`) stay in what the upstream sees; routes are found as if each run were one slash.

use std::borrow::Cow;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    #[error("a path starts with a slash")]
    NotAbsolute,
    #[error("the path has a `%` without two hex digits")]
    BrokenEscape,
    #[error("the path has a character that is not allowed")]
    ForbiddenCharacter,
}

/// The normal form of a raw path.
///
/// # Errors
/// When there is none.
pub fn normalise(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    if !raw.starts_with('/') {
        return Err(BadPath::NotAbsolute);
    }
    if is_plain(raw.as_bytes())? {
        return Ok(Cow::Borrowed(raw));
    }
    let decoded = decode_unreserved(raw)?;
    Ok(Cow::Owned(remove_dot_segments(&decoded)))
}

/// The form that routes are found by: without empty segments.
pub fn for_matching(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut merged = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    Cow::Owned(merged)
}

/// Whether the path is in its normal form as it stands.
fn is_plain(raw: &[u8]) -> Result<bool, BadPath> {
    // Without an early end, so that the compiler looks at many bytes at once.
    let (mut bad, mut escaped, mut dotted) = (false, false, false);
    for &byte in raw {
        bad |= (byte <= 0x20) | (byte == 0x7f) | (byte == b'\\');
        escaped |= byte == b'%';
        dotted |= byte == b'.';
    }
    if bad {
        return Err(BadPath::ForbiddenCharacter);
    }
    let climbs = dotted && raw.windows(2).any(|pair| pair == b"/.");
    Ok(!escaped && !climbs)
}

fn decode_unreserved(raw: &str) -> Result<String, BadPath> {
    let mut decoded = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let escape = after.get(..2).ok_or(BadPath::BrokenEscape)?;
        let byte = u8::from_str_radix(escape, 16).map_err(|_| BadPath::BrokenEscape)?;
        if escape.starts_with('+') {
            return Err(BadPath::BrokenEscape);
        }
        match byte {
            0 => return Err(BadPath::ForbiddenCharacter),
            b'-' | b'.' | b'_' | b'~' => decoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => decoded.push(char::from(byte)),
            _ => {
                decoded.push('%');
                decoded.push_str(&escape.to_ascii_uppercase());
            }
        }
        rest = &after[2..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// RFC 3986 §5.2.4.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    kept.iter().fold(String::with_capacity(path.len()), |path, segment| path + "/" + segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_have_one_form() {
        for (raw, normal) in [
            ("/a/b", "/a/b"),
            ("/%61/%2e/b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/a/%2E%2e/b", "/b"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%2fb/..", "/"),
            ("/a//b", "/a//b"),
            ("/a//../b", "/a/b"),
            ("/.hidden/a..b", "/.hidden/a..b"),
            ("/%7Euser", "/~user"),
            ("/%c3%a9", "/%C3%A9"),
            ("/", "/"),
        ] {
            assert_eq!(normalise(raw).unwrap(), normal, "{raw}");
            assert_eq!(normalise(normal).unwrap(), normal, "normal forms stay: {raw}");
        }
    }

    #[test]
    fn what_has_no_normal_form_is_refused() {
        for raw in ["a", "", "/%", "/%2", "/%zz", "/%+1", "/a%00", "/a\\b", "/%é"] {
            assert!(normalise(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn runs_of_slashes_match_as_one() {
        assert_eq!(for_matching("//a///b/"), "/a/b/");
        assert!(matches!(for_matching("/a/b"), Cow::Borrowed(_)));
    }
}
