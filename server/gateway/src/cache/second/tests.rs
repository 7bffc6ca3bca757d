use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderValue;
use http::header::{ACCEPT, COOKIE};
use sluice_contract::link::SecondLevelState;

use super::*;
use crate::cache::labels::Label;
use crate::cache::purges::Strength;
use crate::cache::rules::{Audience, Storable};

const SECOND: u64 = 1_000_000_000;

/// A second level whose thread is this test, and what it is asked.
struct Thread {
    second: Arc<SecondLevel>,
    orders: mpsc::Receiver<Order>,
    questions: mpsc::Receiver<Question>,
}

/// One order and one question can wait.
fn thread(kind: SecondLevelKind) -> Thread {
    let ((orders, order_receiver), (questions, question_receiver)) = (mpsc::channel(1), mpsc::channel(1));
    let nodes = Nodes::new(["one".to_owned()]);
    let second = SecondLevel {
        orders,
        questions,
        state: Arc::new(State { nodes, stats: Stats::default(), queued: AtomicU64::new(0) }),
        changes: None,
        kind,
        patience: Duration::from_secs(5),
        queue_max_bytes: 1 << 20,
        boot: 9,
    };
    Thread { second: Arc::new(second), orders: order_receiver, questions: question_receiver }
}

fn location() -> Location {
    Location::new(EnvironmentId::generate(), ApiId::generate(), "/", b"")
}

fn sharing(purges: ApiPurges) -> Sharing {
    Sharing { location: location(), incarnation: IncarnationId::generate(), purges: Arc::new(purges) }
}

/// Fetched at the first second, fresh for ten minutes.
fn stored(body: usize, change: impl Fn(&mut Storable)) -> Stored {
    let stamp = Stamp { position: 5, at: SECOND };
    let mut stored =
        Stored::for_tests(HeaderMap::new(), Bytes::from(vec![0; body]), stamp, Audience::Everyone);
    stored.arrived = SECOND;
    stored.storable.lifetime = Duration::from_secs(600);
    change(&mut stored.storable);
    stored
}

fn origin(boot: u64, at: u64, begun_ms: u64) -> Origin {
    let incarnation = IncarnationId::generate();
    Origin { incarnation, position: 5, boot, at, begun_ms, made_ms: begun_ms }
}

#[test]
fn each_url_of_each_api_in_each_environment_has_a_place_of_its_own() {
    let (environment, api) = (EnvironmentId::generate(), ApiId::generate());
    let one = Location::new(environment, api, "/a", b"b");
    assert_eq!(one, Location::new(environment, api, "/a", b"b"));
    for other in [
        Location::new(EnvironmentId::generate(), api, "/a", b"b"),
        Location::new(environment, ApiId::generate(), "/a", b"b"),
        Location::new(environment, api, "/b", b"b"),
        Location::new(environment, api, "/a", b"c"),
        // Where the path ends counts, too.
        Location::new(environment, api, "/ab", b""),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn variants_differ_by_the_names_and_values_of_their_headers_and_by_whether_there_are_any() {
    let of = |fields: &[(HeaderName, Option<&str>)]| {
        let value = |text: &str| text.as_bytes().into();
        let fields = fields.iter().map(|(name, text)| (name.clone(), text.map(value)));
        variant(&[7; 32], &Selecting::of(fields.collect()))
    };
    let all = [
        of(&[]),
        of(&[(ACCEPT, None)]),
        of(&[(ACCEPT, Some(""))]),
        of(&[(ACCEPT, Some("a"))]),
        of(&[(COOKIE, Some("a"))]),
        of(&[(ACCEPT, Some("a")), (COOKIE, None)]),
    ];
    for (number, one) in all.iter().enumerate() {
        assert!(!all[..number].contains(one), "{number}");
    }
}

#[test]
fn what_is_of_no_use_to_others_is_not_handed_on_and_the_rest_for_as_long_as_it_can_be_served() {
    const LIMIT: u64 = LONGEST.as_secs();
    let millis = Duration::from_millis;
    let stale = |storable: &mut Storable| {
        (storable.while_revalidate, storable.if_error) = (millis(3_000), Some(millis(7_000)));
    };
    let keeps = |body, change: &dyn Fn(&mut Storable), now| worth_keeping(&stored(body, change), now);
    assert_eq!(keeps(MOST_BYTES, &|_| (), SECOND), Some(600));
    assert_eq!(keeps(MOST_BYTES + 1, &|_| (), SECOND), None, "too large");
    assert_eq!(keeps(1, &|_| (), 11 * SECOND), Some(590), "it is ten seconds old");
    assert_eq!(keeps(1, &|_| (), 602 * SECOND), None, "it is stale");
    assert_eq!(keeps(1, &|storable| storable.no_cache = true, SECOND), None, "it has to be validated");
    assert_eq!(keeps(1, &stale, SECOND), Some(607), "while it stands in for errors, too");
    let behind = |storable: &mut Storable| storable.while_revalidate = millis(9_000);
    assert_eq!(keeps(1, &behind, SECOND), Some(609));
    let strict = |storable: &mut Storable| {
        stale(storable);
        storable.must_revalidate = true;
    };
    assert_eq!(keeps(1, &strict, SECOND), Some(600), "never stale");
    assert_eq!(keeps(1, &|storable| storable.lifetime = millis(999), SECOND), None, "less than a second");
    assert_eq!(keeps(1, &|storable| storable.lifetime = millis(1_000), SECOND), Some(1));
    assert_eq!(keeps(1, &|storable| storable.lifetime = 2 * LONGEST, SECOND), Some(LIMIT));
}

#[test]
fn what_was_purged_meanwhile_took_too_long_or_has_no_room_is_not_written_and_is_counted() {
    let usual = Arc::new(stored(10, |_| ()));
    let (weight, slow) = (usual.weight() as u64, SECOND + LONGEST_FETCH.as_nanos() as u64);
    // (outdated, dropped, bytes that wait) after one more response was handed over.
    let write = |second: &SecondLevel, purges, now| {
        second.write(sharing(purges), &usual, now);
        let SecondLevelHealth { outdated, dropped, queued_bytes, .. } = second.health();
        (outdated, dropped, queued_bytes)
    };

    let mut thread = self::thread(SecondLevelKind::Redis);
    let purges = ApiPurges::default();
    purges.label(Label::Url(0), Strength::Hard, Stamp { position: 6, at: 2 * SECOND });
    assert_eq!(write(&thread.second, purges, 3 * SECOND), (1, 0, 0), "purged");
    let purges = ApiPurges::default();
    purges.label(Label::Url(0), Strength::Soft, Stamp { position: 6, at: 2 * SECOND });
    assert_eq!(write(&thread.second, purges, 3 * SECOND), (2, 0, 0), "softly, too");
    assert_eq!(write(&thread.second, ApiPurges::default(), slow + 1), (2, 1, 0), "it took too long");
    assert!(thread.orders.try_recv().is_err());

    assert_eq!(write(&thread.second, ApiPurges::default(), slow), (2, 1, weight));
    assert_eq!(write(&thread.second, ApiPurges::default(), slow), (2, 2, weight), "the queue is full");
    let Ok(Order::Write { origin, seconds, .. }) = thread.orders.try_recv() else { panic!("no write") };
    assert_eq!((origin.boot, origin.at, origin.position, seconds), (9, SECOND, 5, 540));
    let ago = unix_ms() - origin.begun_ms;
    assert!((60_000..62_000).contains(&ago), "{ago}");

    for (queue_max_bytes, expected) in [(weight, (0, 0, weight)), (weight - 1, (0, 1, 0))] {
        let Thread { second, orders: _orders, .. } = self::thread(SecondLevelKind::Redis);
        let second = SecondLevel { queue_max_bytes, ..Arc::into_inner(second).unwrap() };
        assert_eq!(write(&second, ApiPurges::default(), SECOND), expected);
    }
    let mut thread = self::thread(SecondLevelKind::Redis);
    trip(&thread.second);
    assert_eq!(write(&thread.second, ApiPurges::default(), SECOND), (0, 1, 0), "nobody is asked");
    assert!(thread.orders.try_recv().is_err());
}

#[test]
fn what_is_untouched_is_handed_on_with_the_place_of_the_last_change_that_was_made_here() {
    for (changed_at, position) in [(4, 5), (8, 8)] {
        let mut thread = self::thread(SecondLevelKind::Redis);
        let sharing = sharing(ApiPurges::default());
        sharing.purges.changed_at(changed_at);
        thread.second.write(sharing, &Arc::new(stored(10, |_| ())), SECOND);
        let Ok(Order::Write { origin, .. }) = thread.orders.try_recv() else { panic!("no write") };
        assert_eq!((origin.position, origin.at), (position, SECOND));
    }
}

fn trip(second: &SecondLevel) {
    second.state.nodes.iter().for_each(|node| (0..5).for_each(|_| _ = node.breaker.failed(Instant::now())));
}

#[test]
fn a_change_that_finds_no_room_is_counted() {
    let dropped = |thread: &Thread| thread.second.health().dropped;
    let mut thread = self::thread(SecondLevelKind::Redis);
    thread.second.forget(location());
    assert_eq!(dropped(&thread), 0);
    thread.second.forget(location());
    assert_eq!(dropped(&thread), 1);
    thread.second.changed(location(), SECOND);
    assert_eq!(dropped(&thread), 2);
    assert!(matches!(thread.orders.try_recv(), Ok(Order::Forget(_))));
    thread.second.changed(location(), SECOND);
    assert_eq!(dropped(&thread), 2);
    assert!(matches!(thread.orders.try_recv(), Ok(Order::Begin(..))));
}

#[test]
fn what_this_gateway_fetched_itself_is_judged_by_its_own_clock_and_others_by_the_time_of_day() {
    let Thread { second, .. } = thread(SecondLevelKind::Redis);
    let (now, begun_ms) = (100 * SECOND, unix_ms() - 10_000);
    assert_eq!(second.stamp(&origin(9, 42, begun_ms), now), (Stamp { position: 5, at: 42 }, true));
    let (foreign, own) = second.stamp(&origin(8, 42, begun_ms), now);
    // Ten seconds ago, and as far back again as clocks may differ.
    assert!(!own && (87 * SECOND..=88 * SECOND).contains(&foreign.at), "{foreign:?}");
    assert_eq!(second.stamp(&origin(8, 42, 0), now).0.at, 0);
}

/// Asks for a key, which the thread hears of and does this with. Whether it is answered that there is nothing.
async fn ask(thread: &mut Thread, then: impl FnOnce(Question)) -> bool {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("a"))]);
    let asked = thread.second.ask(location(), [&b"key"[..]].into_iter(), &headers);
    let (answer, ()) = tokio::join!(asked, async { then(thread.questions.recv().await.unwrap()) });
    answer.unwrap().0 == Ok(None)
}

#[tokio::test]
async fn an_answer_weighs_against_failures_and_nothing_is_asked_after_too_many() {
    let mut thread = thread(SecondLevelKind::Redis);
    let state = |thread: &Thread| thread.second.health().state;
    let answers = |question| {
        let Question::Call { reply, .. } = question else { panic!("another question") };
        assert!(reply.send(None).is_ok());
    };
    assert_eq!(state(&thread), SecondLevelState::Unknown);
    assert!(ask(&mut thread, answers).await);
    assert_eq!((state(&thread), thread.second.health().misses), (SecondLevelState::Up, 1), "it was heard of");
    for _ in 0..4 {
        assert!(!ask(&mut thread, drop).await);
    }
    assert!(ask(&mut thread, answers).await);
    assert!(!ask(&mut thread, drop).await);
    assert_eq!(state(&thread), SecondLevelState::Up, "five failures, an answer among them");
    assert!(thread.second.look(location(), b"key", HeaderMap::new()).now_or_never().is_none());
    assert!(thread.questions.try_recv().is_ok(), "people are answered");
    assert!(!ask(&mut thread, drop).await);
    let health = thread.second.health();
    assert_eq!((health.state, health.errors, health.late), (SecondLevelState::Tripped, 6, 0));
    let keys = || [&b"key"[..]].into_iter();
    assert!(thread.second.ask(location(), keys(), &HeaderMap::new()).await.is_none());
    assert!(thread.second.look(location(), b"key", HeaderMap::new()).await.is_none());
    assert!(thread.questions.try_recv().is_err(), "nobody asks any more");
}

#[tokio::test]
async fn who_is_not_answered_waits_no_longer_than_the_budget_and_not_much_less() {
    let mut waited = Vec::new();
    for _ in 0..8 {
        let mut thread = thread(SecondLevelKind::Redis);
        let unheard = Arc::get_mut(&mut thread.second).unwrap();
        unheard.patience = patience(Duration::from_millis(8));
        for _ in 0..4 {
            let begun = Instant::now();
            let asked = unheard.ask(location(), [&b""[..]].into_iter(), &HeaderMap::new()).await;
            waited.push(begun.elapsed());
            let (answer, took) = asked.unwrap();
            assert!(answer == Err(NoAnswer) && thread.questions.try_recv().is_ok());
            assert!(took <= begun.elapsed() && took >= Duration::from_millis(4), "{took:?}");
        }
        assert_eq!(unheard.health().late, 4);
    }
    // A slow machine makes none of them quicker.
    let quickest = waited.into_iter().min().unwrap();
    let budget = Duration::from_millis(4)..=Duration::from_millis(8);
    assert!(budget.contains(&quickest), "{quickest:?}");
    assert_eq!(patience(Duration::from_millis(2)), Duration::from_millis(1), "it is asked at all");
}

#[tokio::test]
async fn a_question_that_finds_no_room_counts_as_late_and_is_not_waited_for() {
    let Thread { second, orders: _orders, questions: _questions } = thread(SecondLevelKind::Redis);
    let (reply, _seen) = oneshot::channel();
    let full = Question::Look { location: location(), field: [0; 32], headers: HeaderMap::new(), reply };
    assert!(second.questions.try_send(full).is_ok());
    let begun = Instant::now();
    for _ in 0..5 {
        let asked = second.ask(location(), [&b"key"[..]].into_iter(), &HeaderMap::new()).await;
        assert_eq!(asked.unwrap().0, Err(NoAnswer));
    }
    assert!(begun.elapsed() < Duration::from_secs(4));
    let SecondLevelHealth { late, errors, state, .. } = second.health();
    assert_eq!((late, errors, state), (5, 0, SecondLevelState::Tripped));
}

#[test]
fn only_a_disk_is_closed_and_no_longer_waited_for_than_was_said() {
    let mut redis = thread(SecondLevelKind::Redis);
    redis.second.close(Duration::from_millis(200));
    assert!(redis.orders.try_recv().is_err());

    let disk = thread(SecondLevelKind::Disk);
    disk.second.forget(location());
    let begun = Instant::now();
    disk.second.close(Duration::from_millis(50));
    let took = begun.elapsed();
    assert!((Duration::from_millis(50)..Duration::from_secs(5)).contains(&took), "{took:?}");

    // Once there is room.
    let Thread { second, mut orders, .. } = disk;
    let closing = std::thread::spawn(move || second.close(Duration::from_secs(20)));
    std::thread::sleep(Duration::from_millis(20));
    assert!(matches!(orders.blocking_recv(), Some(Order::Forget(_))));
    let Some(Order::Close(closed)) = orders.blocking_recv() else { panic!("not closed") };
    assert!(closed.send(()).is_ok() && closing.join().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_written_before_a_folder_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SecondLevelSettings::new(vec![format!("disk:{}", folder.path().display())]);
    let settings = SecondLevelSettings {
        disk_max_bytes: 64 << 20,
        compress_over: u64::MAX,
        budget: Duration::from_secs(5),
        ..settings
    };
    let second = SecondLevel::start(&settings).unwrap();
    let (large, mut locations) = (Arc::new(stored(300_000, |_| ())), Vec::new());
    for _ in 0..20 {
        let sharing = sharing(ApiPurges::default());
        locations.push(sharing.location.clone());
        second.write(sharing, &large, SECOND);
    }
    second.close(Duration::from_secs(20));
    let next = SecondLevel::start(&settings).unwrap();
    for location in locations {
        let (answer, _) = next.ask(location, [&b""[..]].into_iter(), &HeaderMap::new()).await.unwrap();
        let (_, response) = answer.unwrap().unwrap();
        assert_eq!(response.body.len(), 300_000);
    }
    next.close(Duration::from_secs(20));
}
