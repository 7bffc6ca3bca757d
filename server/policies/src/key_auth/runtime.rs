//! Finding an API key in a request, and taking it out again.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::spec::KeyAuth;
use crate::policy::Policy;
use crate::validate::SettingsError;

/// [`KeyAuth`] as a gateway uses it.
#[derive(Clone, Debug)]
pub struct KeyRule {
    header: HeaderName,
    bearer: bool,
    query: Option<Box<str>>,
    forward: bool,
}

/// Where a key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Header,
    Bearer,
    Query,
}

/// A key as the caller sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey<'r> {
    pub key: Cow<'r, [u8]>,
    pub place: Place,
}

impl Default for KeyRule {
    fn default() -> Self {
        Self { header: HeaderName::from_static("x-api-key"), bearer: false, query: None, forward: false }
    }
}

impl KeyRule {
    /// Prepares the settings.
    ///
    /// # Errors
    /// When the header's name is not one.
    pub fn compile(settings: KeyAuth) -> Result<Self, SettingsError> {
        let KeyAuth { header, bearer, query, forward } = settings;
        let header = HeaderName::from_bytes(header.as_bytes())
            .map_err(|error| SettingsError { kind: KeyAuth::KIND, reason: error.to_string() })?;
        Ok(Self { header, bearer, query: query.map(String::into_boxed_str), forward })
    }

    /// The key of a request: from the header, else the bearer token, else the query.
    pub fn find<'r>(&self, headers: &'r HeaderMap, query: Option<&'r str>) -> Option<FoundKey<'r>> {
        if let Some(value) = headers.get(&self.header) {
            return Some(FoundKey { key: Cow::Borrowed(value.as_bytes()), place: Place::Header });
        }
        let token = || headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        if let Some(token) = self.bearer.then(token).flatten() {
            return Some(FoundKey { key: Cow::Borrowed(token), place: Place::Bearer });
        }
        let name = self.query.as_deref()?;
        let value = query?.split('&').find_map(|pair| value_of(pair, name))?;
        let key = match percent_decoded(value) {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Some(FoundKey { key, place: Place::Query })
    }

    /// Whether keys stand in this header.
    #[must_use]
    pub fn is_in(&self, name: &HeaderName) -> bool {
        self.header == name
    }

    /// Takes the key out of the headers that go to the upstream, unless it is to be forwarded.
    pub fn strip_headers(&self, headers: &mut HeaderMap, place: Option<Place>) {
        if self.forward {
            return;
        }
        headers.remove(&self.header);
        if place == Some(Place::Bearer) {
            headers.remove(AUTHORIZATION);
        }
    }

    /// The header that goes on to the upstream although the gateway may not know its key: the upstream may.
    pub fn forwarded<'r>(&self, headers: &'r HeaderMap) -> Option<&'r HeaderValue> {
        headers.get(&self.header).filter(|_| self.forward)
    }

    /// The query without the key, whether or not it was used: a secret has no business further on. The outer None
    /// means that there is no key in it.
    pub fn strip_query(&self, query: Option<&str>) -> Option<Option<String>> {
        let (name, query) = (self.query.as_deref()?, query?);
        query.split('&').find(|pair| value_of(pair, name).is_some())?;
        let kept: Vec<&str> = query.split('&').filter(|pair| value_of(pair, name).is_none()).collect();
        Some((!kept.is_empty()).then(|| kept.join("&")))
    }

    /// The `WWW-Authenticate` challenge (RFC 9110 §11.6.1) of a refusal.
    pub fn challenge(&self) -> String {
        if self.bearer {
            return "Bearer".to_owned();
        }
        format!("ApiKey header=\"{}\"", self.header)
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn value_of<'q>(pair: &'q str, name: &str) -> Option<&'q str> {
    let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
    (percent_decoded(found) == name).then_some(value)
}

/// Decodes `%XX`; what is not a valid escape, or not UTF-8 when decoded, stays as it is.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let digit = |b: Option<&u8>| b.and_then(|&b| char::from(b).to_digit(16)).map(|d| d as u8);
    let bytes = text.as_bytes();
    let (mut decoded, mut i) = (Vec::with_capacity(bytes.len()), 0);
    while i < bytes.len() {
        match (bytes[i], digit(bytes.get(i + 1)), digit(bytes.get(i + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                i += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8(decoded).map_or(Cow::Borrowed(text), Cow::Owned)
}
