//! A folder on the gateway's own disk as second level, through the front door: what is there after a restart, and what is not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use sluice_contract::ids::ApiId;
use sluice_contract::journal::{Change, Purge, PurgeScope};
use sluice_contract::link::{SecondLevelKind, SecondLevelState};
use sluice_contract::rest::cache::CopyState;
use sluice_gateway::cache::{SecondLevel, SecondLevelSettings};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::cache_inside::look_up;
use crate::shared_cache::{Fleet, cached, counting, health, is_shared, purge, written};
use crate::support::{Former, Rig, Upstream, eventually, text};

const SMALLEST: u64 = 64 << 20;
/// Each life begins a block of its own: enough of them for the lives of a test.
const USUAL: u64 = 256 << 20;

/// One gateway after the other on one folder.
struct Lives {
    fleet: Fleet,
    settings: SecondLevelSettings,
    upstream: Upstream,
}

impl Lives {
    fn on(folder: &Path, upstream: Upstream) -> Self {
        let settings = Fleet::patient(format!("disk:{}", folder.display()));
        let settings = SecondLevelSettings { disk_max_bytes: USUAL, ..settings };
        Self { fleet: Fleet::new(), settings, upstream }
    }

    async fn first(&self) -> (Rig, ApiId) {
        self.begin(None).await
    }

    async fn next(&self, former: Former) -> (Rig, ApiId) {
        self.begin(Some(former)).await
    }

    /// With the API `d`, which is cached, once nobody else has the folder any more.
    async fn begin(&self, former: Option<Former>) -> (Rig, ApiId) {
        let mut second = SecondLevel::start(&self.settings);
        for _ in 0..200 {
            if second.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            second = SecondLevel::start(&self.settings);
        }
        let mut rig = self.fleet.gateway_with(second.unwrap());
        if let Some(former) = former {
            rig.follow(former);
        }
        let api = rig.api("d", self.upstream.address, cached(json!({})));
        (rig, api)
    }
}

/// The files that values stand in.
fn files(folder: &TempDir) -> Vec<PathBuf> {
    let values = std::fs::read_dir(folder.path().join("sluice-cache-values")).unwrap();
    values.map(|file| file.unwrap().path()).collect()
}

/// Changes a byte of the only place in the folder where this stands.
fn spoil(folder: &TempDir, text: &[u8]) {
    let mut found = 0;
    for file in files(folder) {
        let mut bytes = std::fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text) {
            bytes[at] ^= 1;
            std::fs::write(&file, bytes).unwrap();
            found += 1;
        }
    }
    assert_eq!(found, 1, "{}", String::from_utf8_lossy(text));
}

async fn copy(rig: &Rig, api: ApiId, path: &str) -> CopyState {
    look_up(rig, api, path, rig.tenant).await.asked.unwrap().copy.state
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_answers_after_an_orderly_restart_without_the_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let fields = [("cache-control", "max-age=60"), ("vary", "accept"), ("etag", "\"e\"")];
        async move { text(200, &fields, format!("{number}3456789")) }
    })
    .await;
    let mut lives = Lives::on(folder.path(), upstream);
    lives.settings.key = Some([7; 32]);
    let (rig, _) = lives.first().await;
    let requests: [&[(&str, &str)]; 4] = [
        &[("accept", "a")],
        &[("accept", "b")],
        &[("accept", "a"), ("authorization", "ann")],
        &[("accept", "a"), ("authorization", "bob")],
    ];
    for (number, headers) in requests.iter().enumerate() {
        assert_eq!(rig.get("/acme/d/a", headers).await.body, format!("{}3456789", number + 1));
        written(&rig, number as u64 + 1).await;
    }
    let (rig, api) = lives.next(rig.stop().await).await;
    for (number, headers) in requests.iter().enumerate() {
        let seen = rig.get("/acme/d/a", headers).await;
        assert!(is_shared(&seen) && seen.body == format!("{}3456789", number + 1), "{headers:?}: {seen:?}");
    }
    let told = look_up(&rig, api, "/a", rig.tenant).await;
    assert_eq!(told.entries.len(), 4, "it is in memory from then on");
    assert!(told.entries.iter().all(|entry| entry.copy.as_ref().unwrap().state == CopyState::Fresh));

    // Once more, of which nothing is in memory: a head, a part, and a condition.
    let (rig, _) = lives.next(rig.stop().await).await;
    let head = rig.send(Method::HEAD, "/acme/d/a", requests[0], "").await;
    assert!(is_shared(&head) && head.body.is_empty(), "{head:?}");
    let part = rig.get("/acme/d/a", &[("accept", "b"), ("range", "bytes=2-4")]).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"456"[..]));
    let same =
        rig.get("/acme/d/a", &[("accept", "a"), ("authorization", "ann"), ("if-none-match", "\"e\"")]).await;
    assert_eq!((same.status.as_u16(), lives.upstream.count()), (304, 4));
    assert_eq!(rig.get("/acme/d/a", &[("accept", "c")]).await.body, "53456789");

    eventually("the disk is told of", || async { health(&rig).disk.is_some() }).await;
    let health = health(&rig);
    let disk = health.disk.unwrap();
    assert_eq!(
        (health.kind, health.state, health.server),
        (SecondLevelKind::Disk, SecondLevelState::Up, None)
    );
    assert!((1..USUAL).contains(&disk.held_bytes) && disk.max_bytes == USUAL, "{disk:?}");
    assert!(disk.read_bytes > 0 && disk.evicted_bytes == 0, "{disk:?}");
    for file in files(&folder) {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"max-age"), "it is encrypted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_folder_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let lives = Lives::on(folder.path(), counting().await);
    let (rig, _) = lives.first().await;
    assert_eq!(rig.get("/acme/d/a", &[]).await.body, "1");
    written(&rig, 1).await;
    // Also what an orderly stop before it had left there.
    let (rig, _) = lives.next(rig.stop().await).await;
    assert!(is_shared(&rig.get("/acme/d/a", &[]).await));
    assert_eq!(rig.get("/acme/d/b", &[]).await.body, "2");
    written(&rig, 1).await;
    let (rig, api) = lives.next(rig.kill()).await;
    for path in ["/a", "/b"] {
        assert_eq!(copy(&rig, api, path).await, CopyState::Absent);
    }
    assert_eq!(rig.get("/acme/d/a", &[]).await.body, "3");
    assert_eq!((health(&rig).hits, health(&rig).damaged), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_made_while_it_was_running_or_stopped_hold_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let tag = if request.uri().path() == "/tagged/1" { "red" } else { "blue" };
        let fields = [("cache-control", "max-age=60"), ("surrogate-key", tag)];
        async move { text(200, &fields, number.to_string()) }
    })
    .await;
    let lives = Lives::on(folder.path(), upstream);
    let (mut rig, api) = lives.first().await;
    let paths = ["/tagged/1", "/below/1", "/one?x=1", "/own"];
    let scopes: [(PurgeScope, [bool; 4]); 6] = [
        (PurgeScope::Url { api, path: "/one?x=1".to_owned() }, [false, false, true, false]),
        (PurgeScope::Prefix { api, path: "/below".to_owned() }, [false, true, false, false]),
        (PurgeScope::Tag { api: Some(api), tag: "red".to_owned() }, [true, false, false, false]),
        (PurgeScope::Tag { api: None, tag: "red".to_owned() }, [true, false, false, false]),
        (PurgeScope::Api { api }, [true; 4]),
        (PurgeScope::Everything, [true; 4]),
    ];
    for (scope, purged) in scopes {
        for running in [false, true] {
            let mut before = Vec::new();
            for path in paths {
                before.push(rig.get(&format!("/acme/d{path}"), &[]).await.body);
            }
            eventually("nothing waits", || async { health(&rig).queued_bytes == 0 }).await;
            if running {
                rig.apply(purge(scope.clone()));
            }
            let position = rig.shared.snapshot().position;
            rig = lives.next(rig.stop().await).await.0;
            // As the link does, which goes on with the journal where the last life ended.
            while rig.shared.snapshot().position + u64::from(running) < position {
                rig.settings(json!({}));
            }
            rig.apply(purge(scope.clone()));
            for (number, path) in paths.into_iter().enumerate() {
                let seen = rig.get(&format!("/acme/d{path}"), &[]).await;
                let came_back = seen.body == before[number];
                assert_eq!(came_back, !purged[number], "{scope:?}, running: {running}, {path}");
                assert_eq!(is_shared(&seen), came_back, "{scope:?}, running: {running}, {path}");
            }
        }
    }

    // What was purged softly is validated.
    let Change::Purge(soft) = purge(PurgeScope::Api { api }) else { panic!("no purge") };
    eventually("nothing waits", || async { health(&rig).queued_bytes == 0 }).await;
    let position = rig.shared.snapshot().position;
    let (mut rig, _) = lives.next(rig.stop().await).await;
    while rig.shared.snapshot().position < position {
        rig.settings(json!({}));
    }
    rig.apply(Change::Purge(Purge { soft: true, ..soft }));
    assert_eq!(copy(&rig, api, "/own").await, CopyState::SoftlyPurged);
    let asked = lives.upstream.count();
    rig.get("/acme/d/own", &[]).await;
    assert_eq!(lives.upstream.count(), asked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_unsafe_method_has_changed_stays_changed_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (gate, hold) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
    let state = Arc::new(AtomicUsize::new(1));
    let upstream = {
        let (gate, hold) = (Arc::clone(&gate), Arc::clone(&hold));
        Upstream::new(move |request| {
            let (gate, hold) = (Arc::clone(&gate), Arc::clone(&hold));
            if request.method() == Method::PUT {
                state.fetch_add(1, Ordering::SeqCst);
            }
            // What a GET will say is settled when it arrives.
            let now = state.load(Ordering::SeqCst).to_string();
            async move {
                if request.method() == Method::GET && hold.load(Ordering::SeqCst) {
                    gate.acquire().await.unwrap().forget();
                }
                text(200, &[("cache-control", "max-age=60")], now)
            }
        })
        .await
    };
    let lives = Lives::on(folder.path(), upstream);
    let (rig, api) = lives.first().await;
    for (number, path) in ["/a", "/b"].into_iter().enumerate() {
        assert_eq!(rig.get(&format!("/acme/d{path}"), &[]).await.body, "1");
        written(&rig, number as u64 + 1).await;
    }
    // A fetch is under way while it changes, and one URL is changed in a life before.
    let (rig, _) = lives.next(rig.stop().await).await;
    hold.store(true, Ordering::SeqCst);
    let (slow, ()) = tokio::join!(rig.get("/acme/d/c", &[]), async {
        let asked = lives.upstream.count();
        eventually("it is under way", || async { lives.upstream.count() > asked || asked > 2 }).await;
        for path in ["/a", "/c"] {
            assert_eq!(rig.send(Method::PUT, &format!("/acme/d{path}"), &[], "x").await.status.as_u16(), 200);
        }
        hold.store(false, Ordering::SeqCst);
        gate.add_permits(1);
    });
    assert_eq!(slow.body, "1", "it began before");
    let mut rig = rig;
    for _ in 0..2 {
        rig = lives.next(rig.stop().await).await.0;
        assert_eq!(copy(&rig, api, "/a").await, CopyState::Absent);
        assert_eq!(copy(&rig, api, "/c").await, CopyState::Absent);
        assert_eq!(copy(&rig, api, "/b").await, CopyState::Fresh);
    }
    assert_eq!(rig.get("/acme/d/a", &[]).await.body, "3");
    assert_eq!(rig.get("/acme/d/b", &[]).await.body, "1");
    assert_eq!(rig.get("/acme/d/c", &[]).await.body, "3");
    // What is fetched long enough after the change is kept again.
    eventually("it is written", || async {
        rig.get("/acme/d/a", &[("cache-control", "no-cache")]).await;
        copy(&rig, api, "/a").await == CopyState::Fresh
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_meanwhile_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::new(|request| {
        let lifetime = if request.uri().path() == "/short" { "max-age=3" } else { "max-age=60" };
        async move { text(200, &[("cache-control", lifetime)], "x") }
    })
    .await;
    let lives = Lives::on(folder.path(), upstream);
    let (rig, _) = lives.first().await;
    for (number, path) in ["/short", "/long"].into_iter().enumerate() {
        rig.get(&format!("/acme/d{path}"), &[]).await;
        written(&rig, number as u64 + 1).await;
    }
    let former = rig.stop().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (rig, api) = lives.next(former).await;
    assert_eq!(copy(&rig, api, "/short").await, CopyState::Absent);
    assert_eq!(copy(&rig, api, "/long").await, CopyState::Fresh);
    assert!(
        !is_shared(&rig.get("/acme/d/short", &[]).await) && is_shared(&rig.get("/acme/d/long", &[]).await)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_one_gateways_and_what_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lives = Lives::on(folder.path(), counting().await);
    let (rig, _) = lives.first().await;
    let refused = |settings: &SecondLevelSettings| SecondLevel::start(settings).err().unwrap().to_string();
    let said = refused(&lives.settings);
    assert!(said.contains("belongs to another running gateway") && said.contains("of its own"), "{said}");
    let former = rig.stop().await;
    let (_rig, _) = lives.next(former).await;
    let file = folder.path().join("lock/under/a/file");
    let said = refused(&Lives::on(&file, counting().await).settings);
    assert!(said.contains("cannot be used as a folder") && said.contains("lock/under"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bytes_are_found_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::new(|request| {
        let body = format!("the body of {}", request.uri().path());
        async move { text(200, &[("cache-control", "max-age=60")], body) }
    })
    .await;
    let mut lives = Lives::on(folder.path(), upstream);
    let (rig, _) = lives.first().await;
    for (number, path) in ["/a", "/b", "/c"].into_iter().enumerate() {
        rig.get(&format!("/acme/d{path}"), &[]).await;
        written(&rig, number as u64 + 1).await;
    }
    let former = rig.stop().await;
    spoil(&folder, b"the body of /a");
    spoil(&folder, b"the body of /b");
    let (rig, api) = lives.next(former).await;
    assert_eq!(copy(&rig, api, "/a").await, CopyState::Damaged);
    assert_eq!(health(&rig).damaged, 0, "people are not counted");
    for (path, shared) in [("/a", false), ("/b", false), ("/c", true)] {
        let seen = rig.get(&format!("/acme/d{path}"), &[]).await;
        assert_eq!((is_shared(&seen), seen.body), (shared, format!("the body of {path}").into()));
    }
    assert_eq!((health(&rig).damaged, health(&rig).hits), (1, 1));

    // What was said when it was closed is checked too, and of no use with another key.
    let former = rig.stop().await;
    let mark = folder.path().join("closed");
    let mut said = std::fs::read(&mark).unwrap();
    *said.last_mut().unwrap() ^= 1;
    std::fs::write(&mark, said).unwrap();
    let (rig, api) = lives.next(former).await;
    assert_eq!(copy(&rig, api, "/c").await, CopyState::Absent);
    rig.get("/acme/d/c", &[]).await;
    written(&rig, 1).await;
    lives.settings.key = Some([7; 32]);
    let (rig, api) = lives.next(rig.stop().await).await;
    assert_eq!(copy(&rig, api, "/c").await, CopyState::Absent);
}

/// Bodies that cannot be compressed, one for each path.
async fn large() -> Upstream {
    Upstream::new(|request| {
        let body = large_body(request.uri().path());
        async move { text(200, &[("cache-control", "max-age=600")], body) }
    })
    .await
}

fn large_body(path: &str) -> Vec<u8> {
    let mut number =
        path.bytes().fold(88_172_645_463_325_252_u64, |sum, byte| sum.rotate_left(9) ^ u64::from(byte));
    let words = std::iter::repeat_with(move || {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        number
    });
    words.take(50_000).flat_map(u64::to_le_bytes).collect()
}

/// Every answer is right and nobody waits for the disk.
async fn ask(rig: &Rig, numbers: impl Iterator<Item = usize>) {
    for number in numbers {
        let path = format!("/{number}");
        let begun = Instant::now();
        let seen = rig.get(&format!("/acme/d{path}"), &[]).await;
        assert!(seen.status.as_u16() == 200 && seen.body == large_body(&path), "{number}");
        assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_first_makes_room_and_the_bound_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut lives = Lives::on(folder.path(), large().await);
    lives.settings.disk_max_bytes = SMALLEST;
    let (rig, _) = lives.first().await;
    let count = 250;
    for from in (0..count).step_by(10) {
        ask(&rig, from..from + 10).await;
        written(&rig, from as u64 + 10).await;
    }
    eventually("it is told", || async { health(&rig).disk.is_some_and(|disk| disk.evicted_bytes > 0) }).await;
    let (rig, api) = lives.next(rig.stop().await).await;
    assert_eq!(copy(&rig, api, "/0").await, CopyState::Absent);
    assert_eq!(copy(&rig, api, &format!("/{}", count - 1)).await, CopyState::Fresh);
    let asked = lives.upstream.count();
    // What came last first, since what is fetched anew makes room for itself.
    ask(&rig, (0..count).rev()).await;
    let from_disk = count - (lives.upstream.count() - asked);
    assert!((50..160).contains(&from_disk), "{from_disk} of {count}");
    eventually("it is told", || async { health(&rig).disk.is_some() }).await;
    let disk = health(&rig).disk.unwrap();
    assert!(disk.held_bytes <= SMALLEST && disk.held_bytes > SMALLEST / 2, "{disk:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_taken_away_fails_no_call_and_is_empty_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let lives = Lives::on(&folder.path().join("inside"), large().await);
    let (rig, _) = lives.first().await;
    ask(&rig, 0..5).await;
    written(&rig, 5).await;
    std::fs::remove_dir_all(folder.path().join("inside")).unwrap();
    ask(&rig, 0..10).await;
    let (rig, api) = lives.next(rig.kill()).await;
    assert_eq!(copy(&rig, api, "/0").await, CopyState::Absent);
    ask(&rig, 0..3).await;
    // Cut off under way: what is missing at the end of a file cannot be read.
    for file in std::fs::read_dir(folder.path().join("inside/sluice-cache-values")).unwrap() {
        std::fs::OpenOptions::new().write(true).open(file.unwrap().path()).unwrap().set_len(0).unwrap();
    }
    ask(&rig, 0..6).await;
    std::fs::remove_dir_all(folder.path().join("inside")).unwrap();
    let (rig, api) = lives.next(rig.stop().await).await;
    assert_eq!(copy(&rig, api, "/0").await, CopyState::Absent, "it could not be closed");
}

/// A small file system of its own, where this machine lets a test make one.
struct Small(TempDir);

impl Small {
    fn new(bytes: usize) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let made =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(place.path()).output();
        made.is_ok_and(|made| made.status.success()).then_some(Self(place))
    }

    fn resize(&self, options: &str) {
        let options = format!("remount,{options}");
        let done = Command::new("mount").args(["-o", &options]).arg(self.0.path()).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_takes_nothing_fails_no_call_and_is_used_again_when_there_is_room() {
    let Some(small) = Small::new(6 << 20) else { return };
    let lives = Lives::on(&small.0.path().join("cache"), large().await);
    let (rig, api) = lives.first().await;
    let mut number = 0;
    eventually("it is full", || {
        let from = number;
        number += 10;
        let rig = &rig;
        async move {
            ask(rig, from..from + 10).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            health(rig).refused > 2
        }
    })
    .await;
    assert_eq!(health(&rig).state, SecondLevelState::Up, "what it has is read still");
    ask(&rig, 0..number).await;
    assert_eq!(copy(&rig, api, "/0").await, CopyState::Fresh);
    eventually("what is fetched anew takes the old one's place even if it finds none", || async {
        rig.get("/acme/d/0", &[("cache-control", "no-cache")]).await;
        copy(&rig, api, "/0").await == CopyState::Absent
    })
    .await;
    small.resize("size=64m");
    let before = health(&rig).written;
    eventually("it is used again", || {
        let from = number;
        number += 1;
        let rig = &rig;
        async move {
            ask(rig, from..from + 1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            health(rig).written > before
        }
    })
    .await;
    let (rig, _) = lives.next(rig.stop().await).await;
    ask(&rig, 0..number).await;
    assert!(health(&rig).hits > 0, "{:?}", health(&rig));
}
