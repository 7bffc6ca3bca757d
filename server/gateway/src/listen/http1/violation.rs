//! What can be wrong with a message, and what the client is told.

use crate::pipeline::Kind;

macro_rules! violations {
    ($($name:ident: $kind:ident, $message:literal;)+) => {
        /// What is wrong with a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Violation { $($name),+ }

        impl Violation {
            const ALL: &[Self] = &[$(Self::$name),+];

            /// What kind of error the client gets.
            pub fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind),+ }
            }

            /// What to tell the client.
            pub fn message(self) -> &'static str {
                match self { $(Self::$name => $message),+ }
            }
        }
    };
}

violations! {
    BareLineFeed: Framing, "A line of the request ends with LF alone instead of CR LF.";
    FoldedHeader: Framing, "A header field is folded over several lines.";
    LengthAndEncoding: Framing, "The request has both Content-Length and Transfer-Encoding.";
    SeveralLengths: Framing, "The request has several Content-Length values.";
    InvalidLength: Framing, "The Content-Length is not a number.";
    UnknownEncoding: Framing, "The only transfer encoding that is understood is `chunked`, once, in HTTP/1.1.";
    InvalidChunk: Framing, "The chunked body is malformed.";
    NotARequest: BadRequest, "The first line is not a method, a target and HTTP/1.1 or HTTP/1.0, with one space between.";
    InvalidTarget: BadRequest, "The request's target has characters that it may not have.";
    InvalidField: BadRequest, "A header field is not a name, a colon and a value without control characters.";
    TargetTooLong: TargetTooLong, "The request's target is longer than 65,534 bytes.";
    HeadTooLarge: HeadTooLarge, "The request line and the header fields have more bytes than a request may have.";
    TooManyFields: HeadTooLarge, "The request has more header fields than it may have.";
}

impl Violation {
    /// From its number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}
