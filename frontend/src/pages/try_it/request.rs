//! The request that a person puts together. Pure.

use sluice_contract::definition::HeaderMatch;
use sluice_contract::path::{PathTemplate, Segment};

use crate::format::query_value;

/// An operation that can be tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operation {
    pub id: String,
    pub summary: String,
    /// Empty: any.
    pub methods: Vec<String>,
    /// Template below the API's base.
    pub path: String,
    /// What a request must carry to match.
    pub headers: Vec<HeaderMatch>,
    pub needs_key: bool,
}

/// What a browser can send to an operation for any method.
const ANY: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

impl Operation {
    /// None when a browser can send none of them: it refuses `TRACE` and `CONNECT` to every page.
    pub fn methods(&self) -> Vec<String> {
        if self.methods.is_empty() {
            return ANY.map(str::to_owned).to_vec();
        }
        let sendable = self.methods.iter().filter(|method| !matches!(method.as_str(), "TRACE" | "CONNECT"));
        sendable.cloned().collect()
    }

    /// `GET /items/{id}`, and its summary if it has one.
    pub fn title(&self) -> String {
        let methods = if self.methods.is_empty() { "ANY".to_owned() } else { self.methods.join(", ") };
        let summary = if self.summary.is_empty() { String::new() } else { format!(" – {}", self.summary) };
        format!("{methods} {}{summary}", self.path)
    }

    /// Names of the parameters of its path, in order.
    pub fn parameters(&self) -> Vec<String> {
        let Ok(template) = PathTemplate::parse(&self.path) else { return Vec::new() };
        let names = template.segments().iter().flat_map(|segment| match segment {
            Segment::Literal(_) => Vec::new(),
            Segment::Mixed { names, .. } => names.clone(),
            Segment::Parameter(name) | Segment::Multi(name) => vec![name.clone()],
        });
        names.collect()
    }

    /// The path with these values: encoded so that each stays within its segment, but for `{*name}`.
    pub fn filled(&self, value: impl Fn(&str) -> String) -> String {
        let Ok(template) = PathTemplate::parse(&self.path) else { return self.path.clone() };
        let segments = template.segments().iter().map(|segment| match segment {
            Segment::Literal(text) => text.clone(),
            Segment::Parameter(name) => query_value(&value(name)),
            Segment::Multi(name) => value(name).split('/').map(query_value).collect::<Vec<_>>().join("/"),
            Segment::Mixed { literals, names } => {
                let mut text = literals.first().cloned().unwrap_or_default();
                for (name, literal) in names.iter().zip(literals.iter().skip(1)) {
                    text.push_str(&query_value(&value(name)));
                    text.push_str(literal);
                }
                text
            }
        });
        format!("/{}", segments.collect::<Vec<_>>().join("/"))
    }
}

/// `?` and what was typed, with everything encoded that may not stand in a query as it is. Nothing for nothing.
pub fn query_of(text: &str) -> String {
    let text = text.trim().trim_start_matches('?');
    let mut query = String::new();
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !b"\"#<>".contains(&byte) => query.push(char::from(byte)),
            _ => query.push_str(&format!("%{byte:02X}")),
        }
    }
    if query.is_empty() { query } else { format!("?{query}") }
}

/// Reads `Name: value` line by line; the first line that is none is the error.
pub fn headers_of(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| match line.split_once(':') {
            Some((name, value)) if is_name(name.trim()) && is_value(value.trim()) => {
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(line.to_owned()),
        })
        .collect()
}

/// RFC 9110 §5.6.2.
fn is_name(name: &str) -> bool {
    let special = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || special.contains(&byte))
}

/// What a browser lets a page send without complaint.
pub fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(path: &str) -> Operation {
        Operation { path: path.to_owned(), ..Operation::default() }
    }

    #[test]
    fn values_stay_in_their_segments() {
        let operation = operation("/repos/{owner}/{base}...{head}/{*file}");
        assert_eq!(operation.parameters(), ["owner", "base", "head", "file"]);
        let filled = operation.filled(|name| match name {
            "owner" => "a/b".to_owned(),
            "file" => "docs/read me.md".to_owned(),
            other => other.to_owned(),
        });
        assert_eq!(filled, "/repos/a%2Fb/base...head/docs/read%20me.md");
    }

    #[test]
    fn what_no_page_may_send_is_not_offered() {
        let of = |methods: &[&str]| {
            let methods = methods.iter().map(|method| (*method).to_owned()).collect();
            Operation { methods, ..operation("/") }.methods()
        };
        assert_eq!(of(&["TRACE", "PUT"]), ["PUT"]);
        assert!(of(&["TRACE"]).is_empty());
        assert_eq!(of(&[]).len(), ANY.len());
    }

    #[test]
    fn the_root_has_no_segments_to_fill() {
        assert_eq!(operation("/").filled(|_| String::new()), "/");
    }

    #[test]
    fn a_query_goes_as_it_was_typed_but_never_ends_early() {
        assert_eq!(query_of(" ?q=a b&x=%20#1 "), "?q=a%20b&x=%20%231");
        assert_eq!(query_of("  "), "");
    }

    #[test]
    fn headers_are_read_line_by_line() {
        let read = headers_of("Accept: text/html\n\n x-a:1:2 ").unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read, [pair("Accept", "text/html"), pair("x-a", "1:2")]);
        assert_eq!(headers_of("Accept: a\nno header").unwrap_err(), "no header");
        assert!(headers_of("bad name: x").is_err());
        assert!(headers_of("x: ü").is_err());
    }
}
