//! Fields that are meant for caches like this one (RFC 9213): they stand in place of `Cache-Control` and `Expires`.

use http::HeaderMap;
use http::header::HeaderName;
use sfv::{Dictionary, ListEntry, Parser};

use super::directives::Directives;

/// The most particular first.
static FIELDS: [HeaderName; 2] =
    [HeaderName::from_static("sluice-cache-control"), HeaderName::from_static("cdn-cache-control")];

/// What the first of the fields says that is there, well-formed and not empty.
pub(super) fn directives(headers: &HeaderMap) -> Option<Directives> {
    FIELDS.iter().find_map(|field| of(headers, field))
}

fn of(headers: &HeaderMap, field: &HeaderName) -> Option<Directives> {
    let lines: Vec<&[u8]> = headers.get_all(field).iter().map(|line| line.as_bytes()).collect();
    if lines.is_empty() {
        return None;
    }
    let dictionary = Parser::new(&lines.join(&b", "[..])).parse::<Dictionary>().ok()?;
    if dictionary.is_empty() {
        return None;
    }
    let mut found = Directives { targeted: true, ..Directives::default() };
    for (name, entry) in &dictionary {
        let item = match entry {
            ListEntry::Item(item) => Some(&item.bare_item),
            ListEntry::InnerList(_) => None,
        };
        match item.map(|item| (item.as_boolean(), item.as_integer())) {
            // `no-store=?0` says that it does not hold.
            Some((Some(false), _)) => {}
            // In `Cache-Control` these would name a field.
            Some(_) if matches!(name.as_str(), "no-cache" | "private") => found.set(name.as_str(), None),
            Some((_, Some(number))) => found.set(name.as_str(), Some(&number.to_string())),
            _ => found.set(name.as_str(), None),
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_pairs(pairs: &[(&'static str, &'static str)]) -> Directives {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        Directives::of_response(&headers)
    }

    #[test]
    fn a_targeted_field_stands_in_place_of_the_general_one() {
        let found =
            of_pairs(&[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60, private=?0")]);
        assert_eq!((found.max_age, found.no_store, found.private), (Some(60), false, false));
        assert!(found.targeted, "`Expires` does not count beside it");
        let ours = of_pairs(&[
            ("cdn-cache-control", "max-age=60"),
            ("sluice-cache-control", "max-age=5"),
            ("sluice-cache-control", "must-revalidate"),
        ]);
        assert_eq!((ours.max_age, ours.must_revalidate), (Some(5), true));
    }

    #[test]
    fn what_is_malformed_or_empty_is_as_if_it_were_not_there() {
        for bad in ["", "max-age=", "max-age=5,", "MAX-AGE=5", "max-age=5, \"x\""] {
            let found = of_pairs(&[("cache-control", "no-store"), ("cdn-cache-control", bad)]);
            assert!(found.no_store && !found.targeted, "{bad}");
        }
    }

    #[test]
    fn numbers_of_another_type_count_as_stale() {
        for odd in ["max-age=\"5\"", "max-age=5.5", "max-age=-5", "max-age", "max-age=(5)"] {
            let leaked: &'static str = odd;
            assert_eq!(of_pairs(&[("cdn-cache-control", leaked)]).max_age, Some(0), "{odd}");
        }
        assert_eq!(of_pairs(&[("cdn-cache-control", "max-age=5;x=y")]).max_age, Some(5));
        let found = of_pairs(&[("cdn-cache-control", "private=5, no-cache=\"x\"")]);
        assert!(found.private && found.no_cache && found.withheld.is_empty(), "no fields are named here");
    }
}
