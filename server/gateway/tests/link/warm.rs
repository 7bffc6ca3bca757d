//! Responses on the gateway's own disk over restarts: they answer again, but for those that a purge covers, whenever that came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use sluice_contract::definition::PolicyAttachment;
use sluice_contract::ids::{ApiId, PurgeId};
use sluice_contract::journal::{Purge, PurgeScope};
use sluice_gateway::cache::{SecondLevel, SecondLevelSettings};
use sluice_gateway::{GatewayOptions, Running};

use super::*;

/// What is stored of the first API, tagged with the path, and what is of the second.
const STORED: [&str; 3] = ["/acme/first/red", "/acme/first/blue", "/acme/second/red"];

/// A gateway that serves, between its start and its orderly end.
pub(super) struct Life {
    pub(super) gateway: Gateway,
    running: Running,
    second: Arc<SecondLevel>,
}

impl Life {
    pub(super) fn begin(data: &Path, control: &FakeControl) -> Self {
        let url = format!("disk:{}", data.join("cache").display());
        let budget = Duration::from_secs(2);
        let settings_of_level = SecondLevelSettings { budget, ..SecondLevelSettings::new(vec![url]) };
        let second = SecondLevel::start(&settings_of_level).unwrap();
        let cache = Cache::new(CacheLimits::new(1 << 20)).with_second_level(Some(Arc::clone(&second)));
        let gateway = Gateway::start_with_cache(settings(data, control), cache);
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = GatewayOptions { threads: 1, ..GatewayOptions::new(free, free) };
        let running = sluice_gateway::Gateway::start(options, Arc::clone(&gateway.shared)).unwrap();
        Self { gateway, running, second }
    }

    /// As the program does it.
    pub(super) fn stop(self) {
        self.running.stop(Duration::from_secs(5));
        self.gateway.stop();
        self.second.close(Duration::from_secs(30));
    }

    pub(super) fn trusts(&self) -> bool {
        !self.gateway.shared.switches.link_stale.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether it was answered from the disk.
    pub(super) fn is_from_disk(&self, path: &str) -> bool {
        let answer = self.ask("GET", path);
        answer.contains("sluice; hit; ") && answer.contains("; detail=L2")
    }

    /// The answer, which is a good one, with its head.
    pub(super) fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.running.address).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answer
    }

    /// Stores all of it.
    fn store(&self) {
        for path in STORED.into_iter().chain(["/acme/first/early"]) {
            assert!(!self.is_from_disk(path));
        }
        eventually("it is written", || self.second.health().written == 4);
    }
}

/// Answers are fresh for long and have the last segment of their path as tag.
pub(super) fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = |mut stream: TcpStream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        while let Some(first) = lines.next() {
            let tag = first.split(' ').nth(1).unwrap().rsplit('/').next().unwrap().to_owned();
            lines.by_ref().find(String::is_empty);
            let head = "HTTP/1.1 200 OK\r\ncache-control: max-age=600\r\ncontent-length: 1";
            if write!(stream, "{head}\r\nsurrogate-key: {tag}\r\n\r\nx").is_err() {
                return;
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

pub(super) fn release(control: &FakeControl, slug: &str, upstream: SocketAddr) -> ApiId {
    let mut part = part(ApiId::generate(), 1);
    part.slug = slug.to_owned();
    part.definition.routes[0].path = "/{thing}".to_owned();
    part.definition.routes[0].methods.push("PUT".to_owned());
    part.definition.upstreams[0].targets[0].url = format!("http://{upstream}");
    let settings = serde_json::json!({});
    part.definition.policies = vec![PolicyAttachment { kind: "cache".to_owned(), enabled: true, settings }];
    control.release(&part);
    part.api
}

/// When a purge comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    BeforeTheStop,
    /// The same, but the disk has not taken that part of the journal.
    BeforeTheStopUnwritten,
    WhileStopped,
    /// In a life that had no second level, and so could not keep it for that of the next.
    InALifeBetween,
}

/// What of [`STORED`] is answered from the disk by the life after one in which, or after which, this was purged.
fn left_after(purge: Option<(PurgeScope, bool)>, when: When, control: &FakeControl) -> [bool; 3] {
    let data = tempfile::tempdir().unwrap();
    let configuration = data.path().join("configuration");
    let copy = |from: PathBuf, to: PathBuf| {
        let _ = std::fs::remove_dir_all(&to);
        assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
    };
    let life = Life::begin(data.path(), control);
    eventually("it serves", || life.trusts() && life.gateway.shared.is_ready());
    life.store();
    // A journal goes on, with what has nothing to do with it.
    let position = control.append(key_set("key"));
    eventually("it is applied", || life.gateway.position() == position);
    copy(configuration.clone(), data.path().join("older"));
    let append = || {
        let id = PurgeId::generate();
        purge.clone().map(|(scope, soft)| {
            control.append(Change::Purge(Purge { id, scope, tenant: None, soft, changed: false }))
        })
    };
    if matches!(when, When::BeforeTheStop | When::BeforeTheStopUnwritten) {
        let position = append().unwrap_or(position);
        eventually("it is applied", || life.gateway.position() == position);
    }
    life.stop();
    match when {
        When::BeforeTheStop => {}
        When::BeforeTheStopUnwritten => copy(data.path().join("older"), configuration),
        When::WhileStopped => _ = append(),
        When::InALifeBetween => {
            let between = Gateway::start(data.path(), control);
            let position = append().unwrap_or(position);
            eventually("it is applied", || between.position() == position);
            between.stop();
        }
    }

    control.hold_entries(true);
    let life = Life::begin(data.path(), control);
    assert!(life.gateway.shared.is_ready(), "at once");
    let is_behind = life.gateway.position() < control.state().head();
    assert!(!is_behind || !life.is_from_disk(STORED[0].replace("red", "early").as_str()), "{when:?}");
    control.hold_entries(false);
    eventually("it knows all", || life.trusts());
    let left = STORED.map(|path| life.is_from_disk(path));
    life.stop();
    left
}

#[test]
fn what_was_stored_answers_after_a_restart_unless_a_purge_covers_it() {
    let (control, upstream) = (FakeControl::start(), upstream());
    let api = release(&control, "first", upstream);
    release(&control, "second", upstream);
    let tag = |api| PurgeScope::Tag { api, tag: "red".to_owned() };
    let url = PurgeScope::Url { api, path: "/red".to_owned() };
    let prefix = PurgeScope::Prefix { api, path: "/red".to_owned() };
    let (only_red, none_of_first) = ([false, true, true], [false, false, true]);
    for (purged, after_stop, before_stop) in [
        (None, [true; 3], [true; 3]),
        (Some((tag(Some(api)), false)), only_red, only_red),
        (Some((tag(Some(api)), true)), only_red, only_red),
        (Some((tag(None), false)), [false, true, false], [false, true, false]),
        // URLs have names that only the life knows that has seen the purge: it is one of the whole API in the next.
        (Some((url, false)), only_red, none_of_first),
        (Some((prefix, false)), only_red, none_of_first),
        (Some((PurgeScope::Api { api }, false)), none_of_first, none_of_first),
        (Some((PurgeScope::Everything, false)), [false; 3], [false; 3]),
    ] {
        for (when, expected) in [
            (When::BeforeTheStop, before_stop),
            (When::BeforeTheStopUnwritten, before_stop),
            (When::WhileStopped, after_stop),
            (When::InALifeBetween, [purged.is_none(); 3]),
        ] {
            assert_eq!(left_after(purged.clone(), when, &control), expected, "{purged:?} {when:?}");
        }
    }
}
