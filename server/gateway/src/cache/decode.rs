//! Reads encoded bodies piece by piece for those who look at them. What is read is looked at and forgotten.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use sluice_policies::cache::{Found, Look};
use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation as _, OutBuffer};

/// Bytes that are decoded at a time.
const STEP: usize = 8 << 10;
/// Of the memory that a body in zstd may ask for, the logarithm: 8 MiB (RFC 8878 §3.1.1.1.2).
const LARGEST_WINDOW: u32 = 23;

/// A look at a body as it is encoded (RFC 9110 §8.4.1).
pub(super) enum Decoding {
    Plain(Box<Look>),
    Gzip(Box<MultiGzDecoder<Sink>>),
    /// `deflate`, which is zlib's format.
    Zlib(Box<ZlibDecoder<Sink>>),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd {
        decoder: Box<Zstd<'static>>,
        look: Box<Look>,
        is_whole: bool,
    },
}

/// Where decoders write.
pub(super) struct Sink {
    look: Option<Look>,
    found: Option<Found>,
}

impl Sink {
    fn new(look: Look) -> Self {
        Self { look: Some(look), found: None }
    }

    /// Why writing has failed.
    fn why(&self) -> Found {
        self.found.unwrap_or(Found::Unreadable)
    }

    fn finish(&mut self) -> Result<(), Found> {
        self.look.take().map_or(Err(Found::Unreadable), Look::finish)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(look) = &mut self.look else { return Err(io::ErrorKind::BrokenPipe.into()) };
        look.see(bytes).map_err(|found| {
            self.found = Some(found);
            io::Error::other(found.name())
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoding {
    /// Reads a body of these fields for `look`.
    ///
    /// # Errors
    /// When it is encoded in a way that is not known, or more than once.
    pub(super) fn new(headers: &HeaderMap, look: Look) -> Result<Self, Found> {
        let mut codings = headers.get_all(CONTENT_ENCODING).iter();
        let coding = codings.next().map(|value| value.as_bytes().trim_ascii().to_ascii_lowercase());
        if codings.next().is_some() {
            return Err(Found::Unreadable);
        }
        Ok(match coding.as_deref() {
            None | Some(b"" | b"identity") => Self::Plain(Box::new(look)),
            Some(b"gzip" | b"x-gzip") => Self::Gzip(Box::new(MultiGzDecoder::new(Sink::new(look)))),
            Some(b"deflate") => Self::Zlib(Box::new(ZlibDecoder::new(Sink::new(look)))),
            Some(b"br") => Self::Brotli(Box::new(DecompressorWriter::new(Sink::new(look), STEP))),
            Some(b"zstd") => {
                let decoder = Zstd::new().and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW))?;
                    Ok(decoder)
                });
                let decoder = Box::new(decoder.map_err(|_| Found::Unreadable)?);
                Self::Zstd { decoder, look: Box::new(look), is_whole: true }
            }
            Some(_) => return Err(Found::Unreadable),
        })
    }

    /// Looks at the next piece.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Result<(), Found> {
        match self {
            Self::Plain(look) => look.see(bytes),
            Self::Gzip(decoder) => decoder.write_all(bytes).map_err(|_| decoder.get_ref().why()),
            Self::Zlib(decoder) => decoder.write_all(bytes).map_err(|_| decoder.get_ref().why()),
            Self::Brotli(decoder) => decoder.write_all(bytes).map_err(|_| decoder.get_ref().why()),
            Self::Zstd { decoder, look, is_whole } => {
                let mut input = InBuffer::around(bytes);
                let mut text = [0; STEP];
                loop {
                    let mut output = OutBuffer::around(&mut text[..]);
                    let hint = decoder.run(&mut input, &mut output).map_err(|_| Found::Unreadable)?;
                    *is_whole = hint == 0;
                    let written = output.pos();
                    look.see(&text[..written])?;
                    // A full buffer may have left something behind.
                    if input.pos == bytes.len() && written < STEP {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Says that there is nothing more. What breaks off has not been read whole.
    pub(super) fn finish(self) -> Result<(), Found> {
        match self {
            Self::Plain(look) => look.finish(),
            Self::Gzip(mut decoder) => {
                decoder.try_finish().map_err(|_| decoder.get_ref().why())?;
                decoder.get_mut().finish()
            }
            Self::Zlib(mut decoder) => {
                decoder.try_finish().map_err(|_| decoder.get_ref().why())?;
                decoder.get_mut().finish()
            }
            Self::Brotli(mut decoder) => {
                decoder.close().map_err(|_| decoder.get_ref().why())?;
                decoder.get_mut().finish()
            }
            Self::Zstd { look, is_whole: true, .. } => look.finish(),
            Self::Zstd { .. } => Err(Found::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use sluice_policies::cache::{Cache, CacheRule, Forbidden, ForbiddenRule};

    use super::*;

    fn rule(max_bytes: u64) -> Arc<ForbiddenRule> {
        let settings = Cache {
            forbidden: vec![Forbidden::CardNumber],
            forbidden_max_bytes: max_bytes,
            ..Cache::default()
        };
        CacheRule::compile(settings).unwrap().forbidden.unwrap()
    }

    fn encoded(coding: &str, text: &[u8]) -> Vec<u8> {
        use flate2::Compression;
        use flate2::write::{GzEncoder, ZlibEncoder};
        match coding {
            "gzip" => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "deflate" => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            "br" => {
                let mut input = text;
                let mut output = Vec::new();
                brotli::BrotliCompress(&mut input, &mut output, &brotli::enc::BrotliEncoderParams::default())
                    .unwrap();
                output
            }
            "zstd" => zstd::encode_all(text, 1).unwrap(),
            _ => text.to_vec(),
        }
    }

    fn look(coding: &str, body: &[u8], size: usize, max_bytes: u64) -> Result<(), Found> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, coding.parse().unwrap());
        let look = rule(max_bytes).look_at_body(&headers)?.unwrap();
        let mut decoding = Decoding::new(&headers, look)?;
        body.chunks(size).try_for_each(|piece| decoding.see(piece))?;
        decoding.finish()
    }

    const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];

    #[test]
    fn what_is_encoded_more_than_once_or_in_a_way_that_is_not_known_cannot_be_looked_at() {
        let is_read = |codings: &[&'static str]| {
            let mut headers = HeaderMap::new();
            codings.iter().for_each(|coding| _ = headers.append(CONTENT_ENCODING, coding.parse().unwrap()));
            let look = rule(1_000).look_at_body(&headers).unwrap().unwrap();
            Decoding::new(&headers, look).map(drop)
        };
        assert_eq!(is_read(&["gzip"]), Ok(()));
        for codings in [&["gzip", "gzip"][..], &["gzip, br"], &["own"]] {
            assert_eq!(is_read(codings), Err(Found::Unreadable), "{codings:?}");
        }
    }

    #[test]
    fn bodies_are_read_in_every_coding_and_what_breaks_off_or_is_too_large_is_not_good() {
        let clean = vec![b'a'; 100_000];
        let mut card = clean.clone();
        card.extend_from_slice(b" 4111111111111111");
        for coding in CODINGS {
            for size in [1, 7, 1_000, usize::MAX] {
                assert_eq!(look(coding, &encoded(coding, &clean), size, 100_000), Ok(()), "{coding} {size}");
                let found = look(coding, &encoded(coding, &card), size, 200_000);
                assert_eq!(found, Err(Found::CardNumber), "{coding} {size}");
                let large = look(coding, &encoded(coding, &clean), size, 99_999);
                assert_eq!(large, Err(Found::TooLarge), "{coding} {size}: what is decoded counts");
            }
        }
        for coding in &CODINGS[1..] {
            let whole = encoded(coding, &clean);
            let broken = &whole[..whole.len() - 1];
            assert_eq!(look(coding, broken, 100, 200_000), Err(Found::Unreadable), "{coding} breaks off");
            assert_eq!(look(coding, b"this is plain text", 100, 200_000), Err(Found::Unreadable), "{coding}");
        }
    }

    #[test]
    fn all_frames_of_zstd_are_looked_at() {
        let frames = [encoded("zstd", b"clean"), encoded("zstd", b"4111111111111111")].concat();
        for size in [1, 20, usize::MAX] {
            assert_eq!(look("zstd", &frames, size, 1_000), Err(Found::CardNumber), "{size}");
        }
    }

    #[test]
    fn zstd_that_asks_for_more_than_eight_mebibytes_of_memory_is_not_read() {
        // A frame that says how large its window is, and one raw block (RFC 8878 §3.1.1).
        let frame = |window_log: u8| {
            let head = [0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3, 5 << 3 | 1, 0, 0];
            [&head[..], b"hello"].concat()
        };
        assert_eq!(look("zstd", &frame(23), usize::MAX, 1_000), Ok(()));
        assert_eq!(look("zstd", &frame(24), usize::MAX, 1_000), Err(Found::Unreadable));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_coding_are_read_without_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200), coding in 0_usize..5, size in 1_usize..50, cut in 0_usize..200,
        ) {
            let _ = look(CODINGS[coding], &bytes, size, 1_000);
            let mut whole = encoded(CODINGS[coding], &bytes);
            if let Some(byte) = whole.get_mut(cut) {
                *byte ^= 1;
            }
            let _ = look(CODINGS[coding], &whole, size, 1_000);
        }
    }
}
