//! What a purge can name of a stored response: its URL, the prefixes of its path, its tags.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};
use sluice_contract::ids::ApplicationId;

use super::key;

/// Tags of a response that are read; and bytes of the longest.
const MOST_TAGS: usize = 128;
const LONGEST_TAG: usize = 256;
/// Segments of a path that count: a longer prefix covers all that begins with these.
const MOST_SEGMENTS: usize = 32;

/// Separated by white space (Fastly), and by commas (Cloudflare, Akamai).
static SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
static CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// What a purge names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// The hash of path and query (see [`key::url`]).
    Url(u64),
    /// The hash of whole segments of a path.
    Prefix(u64),
    /// A tag of the origin's or an application, the same on every gateway.
    Tag(u64),
}

/// Kinds of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Url,
    Prefix,
    Tag,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Url, Self::Prefix, Self::Tag];

    pub(super) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Label {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Url(_) => Kind::Url,
            Self::Prefix(_) => Kind::Prefix,
            Self::Tag(_) => Kind::Tag,
        }
    }

    /// Everything at and below a path: `/items` covers `/items` and `/items/1`, but not `/items-old`; `/items/` only what is below.
    /// The path is normalised.
    pub(crate) fn prefix(path: &str) -> Self {
        let mut last = 0;
        for_prefixes(path, |hash| last = hash);
        // The whole path comes last.
        Self::Prefix(last)
    }

    /// A tag that an origin gives.
    pub(crate) fn tag(tag: &str) -> Self {
        Self::Tag(stable(b't', tag.as_bytes()))
    }

    /// What was stored for one application alone.
    pub(crate) fn application(application: ApplicationId) -> Self {
        Self::Tag(stable(b'a', application.0.as_bytes()))
    }

    /// What has more tags than are read, or longer ones: every purge by tag covers it.
    pub(crate) fn any_tag() -> Self {
        Self::Tag(stable(b'*', &[]))
    }
}

/// The same in every gateway and every version.
fn stable(kind: u8, name: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update([kind]).chain_update(name).finalize();
    digest.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The hashes of all prefixes of whole segments: for `/a/b` of `/`, `/a`, `/a/` and `/a/b`.
fn for_prefixes(path: &str, mut each: impl FnMut(u64)) {
    let mut above = 0;
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').take(MOST_SEGMENTS).peekable();
    while let Some(segment) = segments.next() {
        // The path up to its slash.
        each(key::hash_below(above, ""));
        if segment.is_empty() && segments.peek().is_none() {
            return;
        }
        above = key::hash_below(above, segment);
        each(above);
    }
}

/// The labels of a stored response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    /// What the client asked for below the API's base.
    pub(super) path: Arc<str>,
    pub(super) url: u64,
    pub(super) tags: Arc<[u64]>,
    /// The tags as the origin gave them, a line for each, for people; None: they are not known here.
    pub(super) names: Option<Arc<str>>,
}

/// The tags of a response that are read: sorted, and as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub(super) hashes: Vec<u64>,
    pub(super) names: String,
}

impl Labels {
    pub(super) fn as_ref(&self) -> Labelled<'_> {
        Labelled { url: self.url, path: &self.path, tags: &self.tags }
    }

    /// Bytes that they take, with their places in the index, about.
    pub(super) fn bytes(&self) -> usize {
        let names = self.names.as_ref().map_or(0, |names| 16 + names.len());
        96 + self.path.len() + 56 * self.tags.len() + names
    }

    /// The tags that the origin gave; None: they are not known here.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        Some(self.names.as_ref()?.lines().map(str::to_owned).collect())
    }
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    pub url: u64,
    pub path: &'a str,
    pub tags: &'a [u64],
}

impl Labelled<'_> {
    /// The labels of one kind.
    pub(super) fn each(&self, kind: Kind, mut each: impl FnMut(Label)) {
        match kind {
            Kind::Url => each(Label::Url(self.url)),
            Kind::Prefix => for_prefixes(self.path, |hash| each(Label::Prefix(hash))),
            Kind::Tag => self.tags.iter().for_each(|tag| each(Label::Tag(*tag))),
        }
    }
}

/// The tags of a response. None: it has no field for them.
pub(super) fn tags(headers: &HeaderMap) -> Option<Tags> {
    if !headers.contains_key(&SURROGATE_KEY) && !headers.contains_key(&CACHE_TAG) {
        return None;
    }
    let spaced = headers.get_all(&SURROGATE_KEY).into_iter();
    let spaced = spaced.flat_map(|line| line.as_bytes().split(u8::is_ascii_whitespace));
    let listed = headers.get_all(&CACHE_TAG).into_iter();
    let listed = listed.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let (mut tags, mut names) = (Vec::new(), String::new());
    for tag in spaced.chain(listed).map(<[u8]>::trim_ascii).filter(|tag| !tag.is_empty()) {
        if tags.len() == MOST_TAGS || tag.len() > LONGEST_TAG {
            tags.push(Label::any_tag().hash());
            break;
        }
        let hash = stable(b't', tag);
        if tags.contains(&hash) {
            continue;
        }
        tags.push(hash);
        names.push_str(&String::from_utf8_lossy(tag));
        names.push('\n');
    }
    tags.sort_unstable();
    Some(Tags { hashes: tags, names })
}

impl Label {
    /// The hash alone.
    pub(crate) fn hash(self) -> u64 {
        let (Self::Url(hash) | Self::Prefix(hash) | Self::Tag(hash)) = self;
        hash
    }
}

/// The fields of tags are between origin and caches.
pub(super) fn remove_tags(headers: &mut HeaderMap) {
    headers.remove(&SURROGATE_KEY);
    headers.remove(&CACHE_TAG);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(prefix: &str, path: &str) -> bool {
        let mut found = false;
        let labelled = Labelled { url: 0, path, tags: &[] };
        labelled.each(Kind::Prefix, |label| found |= label == Label::prefix(prefix));
        found
    }

    #[test]
    fn a_prefix_covers_whole_segments() {
        for (prefix, path) in [
            ("/", "/"),
            ("/", "/a"),
            ("/a", "/a"),
            ("/a", "/a/"),
            ("/a", "/a/b"),
            ("/a/", "/a/b"),
            ("/a/", "/a/"),
            ("/a/b", "/a/b/c/d"),
            ("/a//", "/a//b"),
            ("/a//b", "/a//b/c"),
        ] {
            assert!(covers(prefix, path), "{prefix} covers {path}");
        }
        for (prefix, path) in [
            ("/a", "/"),
            ("/a", "/ab"),
            ("/a/", "/a"),
            ("/a/b", "/a"),
            ("/b", "/a/b"),
            ("/a/b", "/ab"),
            ("/a//b", "/a//c"),
        ] {
            assert!(!covers(prefix, path), "{prefix} does not cover {path}");
        }
    }

    #[test]
    fn tags_are_read_from_both_fields_and_too_many_are_covered_by_every_purge_by_tag() {
        let map = |pairs: &[(&'static str, String)]| -> HeaderMap {
            let pairs = pairs.iter();
            pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let hashes = |names: &[&str]| {
            let mut hashes: Vec<u64> = names.iter().map(|name| Label::tag(name).hash()).collect();
            hashes.sort_unstable();
            hashes
        };
        assert_eq!(tags(&HeaderMap::new()), None);
        let both = map(&[
            ("surrogate-key", " one two\tone ".to_owned()),
            ("cache-tag", "three , four five,".to_owned()),
        ]);
        let both = tags(&both).unwrap();
        assert_eq!(both.hashes, hashes(&["one", "two", "three", "four five"]));
        assert_eq!(both.names, "one\ntwo\nthree\nfour five\n");
        let many = (0..200).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
        let many = tags(&map(&[("surrogate-key", many)])).unwrap();
        assert!(many.hashes.len() == MOST_TAGS + 1 && many.hashes.contains(&Label::any_tag().hash()));
        let long = tags(&map(&[("cache-tag", "x".repeat(LONGEST_TAG + 1))])).unwrap();
        assert_eq!(long.hashes, [Label::any_tag().hash()]);
    }
    #[test]
    fn a_tag_of_the_greatest_length_is_one_like_others_and_all_go_from_what_callers_see() {
        let longest = "x".repeat(LONGEST_TAG);
        let mut headers = HeaderMap::new();
        headers.insert(&SURROGATE_KEY, longest.parse().unwrap());
        headers.insert(&CACHE_TAG, "a".parse().unwrap());
        let mut known = vec![Label::tag(&longest).hash(), Label::tag("a").hash()];
        known.sort_unstable();
        assert_eq!(tags(&headers).unwrap().hashes, known);
        remove_tags(&mut headers);
        assert!(headers.is_empty());
        assert_eq!(Kind::ALL.map(Kind::bit).into_iter().sum::<u8>(), 0b111, "each its own");
    }

    #[test]
    fn a_response_takes_memory_for_its_path_its_tags_and_their_names() {
        let labels = |path: &str, tags: &[u64], names: Option<&str>| Labels {
            path: path.into(),
            url: 1,
            tags: tags.into(),
            names: names.map(Into::into),
        };
        let named = labels("/items", &[1, 2], Some("red\nblue\n"));
        assert_eq!(named.names(), Some(vec!["red".to_owned(), "blue".to_owned()]));
        assert_eq!(labels("/", &[1], None).names(), None, "they came from another gateway");
        let bytes = |of: Labels| of.bytes();
        let least = bytes(labels("/", &[], None));
        assert!(least > size_of::<Labels>(), "{least}");
        assert_eq!(bytes(labels("/items", &[], None)), least + 5);
        // A hash in the list, and a place in the index.
        assert_eq!(bytes(labels("/", &[1, 2, 3], None)), least + 3 * 56);
        assert_eq!(bytes(labels("/", &[], Some("red\n"))), least + 16 + 4);
    }
}
