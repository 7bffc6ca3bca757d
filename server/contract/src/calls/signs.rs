//! What the messages of a call said that matters to who thinks of a cache for its route.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// One thing that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum CacheSign {
    /// The request had `Authorization` or a cookie.
    Personal = 1,
    /// The response has `Set-Cookie`.
    SetsCookie = 2,
    /// The response has `Vary` with more than `Accept-Encoding`.
    Varies = 4,
    /// The response forbids a shared cache to answer with it again without asking: `no-store`, `private`, `no-cache`, `Vary: *`, or
    /// a lifetime of nothing.
    Forbids = 8,
    /// The response says itself how long it is fresh.
    Lifetime = 16,
    /// The response is for everybody, whoever asked: `public` or `s-maxage`.
    Public = 32,
}

impl CacheSign {
    /// Every sign, in their order.
    pub const ALL: [Self; 6] =
        [Self::Personal, Self::SetsCookie, Self::Varies, Self::Forbids, Self::Lifetime, Self::Public];
}

/// What was said, all of it. Written as the list of their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheSigns(u8);

impl CacheSigns {
    /// Every sign that there is.
    const KNOWN: u8 = 63;

    pub fn add(&mut self, sign: CacheSign) {
        self.0 |= sign as u8;
    }

    pub fn has(self, sign: CacheSign) -> bool {
        self.0 & sign as u8 != 0
    }

    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// One bit for each sign.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// None: there is a bit that stands for nothing.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (bits & !Self::KNOWN == 0).then_some(Self(bits))
    }

    pub fn iter(self) -> impl Iterator<Item = CacheSign> {
        CacheSign::ALL.into_iter().filter(move |sign| self.has(*sign))
    }
}

impl FromIterator<CacheSign> for CacheSigns {
    fn from_iter<I: IntoIterator<Item = CacheSign>>(signs: I) -> Self {
        let mut all = Self::default();
        signs.into_iter().for_each(|sign| all.add(sign));
        all
    }
}

impl Serialize for CacheSigns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for CacheSigns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<CacheSign>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_a_bit_each_and_a_name_each() {
        let all: CacheSigns = CacheSign::ALL.into_iter().collect();
        assert_eq!(all.bits(), CacheSigns::KNOWN);
        assert_eq!(CacheSigns::from_bits(64), None);
        let some: CacheSigns = [CacheSign::Public, CacheSign::SetsCookie].into_iter().collect();
        let text = serde_json::to_string(&some).unwrap();
        assert_eq!(text, r#"["sets_cookie","public"]"#);
        assert_eq!(serde_json::from_str::<CacheSigns>(&text).unwrap(), some);
        assert_eq!(CacheSigns::from_bits(some.bits()), Some(some));
    }
}
