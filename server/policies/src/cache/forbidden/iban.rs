//! International bank account numbers (ISO 13616) in text that arrives in pieces: upper case, in one piece or in groups with
//! single spaces, as long as the country's are, with the right check digits.

const LONGEST: usize = 34;

/// Countries and the lengths of their numbers.
static COUNTRIES: [(&[u8; 2], u8); 87] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
];

/// Where in the text the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    #[default]
    Other,
    /// A letter in lower case, or another word's part: nothing begins here.
    Word,
    Inside,
    Space,
}

/// The last letters and digits of a run, the newest last.
#[derive(Clone, Debug)]
pub(super) struct Ibans {
    text: [u8; LONGEST],
    /// Bit 0 is the newest character's: whether a number may begin with it.
    begins: u64,
    before: Before,
}

impl Default for Ibans {
    fn default() -> Self {
        Self { text: [0; LONGEST], begins: 0, before: Before::default() }
    }
}

impl Ibans {
    /// Whether there is one.
    pub(super) fn see(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|&byte| self.step(byte))
    }

    fn step(&mut self, byte: u8) -> bool {
        use Before::{Inside, Other, Space, Word};
        let before = self.before;
        match byte {
            b'A'..=b'Z' | b'0'..=b'9' if before != Word => {
                if before == Other {
                    self.begins = 0;
                }
                self.before = Inside;
                self.text.rotate_left(1);
                self.text[LONGEST - 1] = byte;
                let may_begin = before != Inside && byte.is_ascii_uppercase();
                self.begins = self.begins << 1 | u64::from(may_begin);
                return self.is_iban();
            }
            b' ' if before == Inside => self.before = Space,
            _ if byte.is_ascii_alphanumeric() => self.before = Word,
            _ => self.before = Other,
        }
        false
    }

    fn is_iban(&self) -> bool {
        // Only what began 15 to 34 characters ago.
        let mut begins = self.begins & ((1 << LONGEST) - 1) & !((1 << 14) - 1);
        while begins != 0 {
            let length = begins.trailing_zeros() as usize + 1;
            begins &= begins - 1;
            let number = &self.text[LONGEST - length..];
            if is_of_country(number) && checks(number) {
                return true;
            }
        }
        false
    }
}

fn is_of_country(number: &[u8]) -> bool {
    let country = number.first_chunk::<2>();
    let known = COUNTRIES.iter().find(|(name, _)| Some(*name) == country);
    known.is_some_and(|(_, length)| usize::from(*length) == number.len())
        && number[2..4].iter().all(u8::is_ascii_digit)
}

/// The first four behind the others, letters as two digits each: the remainder by 97 is one.
fn checks(number: &[u8]) -> bool {
    let (first, rest) = number.split_at(4);
    let remainder = rest.iter().chain(first).fold(0_u32, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        letter => (remainder * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    remainder == 1
}
