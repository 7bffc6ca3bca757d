//! Which requests a stored response answers (RFC 9111 §4.1).

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderName};

/// Header names that make a difference, each with the value of the request that was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selecting(Box<[(HeaderName, Value)]>);

/// None: the request did not have the field.
type Value = Option<Box<[u8]>>;

impl Selecting {
    /// What `Vary` of a response and the policy name, taken from the request.
    pub(super) fn new(response: &HeaderMap, policy: &[HeaderName], request: &HeaderMap) -> Self {
        let listed =
            response.get_all(VARY).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
        let listed = listed.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        let mut names: Vec<HeaderName> = listed.chain(policy.iter().cloned()).collect();
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Self(names.into_iter().map(|name| (name.clone(), normal(request, &name))).collect())
    }

    /// Whether another request would get the same response.
    pub(super) fn matches(&self, request: &HeaderMap) -> bool {
        self.0.iter().all(|(name, value)| match (value, request.get(name)) {
            (None, None) => true,
            (Some(value), Some(_)) => normal(request, name).as_ref() == Some(value),
            _ => false,
        })
    }

    /// The same headers with the values of a request; names are in their order.
    pub(super) fn of_request(names: &[HeaderName], request: &HeaderMap) -> Self {
        Self(names.iter().map(|name| (name.clone(), normal(request, name))).collect())
    }

    /// What [`Self::fields`] gave.
    pub(super) fn of(fields: Vec<(HeaderName, Value)>) -> Self {
        Self(fields.into_boxed_slice())
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&HeaderName, Option<&[u8]>)> {
        self.0.iter().map(|(name, value)| (name, value.as_deref()))
    }

    pub(super) fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|(name, value)| 48 + name.as_str().len() + value.as_ref().map_or(0, |v| v.len()))
            .sum()
    }
}

/// The values of a field in one form: lines joined, white space around list items gone.
fn normal(headers: &HeaderMap, name: &HeaderName) -> Value {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let items = lines.flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    let mut items: Vec<&[u8]> = items.collect();
    // What is preferred is said by weights, not by order or case (RFC 9110 §12.4.2).
    let is_preference = [ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name);
    if is_preference {
        items.sort_by_key(|item| item.to_ascii_lowercase());
    }
    let joined = items.join(&b","[..]);
    Some(if is_preference { joined.to_ascii_lowercase() } else { joined }.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_named_headers_make_a_difference() {
        let response = map(&[("vary", "Accept , Accept-Language"), ("vary", "X-Absent")]);
        let policy = ["x-tier".parse().unwrap()];
        let asked = map(&[("accept", "a, b"), ("x-tier", "1"), ("user-agent", "x")]);
        let selecting = Selecting::new(&response, &policy, &asked);
        assert!(selecting.matches(&map(&[("accept", "a"), ("accept", " b"), ("x-tier", "1")])));
        assert!(!selecting.matches(&map(&[("accept", "b, a"), ("x-tier", "1")])));
        assert!(!selecting.matches(&map(&[("accept", "a, b"), ("x-tier", "2")])));
        assert!(!selecting.matches(&map(&[("accept", "a, b"), ("x-tier", "1"), ("x-absent", "")])));
        assert!(!selecting.matches(&map(&[("x-tier", "1")])));
        assert!(!selecting.matches(&map(&[("accept", "A, b"), ("x-tier", "1")])), "case may matter here");
        let turned = map(&[("vary", "x-absent, accept-language, accept, accept")]);
        assert_eq!(selecting, Selecting::new(&turned, &policy, &asked), "in any order, and once");
    }

    #[test]
    fn a_name_that_is_none_takes_no_other_along() {
        let vary = HeaderMap::from_iter([(VARY, b"caf\xe9, accept".as_slice().try_into().unwrap())]);
        assert!(!Selecting::new(&vary, &[], &map(&[("accept", "a")])).matches(&map(&[("accept", "b")])));
    }

    #[test]
    fn the_memory_of_what_is_compared_is_counted() {
        let of = |names: &'static str| {
            Selecting::new(&map(&[("vary", names)]), &[], &map(&[("x-a", "123")])).bytes()
        };
        assert_eq!(
            (of(""), of("x-a"), of("x-bc"), of("x-a, x-bc")),
            (0, 48 + 3 + 3, 48 + 4, 48 + 6 + 48 + 4)
        );
    }

    #[test]
    fn what_is_kept_elsewhere_comes_back_as_it_was() {
        let names: [HeaderName; 2] = ["accept".parse().unwrap(), "x-absent".parse().unwrap()];
        let asked = map(&[("accept", "a , b"), ("user-agent", "x")]);
        let made = Selecting::of_request(&names, &asked);
        assert!(made.matches(&asked) && !made.matches(&map(&[("accept", "c")])));
        let fields: Vec<(HeaderName, Value)> =
            made.fields().map(|(name, value)| (name.clone(), value.map(Box::from))).collect();
        let [accept, absent] = names;
        assert_eq!(fields, [(accept, Some(Box::from(*b"a,b"))), (absent, None)]);
        assert_eq!(Selecting::of(fields), made);
    }

    #[test]
    fn order_and_case_of_preferences_make_no_difference() {
        let response = map(&[("vary", "accept-language, accept")]);
        let selecting =
            Selecting::new(&response, &[], &map(&[("accept-language", "en, de;q=0.5"), ("accept", "a, b")]));
        assert!(selecting.matches(&map(&[("accept-language", "DE;Q=0.5,en"), ("accept", "a, b")])));
        assert!(!selecting.matches(&map(&[("accept-language", "de, en"), ("accept", "a, b")])));
        assert!(!selecting.matches(&map(&[("accept-language", "en, de;q=0.5"), ("accept", "b, a")])));
    }
}
