//! What a call that no cache policy covers said to caches, for its record: the advisor of caching goes by it. One look at
//! the names of a response's fields; most have none of these.

use std::cell::RefCell;

use http::HeaderMap;
use http::header::{CACHE_CONTROL, VARY};
use sluice_contract::calls::{CacheSign, CacheSigns};

use super::directives::Directives;
use super::freshness;

thread_local! {
    /// The last `Cache-Control` that stood alone, and what it says: most responses of an upstream have the same.
    static LAST: RefCell<(Vec<u8>, CacheSigns)> = RefCell::default();
}

/// Of a response to a request that says who is calling, or does not.
pub(crate) fn signs(personal: bool, headers: &HeaderMap) -> CacheSigns {
    let mut signs = CacheSigns::default();
    if personal {
        signs.add(CacheSign::Personal);
    }
    let (mut varies, mut controls, mut steers) = (false, false, false);
    for name in headers.keys() {
        match name.as_str() {
            "set-cookie" => signs.add(CacheSign::SetsCookie),
            "vary" => varies = true,
            "cache-control" => controls = true,
            "expires" | "cdn-cache-control" | "sluice-cache-control" => steers = true,
            _ => {}
        }
    }
    if varies {
        of_vary(headers, &mut signs);
    }
    if steers {
        of_directives(headers, &mut signs);
    } else if controls {
        of_cache_control(headers, &mut signs);
    }
    signs
}

/// Nothing else says anything of caching.
fn of_cache_control(headers: &HeaderMap, signs: &mut CacheSigns) {
    let mut lines = headers.get_all(CACHE_CONTROL).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return of_directives(headers, signs) };
    LAST.with_borrow_mut(|(last, said)| {
        if last != line.as_bytes() {
            line.as_bytes().clone_into(last);
            *said = CacheSigns::default();
            of_directives(headers, said);
        }
        said.iter().for_each(|sign| signs.add(sign));
    });
}

/// `Accept-Encoding` has few values that differ; anything else may have many.
fn of_vary(headers: &HeaderMap, signs: &mut CacheSigns) {
    let lines = headers.get_all(VARY).iter();
    for name in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
        if name == b"*" {
            signs.add(CacheSign::Forbids);
        } else if !name.is_empty() && !name.eq_ignore_ascii_case(b"accept-encoding") {
            signs.add(CacheSign::Varies);
        }
    }
}

fn of_directives(headers: &HeaderMap, signs: &mut CacheSigns) {
    let directives = Directives::of_response(headers);
    let said = freshness::stated(headers, &directives);
    if said.is_some() {
        signs.add(CacheSign::Lifetime);
    }
    let Directives { no_store, no_cache, private, public, s_maxage, .. } = directives;
    if no_store || no_cache || private || said.is_some_and(|lifetime| lifetime.is_zero()) {
        signs.add(CacheSign::Forbids);
    }
    if public || s_maxage.is_some() {
        signs.add(CacheSign::Public);
    }
}

#[cfg(test)]
mod tests {
    use CacheSign::{Forbids, Lifetime, Personal, Public, SetsCookie, Varies};

    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Vec<CacheSign> {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        signs(false, &headers).iter().collect()
    }

    #[test]
    fn each_field_says_what_it_says_to_the_cache() {
        for (pairs, said) in [
            (&[("content-type", "text/plain"), ("etag", "\"a\"")][..], &[][..]),
            (&[("set-cookie", "a=1")], &[SetsCookie]),
            (&[("vary", "Accept-Encoding,")], &[]),
            (&[("vary", "accept-encoding, Accept-Language")], &[Varies]),
            (&[("vary", "accept-encoding"), ("vary", "*")], &[Forbids]),
            (&[("cache-control", "no-store")], &[Forbids]),
            (&[("cache-control", "private, max-age=9")], &[Forbids, Lifetime]),
            (&[("cache-control", "no-cache")], &[Forbids]),
            (&[("cache-control", "max-age=0")], &[Forbids, Lifetime]),
            (&[("cache-control", "max-age=9")], &[Lifetime]),
            (&[("cache-control", "s-maxage=9")], &[Lifetime, Public]),
            (&[("cache-control", "public")], &[Public]),
            (&[("cache-control", "public"), ("set-cookie", "a=1")], &[SetsCookie, Public]),
            (&[("cache-control", "public"), ("cache-control", "no-store")], &[Forbids, Public]),
            (&[("expires", "0")], &[Forbids, Lifetime]),
            (&[("cache-control", "no-store"), ("cdn-cache-control", "max-age=9")], &[Lifetime]),
            (&[("cache-control", "no-store"), ("sluice-cache-control", "public")], &[Public]),
        ] {
            // The second time from memory.
            assert_eq!([of(pairs), of(pairs)], [said, said], "{pairs:?}");
        }
        assert_eq!(signs(true, &HeaderMap::new()).iter().collect::<Vec<_>>(), [Personal]);
    }
}
