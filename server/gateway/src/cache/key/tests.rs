use proptest::prelude::*;
use sluice_policies::cache::{Cache, QueryKey};

use super::*;

/// A request in the words of a key, so small that parts of two requests often meet.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    api: u8,
    revision: Option<u32>,
    route: String,
    https: bool,
    host: String,
    path: String,
    query: Option<String>,
    cookies: Vec<String>,
    authorisation: Vec<String>,
    body: Option<u8>,
    application: Option<u8>,
    forwarded_key: Option<String>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let word = || "[a/?=]{0,2}";
    (
        (0..2_u8, prop::option::of(0..2_u32), word(), any::<bool>(), word(), word()),
        (prop::option::of(word()), prop::collection::vec("[ab]=[ab;]{0,1}", 0..3)),
        (prop::collection::vec("[ab]{1,2}", 0..3), prop::option::of(0..2_u8)),
        (prop::option::of(0..2_u8), prop::option::of("[ab]{1,2}")),
    )
        .prop_map(
            |(
                (api, revision, route, https, host, path),
                (query, cookies),
                (authorisation, body),
                (application, forwarded_key),
            )| {
                Asked {
                    api,
                    revision,
                    route,
                    https,
                    host,
                    path,
                    query,
                    cookies,
                    authorisation,
                    body,
                    application,
                    forwarded_key,
                }
            },
        )
}

fn uuid(byte: u8) -> uuid::Uuid {
    uuid::Uuid::from_bytes([byte; 16])
}

impl Asked {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in &self.cookies {
            headers.append(COOKIE, value.parse().unwrap());
        }
        for value in &self.authorisation {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    /// The shared key and the caller's own.
    fn keys(&self, rule: &CacheRule) -> (Vec<u8>, Option<Vec<u8>>) {
        let headers = self.headers();
        let forwarded_key = self.forwarded_key.as_ref().map(|key| key.parse().unwrap());
        let named = Named {
            api: ApiId(uuid(self.api)),
            revision: self.revision,
            route: &self.route,
            https: self.https,
            host: self.host.as_bytes(),
            path: &self.path,
            query: self.query.as_deref(),
            headers: &headers,
            body: self.body.map(|byte| [byte; 32]),
        };
        let who = Who {
            application: self.application.map(|byte| ApplicationId(uuid(byte + 1))),
            forwarded_key: forwarded_key.as_ref(),
            personal: [AUTHORIZATION, COOKIE].iter().any(|name| headers.contains_key(name)),
        };
        let keys = Keys::new(&named, who, rule);
        assert_eq!(keys.shared().hash, hash(keys.shared().bytes));
        (keys.shared().bytes.to_vec(), keys.caller().map(|key| key.bytes.to_vec()))
    }

    fn without_caller(&self) -> Self {
        let caller = Self { cookies: vec![], authorisation: vec![], application: None, ..self.clone() };
        Self { forwarded_key: None, ..caller }
    }
}

fn rule(settings: Cache) -> CacheRule {
    CacheRule::compile(settings).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..ProptestConfig::default() })]

    #[test]
    fn only_requests_that_are_equal_in_every_word_share(a in asked(), b in asked()) {
        let rule = rule(Cache::default());
        let ((shared_a, own_a), (shared_b, own_b)) = (a.keys(&rule), b.keys(&rule));
        prop_assert_eq!(shared_a == shared_b, a.without_caller() == b.without_caller());
        if own_a.is_some() || own_b.is_some() {
            prop_assert_eq!(own_a == own_b, a == b);
        }
    }

    #[test]
    fn one_word_that_differs_makes_another_key(a in asked(), b in asked(), word in 0..12) {
        let mut other = a.clone();
        match word {
            0 => other.api = b.api,
            1 => other.revision = b.revision,
            2 => other.route = b.route,
            3 => other.https = b.https,
            4 => other.host = b.host,
            5 => other.path = b.path,
            6 => other.query = b.query,
            7 => other.cookies = b.cookies,
            8 => other.authorisation = b.authorisation,
            9 => other.body = b.body,
            10 => other.application = b.application,
            _ => other.forwarded_key = b.forwarded_key,
        }
        let rule = rule(Cache::default());
        prop_assert_eq!(a.keys(&rule) == other.keys(&rule), a == other);
    }

    #[test]
    fn a_key_that_is_read_says_what_it_was_made_of(a in asked()) {
        let rule = rule(Cache { cookies: vec!["a".into(), "b".into()], epoch: 7, ..Cache::default() });
        let (shared, own) = a.keys(&rule);
        let cookies: Vec<Vec<&[u8]>> = ["a=", "b="].map(|name| {
            let pairs = a.cookies.iter().flat_map(|line| line.split(';'));
            pairs.filter_map(|pair| Some(pair.strip_prefix(name)?.as_bytes())).collect()
        }).into();
        let body = a.body.map(|byte| [byte; 32]);
        let parts = Parts {
            https: a.https,
            epoch: 7,
            revision: a.revision,
            body: body.as_ref(),
            route: a.route.as_bytes(),
            host: a.host.as_bytes(),
            path: a.path.as_bytes(),
            query: a.query.as_deref().map(str::as_bytes),
            cookies,
            caller: None,
        };
        prop_assert_eq!(read(&shared, &rule), Some(parts));
        prop_assert_eq!(route(&shared), Some(a.route.as_bytes()));
        if let Some(own) = own {
            let read = read(&own, &rule).unwrap();
            prop_assert_eq!(read.path, a.path.as_bytes());
            let alone = a.application.filter(|_| a.cookies.is_empty() && a.authorisation.is_empty() && a.forwarded_key.is_none());
            prop_assert_eq!(application_of(read.caller.unwrap()), alone.map(|byte| ApplicationId(uuid(byte + 1))));
        }
        // What was cut off is no key.
        prop_assert_eq!(read(&shared[..shared.len() - 1], &rule), None);
    }

    #[test]
    fn chosen_cookies_tell_shared_copies_apart(a in asked(), b in asked()) {
        let rule = rule(Cache { cookies: vec!["a".into()], ..Cache::default() });
        let chosen = |asked: &Asked| -> Vec<String> {
            let pairs = asked.cookies.iter().flat_map(|line| line.split(';')).map(str::to_owned);
            pairs.filter(|pair| pair.starts_with("a=")).collect()
        };
        let same = a.without_caller() == b.without_caller() && chosen(&a) == chosen(&b);
        prop_assert_eq!(a.keys(&rule).0 == b.keys(&rule).0, same);
    }

    #[test]
    fn callers_of_one_application_share_where_the_policy_says_so_and_nobody_else_does(a in asked(), b in asked()) {
        let rule = rule(Cache { separate: Separate::Application, ..Cache::default() });
        let (own_a, own_b) = (a.keys(&rule).1, b.keys(&rule).1);
        let named = a.without_caller() == b.without_caller();
        match (a.application, b.application) {
            (Some(one), Some(other)) => prop_assert_eq!(own_a == own_b, named && one == other),
            (None, None) if own_a.is_some() => prop_assert_eq!(own_a == own_b, a == b),
            (None, None) => {}
            _ => prop_assert!(own_a != own_b),
        }
    }
}

#[test]
fn an_epoch_makes_other_keys_and_a_query_of_no_meaning_makes_none() {
    let asked = Asked {
        api: 1,
        revision: None,
        route: "r".into(),
        https: false,
        host: "h".into(),
        path: "/a".into(),
        query: Some("utm=1&b=2".into()),
        cookies: vec![],
        authorisation: vec![],
        body: None,
        application: None,
        forwarded_key: None,
    };
    let key = |settings: Cache, asked: &Asked| asked.keys(&rule(settings)).0;
    let except = || Cache { query: QueryKey::Except(vec!["utm".into()]), ..Cache::default() };
    let other = Asked { query: Some("b=2&utm=7".into()), ..asked.clone() };
    assert_eq!(key(except(), &asked), key(except(), &other));
    assert_ne!(key(Cache::default(), &asked), key(Cache::default(), &other));
    assert_ne!(key(Cache { epoch: 1, ..except() }, &asked), key(except(), &asked));
    let sorted = || Cache { sort_query: true, ..Cache::default() };
    let turned = Asked { query: Some("b=2&utm=1".into()), ..asked.clone() };
    assert_eq!(key(sorted(), &asked), key(sorted(), &turned));
}

fn get(headers: &HeaderMap) -> Named<'_> {
    Named {
        api: ApiId(uuid(1)),
        revision: None,
        route: "list",
        https: true,
        host: b"api.example.com",
        path: "/items",
        query: Some("page=2"),
        headers,
        body: None,
    }
}

#[test]
fn a_key_says_its_api_and_its_url_and_what_differs_is_named_differently() {
    let (headers, rule) = (HeaderMap::new(), rule(Cache::default()));
    let nobody = Who { application: None, forwarded_key: None, personal: false };
    let keys = Keys::new(&get(&headers), nobody, &rule);
    assert_eq!(api(keys.shared().bytes), Some(ApiId(uuid(1))));
    assert_eq!(api(b"short"), None);
    assert_eq!(keys.query(), b"page=2");
    assert_eq!(keys.url("/items"), url("/items", "page=2"));
    let others = [url("/items", ""), url("/items", "page=3"), url("/item", "page=2"), 0, 1];
    assert!(!others.contains(&url("/items", "page=2")));
    assert_ne!(hash(b"a"), hash(b"b"));
}

#[test]
fn the_same_words_in_another_field_or_cut_elsewhere_are_another_caller() {
    let caller = |lines: &[(http::HeaderName, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        let who = Who { personal: true, ..Who::default() };
        Keys::new(&get(&headers), who, &rule(Cache::default())).caller().unwrap().bytes.to_vec()
    };
    assert_ne!(caller(&[(AUTHORIZATION, "x")]), caller(&[(COOKIE, "x")]));
    assert_ne!(caller(&[(COOKIE, "a"), (COOKIE, "bc")]), caller(&[(COOKIE, "ab"), (COOKIE, "c")]));
}

#[test]
fn a_cookie_alone_is_no_credential() {
    let rule = rule(Cache::default());
    let has_credentials = |field: Option<(http::HeaderName, &'static str)>,
                           application: Option<u8>,
                           key: Option<&'static str>| {
        let headers: HeaderMap =
            field.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        let forwarded_key = key.map(http::HeaderValue::from_static);
        let who = Who {
            application: application.map(|byte| ApplicationId(uuid(byte))),
            forwarded_key: forwarded_key.as_ref(),
            personal: !headers.is_empty(),
        };
        Keys::new(&get(&headers), who, &rule).has_credentials()
    };
    assert!(!has_credentials(None, None, None));
    assert!(!has_credentials(Some((COOKIE, "a=b")), None, None));
    assert!(has_credentials(Some((AUTHORIZATION, "Basic x")), None, None));
    assert!(has_credentials(None, Some(1), None));
    assert!(has_credentials(None, None, Some("k")));
}

#[test]
fn a_purge_names_a_url_as_it_stands_and_none_that_no_request_can_have() {
    let named = |path: &str, query: &str| vec![(path.to_owned(), query.to_owned())];
    assert_eq!(purged_urls(None, "/items?page=2"), named("/items", "page=2"));
    assert_eq!(purged_urls(None, "/a/../items"), named("/items", ""));
    assert_eq!(purged_urls(None, "/%zz"), []);
}
