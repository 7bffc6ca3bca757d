//! What reading and writing HTTP/1.1 has in common on both sides: header fields, and the chunked coding of bodies.
//!
//! Heads are taken apart by `httparse`; what is here decides what two readers of the same bytes could see differently.

pub mod chunked;
pub mod fields;

/// What is wrong with the bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a chunk's size is not a hexadecimal number")]
    ChunkSize,
    #[error("a chunk's size has more than 16 digits")]
    ChunkTooLarge,
    #[error("a chunk is longer than its size")]
    ChunkEnd,
    #[error("a chunk's extension has a control character")]
    ChunkExtension,
    #[error("the chunks' extensions are too large")]
    ExtensionsTooLarge,
    #[error("a line of the chunked coding ends without CR")]
    BareLineFeed,
    #[error("the trailers are too large, or too many")]
    TrailersTooLarge,
    #[error("a field's name or value has a character that it must not have")]
    Field,
}
