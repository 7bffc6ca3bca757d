//! The part of a query that belongs to the key. Two queries that an upstream could tell apart by what is kept must not meet
//! in one key: names are compared as the upstream reads them, decoded, and values stay as they were sent.

use std::borrow::Cow;

use super::spec::QueryKey;

/// [`QueryKey`], with or without the order of the parameters.
#[derive(Clone, Debug)]
pub(super) struct QueryRule {
    pub(super) chosen: QueryKey,
    pub(super) sorted: bool,
}

impl QueryRule {
    /// The part as text; borrowed when it is the whole.
    pub(super) fn key<'q>(&self, query: &'q str) -> Cow<'q, str> {
        if self.is_whole(query) {
            return Cow::Borrowed(query);
        }
        let mut kept = Vec::with_capacity(query.len());
        self.write(query, &mut kept);
        // Cut from text at `&` and `=`, so that it is text.
        String::from_utf8(kept).map_or(Cow::Borrowed(query), Cow::Owned)
    }

    /// Appends the part to a key.
    pub(super) fn write(&self, query: &str, key: &mut Vec<u8>) {
        if self.is_whole(query) {
            return key.extend_from_slice(query.as_bytes());
        }
        let kept = query.split('&').filter(|pair| self.keeps(pair));
        let by_name = |a: &&str, b: &&str| decoded(name(a)).cmp(decoded(name(b)));
        if self.sorted && !kept.clone().is_sorted_by(|a, b| by_name(a, b).is_le()) {
            let mut kept: Vec<&str> = kept.collect();
            // Stable: the order of values of one name is the caller's meaning.
            kept.sort_by(by_name);
            return join(kept.into_iter(), key);
        }
        join(kept, key);
    }

    /// Whether all of it belongs to the key as it stands. Some upstreams divide parameters at `;` too: what one of those
    /// would read cannot be told, so such a query stays whole.
    fn is_whole(&self, query: &str) -> bool {
        match self.chosen {
            QueryKey::All => !self.sorted || query.contains(';'),
            QueryKey::None => query.is_empty(),
            QueryKey::Only(_) | QueryKey::Except(_) => query.contains(';'),
        }
    }

    fn keeps(&self, pair: &str) -> bool {
        let is_in = |names: &[String]| names.iter().any(|listed| decoded(name(pair)).eq(listed.bytes()));
        match &self.chosen {
            QueryKey::All => true,
            QueryKey::None => false,
            QueryKey::Only(names) => is_in(names),
            QueryKey::Except(names) => !is_in(names),
        }
    }
}

fn join<'q>(pairs: impl Iterator<Item = &'q str>, key: &mut Vec<u8>) {
    for (i, pair) in pairs.enumerate() {
        if i > 0 {
            key.push(b'&');
        }
        key.extend_from_slice(pair.as_bytes());
    }
}

fn name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

/// Bytes with `%XX` and `+` decoded, as forms are; a broken escape stands for itself.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        if let (b'%', [high, low, ..]) = (first, after)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            rest = &after[2..];
            return Some(high << 4 | low);
        }
        rest = after;
        Some(if first == b'+' { b' ' } else { first })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(chosen: QueryKey, sorted: bool) -> QueryRule {
        QueryRule { chosen, sorted }
    }

    fn key(rule: &QueryRule, pairs: &[(String, String)]) -> String {
        rule.key(&text(pairs)).into_owned()
    }

    fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
        // Few names, so that they meet; every reserved character in values.
        prop::collection::vec(("[abc]", "[a-c%=+/2]{0,4}"), 0..6)
    }

    fn text(pairs: &[(String, String)]) -> String {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    proptest! {
        #[test]
        fn sorted_queries_do_not_depend_on_the_order_of_names(pairs in pairs(), by in prop::collection::vec(any::<u8>(), 6)) {
            let mut order: Vec<usize> = (0..pairs.len()).collect();
            order.sort_by_key(|&i| (by[i], i));
            // Shuffled, but values of one name keep their order.
            let mut shuffled: Vec<_> = order.iter().map(|&i| pairs[i].clone()).collect();
            for name in ["a", "b", "c"] {
                let mut values = pairs.iter().filter(|(n, _)| n == name).cloned();
                shuffled.iter_mut().filter(|(n, _)| n == name).for_each(|pair| *pair = values.next().unwrap());
            }
            let sorted = rule(QueryKey::All, true);
            prop_assert_eq!(key(&sorted, &pairs), key(&sorted, &shuffled));
        }

        #[test]
        fn sorting_merges_nothing_that_has_other_values_for_some_name(a in pairs(), b in pairs()) {
            let sorted = rule(QueryKey::All, true);
            let values = |pairs: &[(String, String)], name: &str| -> Vec<String> {
                pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
            };
            let same = ["a", "b", "c"].iter().all(|name| values(&a, name) == values(&b, name));
            prop_assert_eq!(key(&sorted, &a) == key(&sorted, &b), same);
        }

        #[test]
        fn a_deny_list_removes_only_what_it_names_and_an_allow_list_keeps_all_of_it(pairs in pairs()) {
            let names = || vec!["b".to_owned()];
            let is_b = |pair: &&(String, String)| pair.0 == "b";
            let others: Vec<_> = pairs.iter().filter(|pair| !is_b(pair)).cloned().collect();
            let b: Vec<_> = pairs.iter().filter(is_b).cloned().collect();
            let (except, only) = (rule(QueryKey::Except(names()), false), rule(QueryKey::Only(names()), false));
            prop_assert_eq!(key(&except, &pairs), text(&others));
            prop_assert_eq!(key(&only, &pairs), text(&b));
        }
    }

    #[test]
    fn names_are_compared_as_the_upstream_reads_them() {
        let only = rule(QueryKey::Only(vec!["page".to_owned(), "a b".to_owned()]), false);
        assert_eq!(only.key("%70age=1&x=2"), "%70age=1");
        assert_ne!(only.key("%70age=1"), only.key("%70age=2"), "an escape hides nothing from the key");
        assert_eq!(only.key("a+b=1&a%20b=2&a%2Bb=3"), "a+b=1&a%20b=2");
        assert_eq!(only.key("page=1;x=2"), "page=1;x=2", "some upstreams divide at `;`");
        assert_eq!(only.key("x=2;page=1"), "x=2;page=1");
        assert_eq!(only.key("page%=1&page"), "page", "a broken escape stands for itself");
    }
}
