//! A sitemap or an index of sitemaps, from its bytes: `<loc>` of each `<url>` or `<sitemap>`, and nothing else of it.

use std::io::{BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, Event};
use thiserror::Error;

/// Bytes of a sitemap once it is unpacked, and its locations: what the protocol allows.
const MOST_BYTES: u64 = 50 << 20;
const MOST_LOCATIONS: usize = 50_000;
/// Bytes of a location: the protocol says 2,048, and gateways take more.
const LOCATION_MAX: usize = 16 << 10;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What a document tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// Its locations are of sitemaps.
    pub(super) is_index: bool,
    pub(super) locations: Vec<String>,
    /// Locations beyond the most that are read.
    pub(super) more: u64,
}

/// Why it is no sitemap.
#[derive(Debug, Error)]
pub(crate) enum Malformed {
    #[error("{0}")]
    Xml(#[from] quick_xml::Error),
    #[error("its root is neither <urlset> nor <sitemapindex>")]
    Root,
    #[error("unpacked it has more than {} MiB, or ends early", MOST_BYTES >> 20)]
    Ends,
    #[error("it could not be read")]
    Broken,
}

/// Reads it, unpacked if it is gzip by its first bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Document, Malformed> {
    if bytes.starts_with(&GZIP) {
        return parse(BufReader::new(MultiGzDecoder::new(bytes).take(MOST_BYTES)));
    }
    parse(bytes)
}

fn parse(source: impl BufRead) -> Result<Document, Malformed> {
    let mut reader = Reader::from_reader(source);
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut at) = (Vec::new(), At::default());
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer)? {
            Event::Start(start) => at.enter(start.local_name().as_ref())?,
            Event::End(_) => {
                if at.leave() {
                    return Ok(at.document);
                }
            }
            Event::Text(text) => at.text(&text),
            Event::CData(text) => at.text(&text),
            Event::GeneralRef(entity) => at.entity(&entity)?,
            // Also when what is unpacked was cut off.
            Event::Eof => return Err(if at.depth == 0 { Malformed::Root } else { Malformed::Ends }),
            Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
        }
    }
}

/// Where in the document the reader is.
#[derive(Default)]
struct At {
    document: Document,
    depth: usize,
    /// Whether the element below the root is one that has a location.
    in_entry: bool,
    /// The location that is being read.
    location: Option<String>,
}

impl At {
    fn enter(&mut self, name: &str) -> Result<(), Malformed> {
        self.depth += 1;
        let entry = if self.document.is_index { "sitemap" } else { "url" };
        match (self.depth, name) {
            (1, "urlset") => {}
            (1, "sitemapindex") => self.document.is_index = true,
            (1, _) => return Err(Malformed::Root),
            (2, name) => self.in_entry = name == entry,
            // Deeper ones are of extensions: pictures, videos.
            (3, "loc") if self.in_entry => self.location = Some(String::new()),
            _ => {}
        }
        Ok(())
    }

    /// Whether that was the root.
    fn leave(&mut self) -> bool {
        if self.depth == 3
            && let Some(location) = self.location.take()
        {
            self.keep(location.trim());
        }
        self.depth -= 1;
        self.depth == 0
    }

    fn keep(&mut self, location: &str) {
        match self.document.locations.len() {
            MOST_LOCATIONS.. => self.document.more += 1,
            _ if location.is_empty() => {}
            _ => self.document.locations.push(location.to_owned()),
        }
    }

    fn text(&mut self, text: &str) {
        let Some(location) = &mut self.location else { return };
        // One byte more than is taken says that it is too long.
        let room = (LOCATION_MAX + 1).saturating_sub(location.len());
        location.extend(text.chars().take(room));
    }

    /// `&amp;` and the like; entities of the document's own are never expanded.
    fn entity(&mut self, entity: &BytesRef<'_>) -> Result<(), Malformed> {
        if let Some(char) = entity.resolve_char_ref()? {
            self.text(char.encode_utf8(&mut [0; 4]));
        } else if let Some(known) = resolve_xml_entity(entity) {
            self.text(known);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn urls(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{inner}</urlset>"
        )
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn locations_are_read_with_entities_and_without_those_of_extensions() {
        let text = urls(
            "<url><loc> https://a.example/?a=1&amp;b=2&#38;c </loc><lastmod>2026-01-01</lastmod>
             <image:image xmlns:image=\"x\"><image:loc>https://a.example/p.png</image:loc></image:image></url>
             <url><loc><![CDATA[https://a.example/c?x&y]]></loc></url><other><loc>https://no</loc></other><url/>",
        );
        let expected = ["https://a.example/?a=1&b=2&c", "https://a.example/c?x&y"];
        for bytes in [text.clone().into_bytes(), packed(text.as_bytes())] {
            let found = read(&bytes).unwrap();
            assert_eq!((found.is_index, found.more), (false, 0));
            assert_eq!(found.locations, expected);
        }
    }

    #[test]
    fn an_index_tells_sitemaps() {
        let text = "<sitemapindex><sitemap><loc>https://a.example/1.xml</loc></sitemap><url><loc>x</loc></url></sitemapindex>";
        let found = read(text.as_bytes()).unwrap();
        assert_eq!((found.is_index, found.locations), (true, vec!["https://a.example/1.xml".to_owned()]));
    }

    #[test]
    fn what_is_no_sitemap_says_so() {
        for text in ["", "not found", "<html><body/></html>", "{\"a\": 1}"] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(matches!(error, Malformed::Root | Malformed::Xml(_)), "{text}: {error}");
        }
        assert!(matches!(read(b"<urlset><url>").unwrap_err(), Malformed::Ends | Malformed::Xml(_)));
        assert!(read(&packed(b"<urlset></urlset>")[..15]).is_err());
    }

    #[test]
    fn entities_of_the_document_are_not_expanded() {
        let bomb = "<!DOCTYPE urlset [<!ENTITY a \"https://evil.example\"><!ENTITY b SYSTEM \"file:///etc/passwd\">]>";
        let text = format!("{bomb}<urlset><url><loc>/x&a;&b;</loc></url></urlset>");
        assert_eq!(read(text.as_bytes()).unwrap().locations, ["/x"]);
    }

    #[test]
    fn what_unpacks_to_more_than_is_allowed_is_refused() {
        let mut long = urls("").into_bytes();
        let blank = vec![b' '; usize::try_from(MOST_BYTES).unwrap()];
        long.splice(long.len() - 9..long.len() - 9, blank);
        let small = packed(&long);
        assert!(small.len() < 1 << 20, "{}", small.len());
        assert!(matches!(read(&small).unwrap_err(), Malformed::Ends | Malformed::Xml(_)));
    }

    #[test]
    fn locations_beyond_the_most_are_counted() {
        let many = "<url><loc>/a</loc></url>".repeat(MOST_LOCATIONS + 3);
        let found = read(urls(&many).as_bytes()).unwrap();
        assert_eq!((found.locations.len(), found.more), (MOST_LOCATIONS, 3));
        let long = format!("<url><loc>/{}</loc></url>", "a".repeat(LOCATION_MAX * 2));
        assert_eq!(read(urls(&long).as_bytes()).unwrap().locations[0].len(), LOCATION_MAX + 1);
    }
}
