//! Where a connection is in what it reads.

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::error::Error;
use crate::http1::chunked::{Decoded, Decoder};

/// What the next bytes are.
pub(super) enum Reading {
    Head,
    /// A body of which so many bytes are to come, at least one.
    Length(u64),
    Chunked(Decoder),
    /// A body that ends where the connection does.
    UntilClose,
    /// Another protocol's.
    Switched,
    /// Nobody's: the exchange is over.
    End,
}

/// What the input holds.
pub(super) enum Next {
    Frame(Frame<Bytes>),
    NeedMore,
    End,
}

impl Reading {
    /// Takes the next part of the body out of the input.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Next, Error> {
        match self {
            Self::Length(_) | Self::UntilClose if input.is_empty() => Ok(Next::NeedMore),
            Self::Length(left) => {
                let length = (*left).min(input.len() as u64);
                *left -= length;
                if *left == 0 {
                    *self = Self::End;
                }
                Ok(Next::Frame(Frame::data(input.split_to(length as usize).freeze())))
            }
            Self::UntilClose => Ok(Next::Frame(Frame::data(input.split().freeze()))),
            Self::Chunked(decoder) => {
                let decoded = decoder.decode(input)?;
                if decoder.is_ended() {
                    *self = Self::End;
                }
                Ok(match decoded {
                    Decoded::Data(data) => Next::Frame(Frame::data(data)),
                    Decoded::Trailers(trailers) => Next::Frame(Frame::trailers(trailers)),
                    Decoded::End => Next::End,
                    Decoded::NeedMore => Next::NeedMore,
                })
            }
            Self::Head | Self::Switched | Self::End => Ok(Next::End),
        }
    }

    /// The connection has ended: so has the body, if that is its end.
    pub(super) fn closed(&mut self) -> Result<(), Error> {
        match self {
            Self::UntilClose => {
                *self = Self::End;
                Ok(())
            }
            _ => Err(Error::Incomplete),
        }
    }

    /// Bytes of the body that are to come.
    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::End => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
