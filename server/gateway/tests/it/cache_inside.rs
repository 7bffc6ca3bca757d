//! What the control plane is told of the cache when it asks, against what callers are served.

use bytes::Bytes;
use http::{Method, Request};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sluice_contract::ids::{ApiId, PurgeId, TenantId};
use sluice_contract::journal::{Change, Purge, PurgeScope};
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::cache::{
    CacheAudience, CacheCallerKind, CacheEntries, CacheEntry, CacheLevel, CacheState,
};
use sluice_contract::rest::purges::SecondLevelAmount;
use sluice_gateway::questions::answer;

use crate::support::{Rig, Upstream, text};

fn cached(settings: Value) -> Value {
    json!({ "policies": [{ "type": "cache", "settings": settings }] })
}

/// Says who asks, in what language, with a cookie and tags.
async fn upstream() -> Upstream {
    Upstream::new(|request: Request<Incoming>| async move {
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let fields = [
            ("cache-control", "public, max-age=60, stale-while-revalidate=9, stale-if-error=30"),
            ("vary", "accept-language, x-api-key"),
            ("surrogate-key", "items user:7"),
            ("set-cookie", "session=never told"),
            ("x-token", "never told"),
            ("x-shown", "this"),
        ];
        text(200, &fields, path)
    })
    .await
}

pub async fn look_up(rig: &Rig, api: ApiId, path: &str, tenant: TenantId) -> CacheEntries {
    let ask = Ask::CacheEntries { api, path: path.to_owned(), host: "gateway.test".to_owned(), https: false };
    match answer(&rig.shared, tenant, ask).await {
        Reply::CacheEntries(entries) => entries,
        other => panic!("{other:?}"),
    }
}

fn header<'e>(entry: &'e CacheEntry, name: &str) -> Option<&'e str> {
    entry.headers.iter().find(|field| field.name == name)?.value.as_deref()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_of_a_url_is_told_part_by_part_without_bodies_and_secrets() {
    let upstream = upstream().await;
    let mut rig = Rig::start();
    let settings = json!({ "store_set_cookie": true, "shared": true, "cookies": ["tier"], "epoch": 3,
        "confirmed": ["store_set_cookie", "shared"], "query": { "mode": "except", "names": ["utm"] } });
    let api = rig.api("a", upstream.address, cached(settings));
    let secret = [("x-api-key", "never told"), ("cookie", "tier=never told"), ("accept-language", "de")];
    rig.get("/acme/a/items?b=2&utm=1", &secret).await;
    rig.get("/acme/a/items?b=2", &[("accept-language", "en")]).await;
    rig.get("/acme/a/items?b=2&utm=3", &[("accept-language", "en")]).await;
    rig.get("/acme/a/items?b=3", &[]).await;
    rig.get("/acme/a/items/1?b=2", &[]).await;

    let told = look_up(&rig, api, "/items?b=2&utm=9", rig.tenant).await;
    assert_eq!(
        (told.entries.len(), told.more, told.second_level),
        (2, 0, SecondLevelAmount::None),
        "{told:?}"
    );
    let whole = serde_json::to_string(&told).unwrap();
    assert!(!whole.contains("never told"), "{whole}");
    let by_language = |language: &str| {
        let varies = |entry: &&CacheEntry| {
            let by = entry.varies_by.iter().find(|field| field.name == "accept-language").unwrap();
            by.value.as_deref() == Some(language)
        };
        told.entries.iter().find(varies).unwrap()
    };
    let (german, english) = (by_language("de"), by_language("en"));
    let key = german.key.as_ref().unwrap();
    assert_eq!((key.tenant.as_str(), key.api.as_str(), key.route.as_str()), ("acme", "a", "all"));
    assert_eq!((key.version, key.epoch, key.method.as_str()), (None, 3, "GET"));
    assert_eq!(
        (key.scheme.as_str(), key.path.as_str(), key.query.as_deref()),
        ("http", "/items", Some("b=2"))
    );
    assert_eq!(key.host, "gateway.test");
    assert_eq!(key.cookies.len(), 1);
    assert_eq!((key.cookies[0].name.as_str(), key.cookies[0].hidden), ("tier", true));
    assert_eq!(english.key.as_ref().unwrap().cookies, []);
    assert_eq!(key.caller.kind, CacheCallerKind::Shared);
    assert_ne!(german.key_hash, english.key_hash, "the cookie is part of the key");
    assert_eq!((german.level, german.state, german.status), (CacheLevel::Memory, CacheState::Fresh, 200));
    assert_eq!(german.for_whom, CacheAudience::Everyone);
    assert_eq!(
        (german.lifetime_s, german.stale_while_revalidate_s, german.stale_if_error_s),
        (60, 9, Some(30))
    );
    assert!((0..=60).contains(&german.fresh_for_s) && german.age_s <= 60);
    assert_eq!(german.fresh_for_s + i64::try_from(german.age_s).unwrap(), 60);
    assert_eq!(german.tags.as_deref(), Some(&["items".to_owned(), "user:7".to_owned()][..]));
    assert_eq!(german.body_bytes, "/items?b=2&utm=1".len() as u64);
    assert!(german.bytes > german.body_bytes);
    assert_eq!((german.hits, english.hits), (Some(0), Some(1)));
    assert_eq!(header(german, "x-shown"), Some("this"));
    for name in ["set-cookie", "x-token"] {
        let hidden = german.headers.iter().find(|field| field.name == name).unwrap();
        assert!(hidden.hidden && hidden.value.is_none(), "{name}");
    }
    let by_key = german.varies_by.iter().find(|field| field.name == "x-api-key").unwrap();
    assert!(by_key.hidden && by_key.value.is_none());

    assert_eq!(look_up(&rig, api, "/items?b=2", TenantId::generate()).await.entries, [], "another tenant");
    assert_eq!(look_up(&rig, ApiId::generate(), "/items?b=2", rig.tenant).await.entries, [], "no such API");
    assert_eq!(look_up(&rig, api, "/items", rig.tenant).await.entries, [], "another URL");
    assert_eq!(look_up(&rig, api, "no path", rig.tenant).await.entries, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_copy_it_is_and_what_purges_and_settings_have_made_of_it_is_told() {
    let upstream = Upstream::new(|_| async { text(200, &[("cache-control", "max-age=60")], "x") }).await;
    let mut rig = Rig::start();
    let own = json!({ "access": "subscription", "policies": [{ "type": "cache", "settings": {} }] });
    let api = rig.api("a", upstream.address, own.clone());
    let (one, two) = (rig.key("one", &[api]), rig.key("two", &[api]));
    rig.get("/acme/a/x", &[("x-api-key", "one")]).await;
    rig.get("/acme/a/x", &[("x-api-key", "two"), ("authorization", "Basic never-told")]).await;
    let told = look_up(&rig, api, "/x", rig.tenant).await;
    let mut callers: Vec<_> = told
        .entries
        .iter()
        .map(|entry| {
            let caller = &entry.key.as_ref().unwrap().caller;
            (caller.kind, caller.application)
        })
        .collect();
    callers.sort_by_key(|(kind, _)| *kind as u8);
    let expected = [
        (CacheCallerKind::Application, Some(one.application)),
        (CacheCallerKind::Credentials, Some(two.application)),
    ];
    assert_eq!(callers, expected);
    assert!(told.entries.iter().all(|entry| entry.for_whom == CacheAudience::Caller));
    assert!(!serde_json::to_string(&told).unwrap().contains("never-told"));

    let scope = PurgeScope::Application { application: one.application };
    let purge =
        Purge { id: PurgeId::generate(), scope, tenant: Some(rig.tenant), soft: true, changed: false };
    rig.apply(Change::Purge(purge));
    let states = async |rig: &Rig| {
        let told = look_up(rig, api, "/x", rig.tenant).await;
        let mut states: Vec<_> =
            told.entries.iter().map(|entry| (entry.state, entry.fresh_for_s > 0)).collect();
        states.sort_by_key(|(state, _)| *state as u8);
        states
    };
    assert_eq!(states(&rig).await, [(CacheState::Fresh, true), (CacheState::SoftlyPurged, false)]);

    // Its key was made by other settings.
    let other = json!({ "access": "subscription", "policies": [{ "type": "cache", "settings": { "cookies": ["a"] } }] });
    rig.api("a", upstream.address, other);
    let told = look_up(&rig, api, "/x", rig.tenant).await;
    assert!(told.entries.iter().all(|entry| entry.key.is_none()), "{told:?}");
    assert_eq!(told.entries.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_old_a_response_is_and_for_how_long_it_is_fresh_is_told_and_no_key_of_a_caller() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        let age = request.uri().path().trim_start_matches('/').to_owned();
        text(200, &[("cache-control", "public, max-age=100"), ("age", &age), ("x-who", "never told")], "x")
    })
    .await;
    let mut rig = Rig::start();
    let keys = json!({ "type": "key-auth", "settings": { "header": "x-who" } });
    let policies = json!([{ "type": "cache", "settings": {} }, keys]);
    let api = rig.api("a", upstream.address, json!({ "policies": policies }));
    for (path, state, age) in [("/40", CacheState::Fresh, 40), ("/140", CacheState::Stale, 140)] {
        rig.get(&format!("/acme/a{path}"), &[]).await;
        let told = look_up(&rig, api, path, rig.tenant).await;
        let [entry] = &told.entries[..] else { panic!("{told:?}") };
        assert_eq!((entry.state, entry.key.as_ref().unwrap().scheme.as_str()), (state, "http"));
        assert!((age..age + 20).contains(&entry.age_s), "{entry:?}");
        assert_eq!(entry.fresh_for_s + i64::try_from(entry.age_s).unwrap(), 100);
        assert!(header(entry, "x-who").is_none(), "{entry:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_told_the_key_by_which_people_find_what_they_were_answered_with() {
    let vary = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
    let upstream = Upstream::new(move |request: Request<Incoming>| async move {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        if request.headers().contains_key("if-none-match") {
            text(304, &vary, "")
        } else {
            text(200, &vary, "x")
        }
    })
    .await;
    let mut rig = Rig::start();
    let api = rig.api("a", upstream.address, cached(json!({})));
    let (miss, joined) = tokio::join!(rig.get("/acme/a/x", &[]), rig.get("/acme/a/x", &[]));
    let plain = rig.get("/acme/a/x", &[]).await;
    let looked_at = rig.get("/acme/a/x", &[("if-none-match", "\"b\"")]).await;
    let own = rig.get("/acme/a/x", &[("authorization", "Basic eA==")]).await;
    let told = look_up(&rig, api, "/x", rig.tenant).await;
    let shared = told.entries.iter().find(|entry| entry.for_whom == CacheAudience::Anonymous).unwrap();
    let caller = told.entries.iter().find(|entry| entry.for_whom == CacheAudience::Caller).unwrap();
    assert_ne!(shared.key_hash, caller.key_hash);
    let validated = rig.get("/acme/a/x", &[("cache-control", "no-cache")]).await;
    let mut beginnings = vec![];
    for (seen, entry) in [
        (miss, shared),
        (joined, shared),
        (plain, shared),
        (looked_at, shared),
        (own, caller),
        (validated, shared),
    ] {
        let said = seen.header("cache-status");
        let (before, behind) = said.split_once("; key=").unwrap_or((said, "none"));
        assert_eq!(behind, format!("\"{}\"", entry.key_hash), "{said}");
        beginnings.push(before.trim_end_matches(|sign: char| sign.is_ascii_digit()).to_owned());
    }
    beginnings[..2].sort();
    assert_eq!(
        beginnings,
        [
            "sluice; fwd=uri-miss; collapsed",
            "sluice; fwd=uri-miss; stored",
            "sluice; hit; ttl=",
            "sluice; hit; ttl=",
            "sluice; fwd=uri-miss; stored",
            "sluice; fwd=request; fwd-status=304; stored",
        ]
    );
    // What was validated has the hits that it had before.
    let told = look_up(&rig, api, "/x", rig.tenant).await;
    let hits = |audience| told.entries.iter().find(|entry| entry.for_whom == audience).unwrap().hits;
    assert_eq!((hits(CacheAudience::Anonymous), hits(CacheAudience::Caller)), (Some(2), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_bounded_however_many_copies_there_are_and_a_question_in_a_body_is_told_by_its_digest() {
    let fields = [("cache-control", "public, max-age=60"), ("x-long", &"y".repeat(2_000))];
    let fields: Vec<(String, String)> =
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let upstream = Upstream::new(move |_| {
        let fields = fields.clone();
        async move {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            text(200, &fields, "x")
        }
    })
    .await;
    let mut rig = Rig::start();
    let api = rig.api("a", upstream.address, cached(json!({ "post_max_body_bytes": 1000 })));
    for n in 0..150 {
        let body = Bytes::from(n.to_string());
        rig.send(Method::POST, "/acme/a/search", &[], body).await;
    }
    let told = look_up(&rig, api, "/search", rig.tenant).await;
    assert_eq!(told.entries.len() as u64 + told.more, 150);
    assert!(told.more > 80, "{}", told.more);
    let key = told.entries[0].key.as_ref().unwrap();
    assert_eq!((key.method.as_str(), key.body.as_ref().map(String::len)), ("POST", Some(16)));
    assert_eq!(header(&told.entries[0], "x-long").map(str::len), Some(512 + 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_fields_are_told_of_fewer_copies() {
    const LONG: usize = 10_000;
    let long = "y".repeat(LONG);
    let upstream = Upstream::new(move |_| {
        let answer = text(200, &[("cache-control", "public, max-age=60"), ("x-long", &long)], "x");
        async move { answer }
    })
    .await;
    let mut rig = Rig::start();
    let api = rig.api("a", upstream.address, cached(json!({ "post_max_body_bytes": 1000 })));
    for n in 0..40 {
        rig.send(Method::POST, "/acme/a/search", &[], Bytes::from(n.to_string())).await;
    }
    let told = look_up(&rig, api, "/search", rig.tenant).await;
    let most = (256 << 10) / LONG;
    assert!((1..=most).contains(&told.entries.len()), "{}", told.entries.len());
    assert_eq!(told.entries.len() as u64 + told.more, 40);
}
