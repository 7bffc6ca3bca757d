//! The answers of Memcached's text protocol, read from bytes that arrive bit by bit, within bounds.

use std::collections::HashMap;

/// Bytes of a line: a key of 250 and two numbers fit.
const LONGEST_LINE: usize = 512;
/// Bytes of a value: more than is ever written.
const LONGEST_VALUE: usize = super::super::MOST_BYTES + (2 << 20);
/// Lines of what a server says of itself.
const MOST_FIGURES: usize = 1_024;

/// What an answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// The values of so many keys at most.
    Values(usize),
    Line,
    Figures,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Keys and their values.
    Values(Vec<(Vec<u8>, Vec<u8>)>),
    Line(Box<str>),
    Figures(HashMap<String, String>),
    /// It can be spoken to, but does not do this.
    Refused(Box<str>),
}

/// It is not this protocol, or more than was asked for: nothing that follows can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server says what Memcached does not say")]
pub(super) struct Malformed;

type Read<T> = Result<Option<T>, Malformed>;

/// The first answer in these bytes and how many of them it takes; None: it is not whole yet.
pub(super) fn read(expect: Expect, bytes: &[u8]) -> Read<(Reply, usize)> {
    let mut rest = Rest { bytes, at: 0 };
    let reply = match expect {
        Expect::Values(most) => rest.values(most)?,
        Expect::Figures => rest.figures()?,
        Expect::Line => rest.line()?.map(|line| refusal(line).unwrap_or_else(|| Reply::Line(line.into()))),
    };
    Ok(reply.map(|reply| (reply, rest.at)))
}

struct Rest<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Rest<'b> {
    fn line(&mut self) -> Read<&'b str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(length) = memchr::memchr(b'\n', &rest[..rest.len().min(LONGEST_LINE)]) else {
            return if rest.len() < LONGEST_LINE { Ok(None) } else { Err(Malformed) };
        };
        self.at += length + 1;
        let line = rest[..length].strip_suffix(b"\r").ok_or(Malformed)?;
        std::str::from_utf8(line).map(Some).map_err(|_| Malformed)
    }

    /// `VALUE <key> <flags> <bytes>`, the bytes, and so on until `END`.
    fn values(&mut self, most: usize) -> Read<Reply> {
        let mut values = Vec::new();
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            if line == "END" {
                return Ok(Some(Reply::Values(values)));
            }
            if let Some(refused) = refusal(line) {
                return Ok(Some(refused));
            }
            let mut words = line.strip_prefix("VALUE ").ok_or(Malformed)?.split(' ');
            let (Some(key), Some(_), Some(length), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(Malformed);
            };
            let length: usize = length.parse().map_err(|_| Malformed)?;
            if values.len() == most || length > LONGEST_VALUE {
                return Err(Malformed);
            }
            let Some(value) = self.value(length)? else { return Ok(None) };
            values.push((key.as_bytes().to_vec(), value.to_vec()));
        }
    }

    fn value(&mut self, length: usize) -> Read<&'b [u8]> {
        let Some(framed) = self.bytes.get(self.at..self.at + length + 2) else { return Ok(None) };
        self.at += framed.len();
        framed.strip_suffix(b"\r\n").map(Some).ok_or(Malformed)
    }

    /// `STAT <name> <value>`, and so on until `END`.
    fn figures(&mut self) -> Read<Reply> {
        let mut figures = HashMap::new();
        for _ in 0..MOST_FIGURES {
            let Some(line) = self.line()? else { return Ok(None) };
            if line == "END" {
                return Ok(Some(Reply::Figures(figures)));
            }
            if let Some(refused) = refusal(line) {
                return Ok(Some(refused));
            }
            let said = line.strip_prefix("STAT ").ok_or(Malformed)?;
            let (name, value) = said.split_once(' ').unwrap_or((said, ""));
            figures.insert(name.to_owned(), value.to_owned());
        }
        Err(Malformed)
    }
}

fn refusal(line: &str) -> Option<Reply> {
    let is_one = line == "ERROR" || line.starts_with("CLIENT_ERROR ") || line.starts_with("SERVER_ERROR ");
    is_one.then(|| Reply::Refused(line.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: &[u8] = b"VALUE a 0 3\r\nx\r\n\r\nVALUE b 7 0\r\n\r\nEND\r\nrest";

    fn two() -> Reply {
        Reply::Values(vec![(b"a".to_vec(), b"x\r\n".to_vec()), (b"b".to_vec(), Vec::new())])
    }

    #[test]
    fn values_are_read_whole_and_what_follows_is_left() {
        assert_eq!(read(Expect::Values(2), TWO), Ok(Some((two(), TWO.len() - 4))));
        for length in 0..TWO.len() - 4 {
            assert_eq!(read(Expect::Values(2), &TWO[..length]), Ok(None), "{length}");
        }
        assert_eq!(read(Expect::Values(1), b"END\r\n"), Ok(Some((Reply::Values(Vec::new()), 5))));
    }

    #[test]
    fn more_than_was_asked_for_and_what_is_no_answer_is_refused() {
        assert_eq!(read(Expect::Values(1), TWO), Err(Malformed), "a value too many");
        let huge = format!("VALUE a 0 {}\r\n", LONGEST_VALUE + 1);
        assert_eq!(read(Expect::Values(1), huge.as_bytes()), Err(Malformed));
        let endless = "x".repeat(LONGEST_LINE);
        let figures = "STAT a 1\r\n".repeat(MOST_FIGURES);
        for expect in [Expect::Values(1), Expect::Line, Expect::Figures] {
            assert_eq!(read(expect, endless.as_bytes()), Err(Malformed));
            assert_eq!(read(expect, b"END\n"), Err(Malformed), "half of a line's end");
        }
        assert_eq!(read(Expect::Figures, figures.as_bytes()), Err(Malformed));
        for wrong in [
            "VALUE a 0 1\r\nxyz\r\nEND\r\n",
            "VALUE a 0\r\n",
            "VALUE a 0 -1\r\n",
            "VALUE a 0 1 2\r\n",
            "HTTP/1.1 400\r\n",
        ] {
            assert_eq!(read(Expect::Values(1), wrong.as_bytes()), Err(Malformed), "{wrong}");
        }
    }

    #[test]
    fn refusals_lines_and_figures_are_told_apart() {
        let refused = |text: &str| Ok(Some((Reply::Refused(text.into()), text.len() + 2)));
        for text in ["ERROR", "CLIENT_ERROR bad data chunk", "SERVER_ERROR out of memory"] {
            for expect in [Expect::Values(1), Expect::Line, Expect::Figures] {
                assert_eq!(read(expect, format!("{text}\r\n").as_bytes()), refused(text));
            }
        }
        assert_eq!(read(Expect::Line, b"STORED\r\nEND\r\n"), Ok(Some((Reply::Line("STORED".into()), 8))));
        let said = b"STAT version 1.6.18\r\nSTAT empty \r\nEND\r\n";
        let figures = [("version", "1.6.18"), ("empty", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(read(Expect::Figures, said), Ok(Some((Reply::Figures(figures.into()), said.len()))));
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_breaks_it(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
            let damaged = [&TWO[..cut.index(TWO.len())], &bytes[..]].concat();
            for bytes in [&bytes[..], &damaged[..]] {
                for expect in [Expect::Values(2), Expect::Line, Expect::Figures] {
                    if let Ok(Some((_, taken))) = read(expect, bytes) {
                        prop_assert!(taken <= bytes.len());
                    }
                }
            }
        }
    }
}
