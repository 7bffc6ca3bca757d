//! Batches through the front door: what is written is read, and nothing else is.

use std::net::Ipv6Addr;

use chrono::DateTime;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::context::{Context, Place};
use super::*;
use crate::calls::{CacheOutcome, CacheSign, CacheSigns, SecondLevelAnswer, SecondLevelAsked};
use crate::ids::{ApiId, ApplicationId, CallId, CredentialId, PlanId, SubscriptionId, TenantId};
use crate::problem::ErrorSource;
use crate::rollup::{Cell, Counts, Measure};

const FULL: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;

fn whole() -> Call {
    Call {
        id: CallId(Uuid::from_u128(FULL)),
        at: DateTime::from_timestamp_micros(1_799_999_999_012_034).unwrap(),
        tenant: Some(TenantId(Uuid::from_u128(2))),
        api: Some(ApiId(Uuid::from_u128(3))),
        route: Some("getThing".to_owned()),
        method: "GET".to_owned(),
        host: "api.example".to_owned(),
        path: "/acme/things/1".to_owned(),
        query: Some("q=\"\u{0}\u{7f}é😀".to_owned()),
        status: 502,
        error: Some("upstream_refused".to_owned()),
        error_source: Some(ErrorSource::Upstream),
        application: Some(ApplicationId(Uuid::from_u128(4))),
        credential: Some(CredentialId(Uuid::from_u128(5))),
        subscription: Some(SubscriptionId(Uuid::from_u128(6))),
        plan: Some(PlanId(Uuid::from_u128(7))),
        cache: CacheOutcome::Revalidated,
        signs: [CacheSign::Personal, CacheSign::Varies].into_iter().collect(),
        second_level: Some(SecondLevelAsked { answer: SecondLevelAnswer::Found, took_us: 480 }),
        target: Some("http://10.0.0.1:80".to_owned()),
        duration_us: u64::MAX,
        upstream_us: Some(1_000),
        bytes_in: 10,
        bytes_out: 20,
        client_ip: Ipv6Addr::from(FULL).to_string(),
        user_agent: Some("curl/8".to_owned()),
        request_id: "abc".to_owned(),
        trace_id: Some(format!("{:032x}", 0xab)),
        stages: vec![StageTime { stage: "route".to_owned(), start_us: 1, took_us: 2 }],
    }
}

fn least() -> Call {
    Call {
        tenant: None,
        api: None,
        route: None,
        query: None,
        error: None,
        error_source: None,
        application: None,
        credential: None,
        subscription: None,
        plan: None,
        second_level: None,
        target: None,
        upstream_us: None,
        client_ip: "192.0.2.255".to_owned(),
        user_agent: None,
        request_id: CallId(Uuid::from_u128(FULL)).to_string(),
        trace_id: None,
        stages: Vec::new(),
        ..whole()
    }
}

fn batch() -> CallBatch {
    let measure = Measure {
        status: 502,
        cache: CacheOutcome::Miss,
        bytes_in: 1,
        bytes_out: 2,
        duration_us: 3,
        upstream_us: None,
        second_level: whole().second_level,
    };
    let mut counts = Counts::default();
    counts.record(&measure);
    let (tenant, api) = (TenantId(Uuid::from_u128(2)), ApiId(Uuid::from_u128(3)));
    let cells = [
        Cell::Traffic {
            tenant: Some(tenant),
            api: None,
            route: None,
            status: 502,
            cache: CacheOutcome::Miss,
        },
        Cell::Consumer { tenant, application: ApplicationId(Uuid::nil()), plan: None, api, failed: true },
        Cell::Target { tenant, api, target: "http://t".to_owned(), failed: false },
    ];
    let rollups = cells.map(|cell| RollupDelta { minute: 7, cell, counts: counts.clone() });
    CallBatch {
        boot: BootId(Uuid::from_u128(9)),
        sequence: 3,
        calls: vec![whole(), least(), whole()],
        rollups: rollups.into(),
        dropped: 5,
    }
}

/// Few texts, so that contexts repeat; and some that are long or strange.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ab]{0,2}",
        1 => any::<String>(),
        1 => Just("x".repeat(3_000)),
    ]
}

/// Few ids, so that contexts repeat.
fn id<T: From<Uuid> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    (0..3_u128).prop_map(|id| T::from(Uuid::from_u128(id)))
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..200_u64, any::<u64>()]
}

fn time() -> impl Strategy<Value = DateTime<chrono::Utc>> {
    let usual = 1_799_999_940_000_000..1_800_000_061_000_000_i64;
    let micros = prop_oneof![4 => usual, 1 => -3_000_000_000_000_000..4_000_000_000_000_000_i64];
    micros.prop_map(|micros| DateTime::from_timestamp_micros(micros).unwrap())
}

fn call_id() -> impl Strategy<Value = (CallId, DateTime<chrono::Utc>)> {
    (any::<u128>(), any::<bool>(), time()).prop_map(|(random, is_timed, at)| {
        let millis = at.timestamp_millis() as u128 & 0xffff_ffff_ffff;
        let timed = millis << 80 | random >> 48;
        (CallId(Uuid::from_u128(if is_timed { timed } else { random })), at)
    })
}

fn source() -> impl Strategy<Value = ErrorSource> {
    use ErrorSource::{Client, Control, Gateway, Upstream};
    prop::sample::select(vec![Client, Gateway, Upstream, Control])
}

fn outcome() -> impl Strategy<Value = CacheOutcome> {
    prop::sample::select(CacheOutcome::ALL.to_vec())
}

prop_compose! {
    fn stages()(stages in vec((text(), number(), number()), 0..3)) -> Vec<StageTime> {
        stages.into_iter().map(|(stage, start_us, took_us)| StageTime { stage, start_us, took_us }).collect()
    }
}

prop_compose! {
    fn any_call()(
        (id, at) in call_id(),
        (tenant, api, route, method, host) in (option::of(id()), option::of(id()), option::of(text()), text(), text()),
        (path, query, status) in (text(), option::of(text()), any::<u16>()),
        (error, error_source, cache, target) in (option::of(text()), option::of(source()), outcome(), option::of(text())),
        signs in (0..64_u8).prop_map(|bits| CacheSigns::from_bits(bits).unwrap()),
        second_level in option::of((select(&SecondLevelAnswer::ALL[..]), number())),
        (application, credential) in (option::of(id()), option::of(id())),
        (subscription, plan) in (option::of(id()), option::of(id())),
        (duration_us, upstream_us, bytes_in, bytes_out) in (number(), option::of(number()), number(), number()),
        (client_ip, user_agent) in (any::<std::net::IpAddr>(), option::of(text())),
        (request_id, trace_id, stages) in (option::of(text()), option::of(any::<u128>()), stages()),
    ) -> Call {
        Call {
            id, at, tenant, api, route, method, host, path, query, status, error, error_source, application,
            credential, subscription, plan, cache, signs, target, duration_us, upstream_us, bytes_in, bytes_out,
            second_level: second_level.map(|(answer, took_us)| SecondLevelAsked { answer, took_us }),
            client_ip: client_ip.to_string(),
            user_agent,
            request_id: request_id.unwrap_or_else(|| id.to_string()),
            trace_id: trace_id.map(|id| format!("{id:032x}")),
            stages,
        }
    }
}

/// Calls of several threads, some of which were collected more than once.
fn sections() -> impl Strategy<Value = Vec<Vec<Call>>> {
    vec(vec(any_call(), 1..8), 0..4)
}

fn written(batch: &CallBatch, sections: &[Vec<Call>]) -> Vec<u8> {
    let mut section = Section::default();
    let packed: Vec<PackedCalls> = sections
        .iter()
        .map(|calls| {
            for call in calls {
                let stages: Vec<_> = call.stages.iter().map(Stage::of).collect();
                section.append(&CallRecord::of(call, &stages).unwrap());
            }
            section.take()
        })
        .collect();
    let &CallBatch { boot, sequence, dropped, ref rollups, .. } = batch;
    BatchHead { boot, sequence, dropped, rollups }.batch(&packed).unwrap()
}

/// A batch of 100 calls up to the first of them.
fn head_of_calls() -> Vec<u8> {
    let calls = vec![least(); 100];
    let mut section = Section::default();
    calls.iter().for_each(|call| _ = section.append(&CallRecord::of(call, &[]).unwrap()));
    let mut bytes = CallBatch { calls, ..batch() }.to_wire().unwrap();
    bytes.truncate(bytes.len() - section.take().bytes.len());
    bytes
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(sections in sections()) {
        let batch = CallBatch { calls: sections.concat(), ..batch() };
        prop_assert_eq!(CallBatch::from_wire(&written(&batch, &sections)).unwrap(), batch);
    }

    #[test]
    fn bytes_that_are_not_a_batch_do_no_harm(bytes in vec(any::<u8>(), 0..300), framed in any::<bool>()) {
        let bytes = if framed { [head_of_calls(), bytes].concat() } else { [&[VERSION], &*bytes].concat() };
        let _ = CallBatch::from_wire(&bytes);
    }

    #[test]
    fn changed_bytes_are_refused_or_read_as_other_calls(
        sections in sections(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = written(&batch(), &sections);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = CallBatch::from_wire(&bytes);
    }

    #[test]
    fn a_batch_cut_anywhere_is_refused(sections in sections(), end in any::<prop::sample::Index>()) {
        let bytes = written(&batch(), &sections);
        prop_assert!(CallBatch::from_wire(&bytes[..end.index(bytes.len())]).is_err());
    }
}

#[test]
fn a_batch_reads_back_as_it_was() {
    let batch = batch();
    assert_eq!(CallBatch::from_wire(&batch.to_wire().unwrap()).unwrap(), batch);
}

#[test]
fn a_refused_batch_says_where_it_is_wrong() {
    let bytes = batch().to_wire().unwrap();
    let last = CallBatch::from_wire(&bytes[..bytes.len() - 1]).unwrap_err();
    assert_eq!(last.to_string(), "call 3: it ends too early");
    let more = CallBatch::from_wire(&[&*bytes, &[0]].concat()).unwrap_err();
    assert!(matches!(more, NoBatch::Trailing), "{more}");
    assert!(matches!(CallBatch::from_wire(&[]).unwrap_err(), NoBatch::Empty));
    // What gateways sent before: a map of MessagePack.
    let old = CallBatch::from_wire(&[0x85, 0xa4]).unwrap_err();
    assert_eq!(old.to_string(), "it has version 133 of the layout; versions 2 to 4 can be read");
    let unknown = CallBatch::from_wire(&[VERSION, 9, 0]).unwrap_err();
    assert_eq!(unknown.to_string(), "the frame of its head: no such code: form of the head");
}

#[test]
fn a_batch_of_a_version_without_signs_is_still_read() {
    let call = |signs: &[CacheSign]| Call { signs: signs.iter().copied().collect(), ..whole() };
    let wire = |call| CallBatch { calls: vec![call], ..batch() }.to_wire().unwrap();
    let mut bytes = wire(call(&[]));
    // The byte that signs take: what differs when there are some.
    let other = wire(call(&[CacheSign::Public]));
    let at = bytes.iter().zip(&other).position(|(one, other)| one != other).unwrap();
    bytes.remove(at);
    for version in [2, 3] {
        bytes[0] = version;
        assert_eq!(CallBatch::from_wire(&bytes).unwrap().calls, [call(&[])], "{version}");
    }
    let mut odd = other.clone();
    odd[at] = 64;
    assert_eq!(CallBatch::from_wire(&odd).unwrap_err().to_string(), "call 1: no such code: signs for caches");
}

#[test]
fn a_call_like_the_last_takes_few_bytes() {
    let usual = || {
        let id = CallId::generate();
        let (seconds, nanos) = id.0.get_timestamp().unwrap().to_unix();
        let at = DateTime::from_timestamp(seconds as i64, nanos);
        let stages = [("decide", 0, 40), ("cache", 40, 12), ("respond", 52, 9)];
        let stage = |(stage, start_us, took_us): (&str, _, _)| StageTime {
            stage: stage.to_owned(),
            start_us,
            took_us,
        };
        Call {
            id,
            at: at.unwrap(),
            duration_us: 61,
            request_id: id.to_string(),
            query: None,
            stages: stages.map(stage).into(),
            ..whole()
        }
    };
    let size = |calls: usize| {
        let calls = (0..calls).map(|_| usual()).collect();
        CallBatch { calls, ..batch() }.to_wire().unwrap().len()
    };
    let each = (size(1_100) - size(100)) as f64 / 1_000.0;
    // Its id and trace take 26 of them, its path 16.
    assert!(each < 70.0, "{each} bytes");
}

#[test]
fn calls_that_have_something_in_common_say_so() {
    let (one, other) = (whole(), Call { application: None, ..least() });
    let mut section = Section::default();
    let mut seat = |call: &Call| {
        let stages: Vec<_> = call.stages.iter().map(Stage::of).collect();
        section.append(&CallRecord::of(call, &stages).unwrap())
    };
    assert_eq!(seat(&one), Seat { place: 0, consumer: 0 });
    assert_eq!(seat(&other), Seat { place: 1, consumer: 1 });
    assert_eq!(seat(&one), Seat { place: 0, consumer: 0 });
    assert_eq!(seat(&Call { status: 200, ..one.clone() }), Seat { place: 2, consumer: 0 });
    // Numbers begin anew with what can be read alone.
    section.take();
    let stages: Vec<_> = one.stages.iter().map(Stage::of).collect();
    assert_eq!(section.append(&CallRecord::of(&one, &stages).unwrap()), Seat { place: 0, consumer: 0 });
    let again = section.take();
    assert_eq!(again.read().unwrap(), [one]);
}

#[test]
fn calls_that_are_alike_are_written_as_any_others() {
    let one = whole();
    let later = Call { at: one.at + chrono::Duration::seconds(60), duration_us: 9, ..one.clone() };
    // Each differs by one thing from the one before.
    let calls = [
        one.clone(),
        Call { bytes_out: 7, path: "/else".to_owned(), ..one.clone() },
        later.clone(),
        Call { cache: CacheOutcome::Hit, ..later.clone() },
        later.clone(),
        Call { status: 200, ..later.clone() },
        later.clone(),
        Call { client_ip: "192.0.2.1".to_owned(), ..later.clone() },
        later,
        one,
    ];
    let write = |append: &mut dyn FnMut(&mut Section, &CallRecord<'_>) -> Seat| {
        let mut section = Section::default();
        // Others come in between, and what was written is taken between two that are alike.
        let mut sections = Vec::new();
        let mut seats = Vec::new();
        for (i, call) in calls.iter().chain(&calls).enumerate() {
            let stages: Vec<_> = call.stages.iter().map(Stage::of).collect();
            seats.push(append(&mut section, &CallRecord::of(call, &stages).unwrap()));
            section.append(&CallRecord::of(&least(), &[]).unwrap());
            if i + 1 == calls.len() {
                sections.push(section.take());
            }
        }
        sections.push(section.take());
        (sections, seats)
    };
    let mut last = None;
    let alike = write(&mut |section, call| section.append_alike(call, &mut last));
    assert_eq!(alike, write(&mut |section, call| section.append(call)));
    let read: Vec<Call> = alike.0.iter().flat_map(|section| section.read().unwrap()).collect();
    assert_eq!(read.into_iter().step_by(2).collect::<Vec<_>>(), [&calls[..], &calls[..]].concat());
}

#[test]
fn a_large_head_is_compressed_and_a_bomb_is_refused() {
    let many = CallBatch { rollups: vec![batch().rollups; 500].concat(), ..batch() };
    let bytes = many.to_wire().unwrap();
    assert_eq!((bytes[1], CallBatch::from_wire(&bytes).unwrap()), (ZSTD, many));
    let bomb = zstd::bulk::compress(&vec![0; CALL_BATCH_MAX + 1], 1).unwrap();
    let mut bytes = vec![VERSION, ZSTD];
    put_number(&mut bytes, bomb.len() as u64);
    bytes.extend(bomb);
    assert!(matches!(CallBatch::from_wire(&bytes).unwrap_err(), NoBatch::TooLarge));
}

#[test]
fn a_long_text_that_is_sent_once_does_not_unfold_to_any_size() {
    let agent = "a".repeat(2_000);
    let batch = |calls: usize| {
        let calls = vec![Call { user_agent: Some(agent.clone()), ..least() }; calls];
        CallBatch { calls, ..batch() }
    };
    let fits = batch(6_000);
    assert_eq!(CallBatch::from_wire(&fits.to_wire().unwrap()).unwrap(), fits);
    let bytes = batch(9_000).to_wire().unwrap();
    assert!(bytes.len() < CALL_BATCH_MAX / 10);
    assert!(matches!(CallBatch::from_wire(&bytes).unwrap_err(), NoBatch::TooLarge));
}

#[test]
fn calls_that_differ_in_one_thing_only_are_told_apart() {
    let id = || Uuid::from_u128(99);
    let other = || Some("other".to_owned());
    let stage = || StageTime { stage: "other".to_owned(), start_us: 1, took_us: 2 };
    type Change = fn(&mut Call, Uuid, Option<String>, StageTime);
    let changes: [Change; 19] = [
        |call, _, _, _| call.at += chrono::TimeDelta::minutes(1),
        |call, id, _, _| call.tenant = Some(TenantId(id)),
        |call, id, _, _| call.api = Some(ApiId(id)),
        |call, _, other, _| call.route = other,
        |call, _, _, _| call.method = "PUT".to_owned(),
        |call, _, _, _| call.host = "abc.example".to_owned(),
        |call, _, _, _| call.status = 503,
        |call, _, other, _| call.error = other,
        |call, _, _, _| call.error_source = None,
        |call, _, _, _| call.cache = CacheOutcome::Miss,
        |call, _, other, _| call.target = other,
        |call, _, _, stage| call.stages = vec![stage],
        |call, _, _, stage| call.stages.push(stage),
        |call, id, _, _| call.application = Some(ApplicationId(id)),
        |call, id, _, _| call.credential = Some(CredentialId(id)),
        |call, id, _, _| call.subscription = Some(SubscriptionId(id)),
        |call, id, _, _| call.plan = Some(PlanId(id)),
        |call, _, _, _| call.client_ip = "192.0.2.1".to_owned(),
        |call, _, _, _| call.user_agent = Some("wget/8".to_owned()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = whole();
        change(&mut changed, id(), other(), stage());
        let batch = CallBatch { calls: vec![whole(), changed.clone(), whole(), changed], ..batch() };
        assert_eq!(CallBatch::from_wire(&batch.to_wire().unwrap()).unwrap(), batch, "change {number}");
    }
}

#[test]
fn a_time_that_no_clock_shows_is_refused() {
    let call = |minute: i64, within: u64| {
        let usual = Place::of(&CallRecord::of(&least(), &[]).unwrap());
        let mut bytes = vec![0];
        Place { minute, ..usual }.write(&mut bytes);
        // No consumer known, a client, no flags, an id, no path, bytes or times.
        bytes.extend([0, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1, 0, 0]);
        bytes.extend([7; 16]);
        put_number(&mut bytes, within);
        bytes.extend([0, 0, 0, 0]);
        read::section(&bytes, 1)
    };
    assert_eq!(call(7, 59_999_999).unwrap()[0].at.timestamp_micros(), 479_999_999);
    for (minute, within) in
        [(7, 60_000_000), (7, u64::MAX), (i64::MAX, 0), (i64::MIN, 0), (i64::MAX / 60_000_000, 0)]
    {
        let refused = call(minute, within).unwrap_err();
        assert!(matches!(refused, NoBatch::Call(1, Malformed::Time)), "{minute} {within}: {refused}");
    }
}
