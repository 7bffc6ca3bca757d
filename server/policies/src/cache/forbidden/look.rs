//! Looks at a response for what forbids to store it: at its fields first, then at its text as it arrives.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use http::header::{AGE, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName};

use super::card::Cards;
use super::iban::Ibans;
use super::json::{End, Paths, Reading};
use super::path::Path;
use super::pattern::{EMAIL, Patterns, Scan};
use super::{Forbidden, Found};

/// What forbids to store a response, as a gateway looks for it.
#[derive(Debug)]
pub struct ForbiddenRule {
    /// Tells these rules from others.
    pub id: u32,
    headers: Vec<HeaderName>,
    cards: bool,
    ibans: bool,
    patterns: Option<Patterns>,
    /// The first of the patterns is for addresses.
    emails: bool,
    paths: Paths,
    max_bytes: u64,
}

/// A look at a text, in pieces.
#[derive(Debug)]
pub struct Look {
    rule: Arc<ForbiddenRule>,
    seen: u64,
    /// The first bytes, which may say that these are no single bytes.
    first: Vec<u8>,
    cards: Option<Cards>,
    ibans: Option<Ibans>,
    scan: Option<Scan>,
    json: Json,
}

#[derive(Debug)]
enum Json {
    /// There is nothing to look for.
    Off,
    /// It may be JSON, if it begins so.
    Perhaps,
    /// What cannot be read must not be stored if it is said to be JSON.
    Reading { reading: Reading, said: bool },
}

impl ForbiddenRule {
    /// None: there are no rules.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(in crate::cache) fn compile(
        rules: &[Forbidden],
        max_bytes: u64,
    ) -> Result<Option<Arc<Self>>, String> {
        if rules.is_empty() {
            return Ok(None);
        }
        let mut id = DefaultHasher::new();
        (rules, max_bytes).hash(&mut id);
        let emails = rules.contains(&Forbidden::Email);
        let mut patterns = if emails { vec![EMAIL] } else { Vec::new() };
        let (mut headers, mut paths) = (Vec::new(), Vec::new());
        for rule in rules {
            match rule {
                Forbidden::CardNumber | Forbidden::Email | Forbidden::Iban => {}
                Forbidden::Pattern { expression } => patterns.push(expression),
                Forbidden::JsonPath { path } => paths.push(Path::parse(path)?),
                Forbidden::Header { name } => {
                    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
                    headers.push(name);
                }
            }
        }
        let patterns = match patterns.is_empty() {
            true => None,
            false => Some(Patterns::compile(&patterns)?),
        };
        Ok(Some(Arc::new(Self {
            // Zero is for no rules.
            id: (id.finish() as u32).max(1),
            headers,
            cards: rules.contains(&Forbidden::CardNumber),
            ibans: rules.contains(&Forbidden::Iban),
            patterns,
            emails,
            paths: Paths::new(&paths).ok_or("The paths have more than 128 steps together.")?,
            max_bytes,
        })))
    }

    /// What the fields have: one that is named, or text in any but those that hold numbers and dates of the protocol.
    ///
    /// # Errors
    /// What was found.
    pub fn check_fields(self: &Arc<Self>, fields: &HeaderMap) -> Result<(), Found> {
        if self.headers.iter().any(|name| fields.contains_key(name)) {
            return Err(Found::Header);
        }
        let mut look = self.look(Json::Off);
        let plain = [AGE, CONTENT_LENGTH, DATE, ETAG];
        for (_, value) in fields.iter().filter(|(name, _)| !plain.contains(name)) {
            look.see(value.as_bytes())?;
            look.see(b"\n")?;
        }
        look.finish()
    }

    /// A look at the body that these fields are of; None when there is nothing to look for, or it is no text.
    ///
    /// # Errors
    /// When the body is text of a kind that cannot be read.
    pub fn look_at_body(self: &Arc<Self>, fields: &HeaderMap) -> Result<Option<Look>, Found> {
        let looks = self.cards || self.ibans || self.patterns.is_some() || !self.paths.is_empty();
        let kind = fields.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        let (media, parameters) = kind.split_once(';').unwrap_or((&kind, ""));
        let media = media.trim();
        if !looks || !is_text(media) {
            return Ok(None);
        }
        if is_wide(parameters) {
            return Err(Found::Unreadable);
        }
        let said = media.ends_with("/json") || media.ends_with("+json") || media.contains("ndjson");
        let json = match (self.paths.is_empty(), said) {
            (true, _) => Json::Off,
            (false, true) => Json::Reading { reading: self.paths.read(), said },
            (false, false) => Json::Perhaps,
        };
        Ok(Some(self.look(json)))
    }

    fn look(self: &Arc<Self>, json: Json) -> Look {
        Look {
            rule: Arc::clone(self),
            seen: 0,
            first: Vec::new(),
            cards: self.cards.then(Cards::default),
            ibans: self.ibans.then(Ibans::default),
            scan: self.patterns.as_ref().and_then(Patterns::scan),
            json,
        }
    }

    fn named(&self, pattern: usize) -> Found {
        if self.emails && pattern == 0 { Found::Email } else { Found::Pattern }
    }
}

/// Everything but what is known to be none.
fn is_text(media: &str) -> bool {
    let kind = media.split('/').next().unwrap_or_default();
    let other = ["application/pdf", "application/zip", "application/gzip", "application/wasm"];
    media == "image/svg+xml"
        || !(matches!(kind, "image" | "audio" | "video" | "font") || other.contains(&media))
}

/// Whether characters are written in other bytes than ASCII's.
fn is_wide(parameters: &str) -> bool {
    let charset = parameters.split(';').find_map(|one| one.trim().strip_prefix("charset="));
    let charset = charset.unwrap_or_default().trim_matches('"');
    ["utf-16", "utf-32", "utf-7", "ucs-", "iso-10646", "ebcdic", "ibm", "cp037"]
        .iter()
        .any(|wide| charset.starts_with(wide))
}

impl Look {
    /// Looks at the next piece.
    ///
    /// # Errors
    /// What was found, or why nobody can tell.
    pub fn see(&mut self, bytes: &[u8]) -> Result<(), Found> {
        self.seen += bytes.len() as u64;
        if self.seen > self.rule.max_bytes {
            return Err(Found::TooLarge);
        }
        let bytes = self.begin(bytes)?;
        self.cards.as_mut().map_or(Ok(()), |cards| unless(cards.see(bytes), Found::CardNumber))?;
        self.ibans.as_mut().map_or(Ok(()), |ibans| unless(ibans.see(bytes), Found::Iban))?;
        if let (Some(patterns), Some(scan)) = (&self.rule.patterns, &mut self.scan) {
            let found = patterns.see(scan, bytes).map_err(|_| Found::Unreadable)?;
            found.map_or(Ok(()), |pattern| Err(self.rule.named(pattern)))?;
        }
        self.json(bytes)
    }

    /// Marks of byte order: of UTF-16 and UTF-32 nothing can be read, that of UTF-8 means nothing.
    fn begin<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Found> {
        let missing = 3_usize.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend_from_slice(&bytes[..missing]);
        match &self.first[..] {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, ..] => Err(Found::Unreadable),
            _ => Ok(bytes),
        }
    }

    fn json(&mut self, bytes: &[u8]) -> Result<(), Found> {
        let mut bytes = bytes;
        let is_before_json =
            |byte: &u8| byte.is_ascii_whitespace() || [0x1e, 0xef, 0xbb, 0xbf].contains(byte);
        if let Json::Perhaps = self.json {
            let Some(at) = bytes.iter().position(|byte| !is_before_json(byte)) else { return Ok(()) };
            bytes = &bytes[at..];
            self.json = match bytes[0] {
                b'{' | b'[' => Json::Reading { reading: self.rule.paths.read(), said: false },
                _ => Json::Off,
            };
        }
        let Json::Reading { reading, said } = &mut self.json else { return Ok(()) };
        if reading.is_new() {
            let at = bytes.iter().position(|byte| !is_before_json(byte)).unwrap_or(bytes.len());
            bytes = &bytes[at..];
        }
        match reading.see(&self.rule.paths, bytes) {
            Ok(()) => Ok(()),
            Err(End::Found) => Err(Found::JsonPath),
            Err(End::Malformed) if *said => Err(Found::Unreadable),
            Err(End::Malformed) => {
                self.json = Json::Off;
                Ok(())
            }
        }
    }

    /// Says that there is nothing more.
    ///
    /// # Errors
    /// What was found, or why nobody can tell.
    pub fn finish(mut self) -> Result<(), Found> {
        unless(self.cards.is_some_and(|cards| cards.end()), Found::CardNumber)?;
        if let (Some(patterns), Some(scan)) = (&self.rule.patterns, &mut self.scan) {
            let found = patterns.end(scan).map_err(|_| Found::Unreadable)?;
            found.map_or(Ok(()), |pattern| Err(self.rule.named(pattern)))?;
        }
        match self.json {
            Json::Reading { reading, said: true } => reading.end().map_err(|_| Found::Unreadable),
            _ => Ok(()),
        }
    }
}

fn unless(is: bool, found: Found) -> Result<(), Found> {
    if is { Err(found) } else { Ok(()) }
}
