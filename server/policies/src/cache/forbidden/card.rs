//! Numbers of payment cards in text that arrives in pieces: 13 to 19 digits, in groups or not, that an issuer gives out and
//! whose check digit is right (ISO/IEC 7812-1, Luhn).

const LONGEST: usize = 19;

/// Where in the text the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    #[default]
    Other,
    Digit,
    /// One space or hyphen behind a digit.
    Separator,
    /// A point behind a digit: what follows are decimals.
    Point,
    Decimal,
}

/// The last digits of a run, the newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Cards {
    digits: [u8; LONGEST],
    /// Bit 0 is the newest digit's: whether a group begins with it.
    begins: u32,
    length: usize,
    before: Before,
}

impl Cards {
    /// Whether there is one, up to the last byte that cannot be part of it any more.
    pub(super) fn see(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|&byte| self.step(byte))
    }

    /// Whether the text ends with one.
    pub(super) fn end(&self) -> bool {
        self.before == Before::Digit && self.is_card()
    }

    fn step(&mut self, byte: u8) -> bool {
        use Before::{Decimal, Digit, Other, Point, Separator};
        let before = self.before;
        self.before = match (byte, before) {
            (b'0'..=b'9', Point | Decimal) => Decimal,
            (b'0'..=b'9', _) => {
                if before == Other {
                    (self.length, self.begins) = (0, 0);
                }
                self.push(byte - b'0', before != Digit);
                return self.set(Digit);
            }
            (b' ' | b'-', Digit) => Separator,
            (b'.', Digit) => Point,
            _ => Other,
        };
        before == Digit && self.is_card()
    }

    fn set(&mut self, before: Before) -> bool {
        self.before = before;
        false
    }

    fn push(&mut self, digit: u8, begins: bool) {
        self.digits.rotate_left(1);
        self.digits[LONGEST - 1] = digit;
        self.begins = self.begins << 1 | u32::from(begins);
        self.length = (self.length + 1).min(LONGEST + 1);
    }

    /// Whether whole groups at the end of the run are a number.
    fn is_card(&self) -> bool {
        (13..=LONGEST.min(self.length)).any(|length| {
            self.begins >> (length - 1) & 1 == 1 && {
                let number = &self.digits[LONGEST - length..];
                is_issued(number) && luhn(number)
            }
        })
    }
}

/// Whether an issuer gives out numbers that begin so and are so long.
fn is_issued(number: &[u8]) -> bool {
    let first =
        |count: usize| number[..count].iter().fold(0_u32, |value, digit| value * 10 + u32::from(*digit));
    match (first(1), first(2), first(4), number.len()) {
        (4, _, _, length) => matches!(length, 13 | 16 | 19),
        (_, 34 | 37, _, length) => length == 15,
        (_, 30 | 36 | 38 | 39, _, length) => length >= 14,
        (_, 51..=55, _, length) | (_, _, 2221..=2720, length) => length == 16,
        (_, _, 3528..=3589, length) => length >= 16,
        (_, 50 | 56..=58, _, _) => true,
        (6, _, _, length) => length >= 16,
        _ => false,
    }
}

/// Every second digit from the right counts twice, its own digits added; all together are a multiple of ten.
fn luhn(number: &[u8]) -> bool {
    let value = |(place, digit): (usize, &u8)| match (place % 2, u32::from(*digit)) {
        (0, digit) => digit,
        (_, digit) if digit > 4 => digit * 2 - 9,
        (_, digit) => digit * 2,
    };
    number.iter().rev().enumerate().map(value).sum::<u32>().is_multiple_of(10)
}
