//! YAML to JSON text, so that there is one reader. Written out as it is read: no tree is built.
//!
//! Aliases are expanded by the parser within its own limits; the text that comes out is bounded here.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A document of the largest allowed size grows by quotes and escapes, hardly ever by half.
const MOST_JSON_BYTES: usize = 64 << 20;
/// Nodes and events of the largest document that is taken.
const MOST_EVENTS: usize = 8_000_000;
const MOST_DEPTH: usize = 64;

/// The document as JSON text.
///
/// # Errors
/// Says where the document is not YAML, or which limit it exceeds.
pub(crate) fn to_json(text: &str) -> Result<String, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: MOST_EVENTS,
            max_nodes: MOST_EVENTS,
            max_depth: MOST_DEPTH,
        },
        // The message goes into a problem of its own: an excerpt of the document does not belong there.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Json>(text, options)
        .map(|json| json.0)
        .map_err(|error| error.to_string().trim_end_matches('.').to_owned())
}

/// JSON text.
struct Json(String);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let out = RefCell::new(String::new());
        Writer { out: &out }.deserialize(deserializer)?;
        Ok(Self(out.into_inner()))
    }
}

/// Appends what it reads to `out`.
#[derive(Clone, Copy)]
struct Writer<'o> {
    out: &'o RefCell<String>,
}

impl Writer<'_> {
    fn put<E: Error>(self, text: &str) -> Result<(), E> {
        let mut out = self.out.borrow_mut();
        if out.len() + text.len() > MOST_JSON_BYTES {
            return Err(E::custom(format_args!("it expands to more than {} MiB", MOST_JSON_BYTES >> 20)));
        }
        out.push_str(text);
        Ok(())
    }

    fn put_json<E: Error>(self, value: impl serde::Serialize) -> Result<(), E> {
        self.put(&serde_json::to_string(&value).map_err(E::custom)?)
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put("null")
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.put("null")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.put_json(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.put_json(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.put_json(value)
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<(), E> {
        self.put(&value.to_string())
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<(), E> {
        self.put(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        // Infinity and NaN have no JSON; serde_json writes null for them.
        self.put_json(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.put_json(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.put("[")?;
        let mut first = true;
        loop {
            let before = self.out.borrow().len();
            if !first {
                self.put(",")?;
            }
            if seq.next_element_seed(self)?.is_none() {
                self.out.borrow_mut().truncate(before);
                return self.put("]");
            }
            first = false;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.put("{")?;
        let mut first = true;
        // Keys such as `200` are numbers in YAML and names in JSON.
        while let Some(key) = map.next_key::<String>()? {
            if !first {
                self.put(",")?;
            }
            first = false;
            self.put_json(key)?;
            self.put(":")?;
            map.next_value_seed(self)?;
        }
        self.put("}")
    }
}
