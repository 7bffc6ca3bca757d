//! Memcached as second level, through the front door: what is of its own beside `second_level_kinds`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use sluice_contract::journal::PurgeScope;
use sluice_contract::link::{SecondLevelHealth, SecondLevelKind, SecondLevelState};
use sluice_gateway::cache::SecondLevelSettings;

use crate::shared_cache::{Fleet, Server, cached, counting, health, is_shared, purge, written};
use crate::support::{Rig, Upstream, eventually, text};

/// Speaks to a Memcached as a person would.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).unwrap()))
    }

    fn say(&mut self, command: &str) {
        self.0.get_mut().write_all(command.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn keys(&mut self) -> Vec<String> {
        self.say("lru_crawler metadump hash\r\n");
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| line != "END"));
        let key =
            |line: String| line.split(' ').next().unwrap().strip_prefix("key=").unwrap().replace("%3A", ":");
        lines.map(key).collect()
    }

    fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.say(&format!("get {key}\r\n"));
        let line = self.line();
        if line == "END" {
            return None;
        }
        let mut value = vec![0; line.rsplit(' ').next().unwrap().parse().unwrap()];
        self.0.read_exact(&mut value).unwrap();
        assert_eq!((self.line(), self.line()), (String::new(), "END".to_owned()));
        Some(value)
    }

    fn set(&mut self, key: &str, value: &[u8]) {
        self.say(&format!("set {key} 0 0 {}\r\n", value.len()));
        self.0.get_mut().write_all(value).unwrap();
        self.say("\r\n");
        assert_eq!(self.line(), "STORED");
    }

    /// Everything that it has.
    fn all(&mut self) -> Vec<(String, Vec<u8>)> {
        self.keys().into_iter().filter_map(|key| Some((key.clone(), self.get(&key)?))).collect()
    }
}

/// Two gateways with one API `m`, which is cached.
fn two(fleet: &Fleet, settings: &SecondLevelSettings, upstream: &Upstream) -> (Rig, Rig) {
    let (mut a, mut b) = (fleet.gateway(settings), fleet.gateway(settings));
    let api = a.api("m", upstream.address, cached(json!({})));
    b.adopt(&a, "m", api);
    b.api("m", upstream.address, cached(json!({})));
    (a, b)
}

fn spread(servers: &[&Server]) -> SecondLevelSettings {
    let urls = servers.iter().map(|server| server.url()).collect();
    SecondLevelSettings { urls, ..Fleet::patient(String::new()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_spread_over_the_servers_and_one_that_is_gone_takes_only_its_share_along() {
    let [one, other, gone] =
        [Server::memcached(&[]).await, Server::memcached(&[]).await, Server::memcached(&[]).await];
    let upstream = counting().await;
    let (a, b) = two(&Fleet::new(), &spread(&[&one, &other, &gone]), &upstream);
    let count = 60;
    for number in 0..count {
        a.get(&format!("/acme/m/{number}"), &[]).await;
    }
    written(&a, count).await;
    for server in [&one, &other, &gone] {
        let keys = Client::new(server.address).keys();
        assert!(keys.len() >= 10, "{keys:?}");
    }
    let lost = Client::new(gone.address).keys().len() as u64 / 2;
    let name = gone.address.to_string();
    drop(gone);
    let mut shared = 0;
    for number in 0..count {
        let seen = b.get(&format!("/acme/m/{number}"), &[]).await;
        assert_eq!(seen.status.as_u16(), 200);
        shared += u64::from(is_shared(&seen));
    }
    assert_eq!(shared, count - lost, "what the others have comes from there");
    eventually("it is known which one is gone", || async {
        let SecondLevelHealth { kind, state, nodes, .. } = health(&b);
        let tripped = |name: &str| {
            nodes.iter().any(|node| node.name == name && node.state == SecondLevelState::Tripped)
        };
        assert_eq!((kind, state), (SecondLevelKind::Memcached, SecondLevelState::Up));
        let up = [&one, &other].map(|server| tripped(&server.address.to_string()));
        up == [false, false] && tripped(&name)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_server_takes_is_not_written_and_is_counted() {
    let server = Server::memcached(&["-I", "512k"]).await;
    let upstream = Upstream::new(|request| {
        // Cannot be compressed.
        let mut number = 88_172_645_463_325_252_u64;
        let random = std::iter::repeat_with(move || {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            number as u8
        });
        let length: usize = request.uri().path()[1..].parse().unwrap();
        async move { text(200, &[("cache-control", "max-age=60")], random.take(length).collect::<Vec<u8>>()) }
    })
    .await;
    let (a, b) = two(&Fleet::new(), &spread(&[&server]), &upstream);
    eventually("it has said what it takes", || async { health(&a).server.is_some() }).await;
    a.get("/acme/m/600000", &[]).await;
    eventually("it is counted", || async { health(&a).too_large == 1 }).await;
    a.get("/acme/m/40000", &[]).await;
    written(&a, 1).await;
    assert!(!is_shared(&b.get("/acme/m/600000", &[]).await));
    let seen = b.get("/acme/m/40000", &[]).await;
    assert!(is_shared(&seen) && seen.body.len() == 40_000);
    assert_eq!((health(&a).refused, health(&a).errors, health(&b).hit_bytes), (0, 0, 40_000));

    // One that takes more than usual is given more.
    let roomy = Server::memcached(&["-I", "4m"]).await;
    let (a, b) = two(&Fleet::new(), &spread(&[&roomy]), &upstream);
    eventually("it has said what it takes", || async { health(&a).server.is_some() }).await;
    a.get("/acme/m/1500000", &[]).await;
    written(&a, 1).await;
    assert!(is_shared(&b.get("/acme/m/1500000", &[]).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_deletion_brings_nothing_back_and_a_lost_era_takes_all_copies_along() {
    let server = Server::memcached(&[]).await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let (mut a, b) = two(&fleet, &spread(&[&server]), &upstream);
    assert_eq!(a.get("/acme/m/a", &[]).await.body, "1");
    written(&a, 1).await;
    let mut client = Client::new(server.address);
    let before = client.all();
    assert_eq!(before.len(), 2, "the era of the URL and the response");
    let api = a.api("m", upstream.address, cached(json!({})));
    a.apply(purge(PurgeScope::Url { api, path: "/a".to_owned() }));
    let era = before.iter().map(|(key, _)| key).min_by_key(|key| key.len()).unwrap();
    eventually("the era is deleted", || {
        let left = client.get(era);
        async move { left.is_none() }
    })
    .await;
    assert_eq!(client.keys().len(), 1, "the response stands there, for nobody");
    assert_eq!(b.get("/acme/m/a", &[]).await.body, "2", "also one that does not know of the purge");
    written(&b, 1).await;
    // As if the deletion had been lost.
    before.iter().for_each(|(key, value)| client.set(key, value));
    assert_eq!(a.get("/acme/m/a", &[]).await.body, "3");
    assert_eq!((health(&a).outdated, health(&a).refused), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_data_is_a_miss() {
    let server = Server::memcached(&[]).await;
    let upstream = counting().await;
    let fleet = Fleet::new();
    let settings = spread(&[&server]);
    let mut client = Client::new(server.address);
    type Spoil = fn(&mut Vec<u8>);
    // The last of them counts as another's value: its generation is not the era's.
    let spoils: [(Spoil, u64); 4] = [
        (|value| value.truncate(40), 1),
        (|value| *value.last_mut().unwrap() ^= 1, 1),
        (|value| value[8] = 9, 1),
        (|value| *value = b"nonsense".to_vec(), 0),
    ];
    for (round, (spoil, damaged)) in spoils.into_iter().enumerate() {
        let (a, b) = two(&fleet, &settings, &upstream);
        let path = format!("/acme/m/{round}");
        let first = a.get(&path, &[]).await.body;
        written(&a, 1).await;
        for (key, mut value) in client.all().into_iter().filter(|(key, _)| key.len() > 60) {
            spoil(&mut value);
            client.set(&key, &value);
        }
        let seen = b.get(&path, &[]).await;
        assert_ne!(seen.body, first);
        assert_eq!((seen.status.as_u16(), health(&b).damaged), (200, damaged), "round {round}");
        written(&b, 1).await;
        // What stands where the era should is replaced.
        for (key, _) in client.all().into_iter().filter(|(key, _)| key.len() < 60) {
            client.set(&key, b"nonsense");
        }
        let (c, d) = two(&fleet, &settings, &upstream);
        let anew = c.get(&path, &[]).await;
        assert_ne!(anew.body, seen.body);
        written(&c, 1).await;
        assert_eq!(d.get(&path, &[]).await.body, anew.body);
        client.say("flush_all\r\n");
        assert_eq!(client.line(), "OK");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_full_refuses_writes_and_one_that_is_no_memcached_is_not_believed() {
    let server = Server::memcached(&["-M", "-m", "2"]).await;
    let mut client = Client::new(server.address);
    let upstream = counting().await;
    let (a, _) = two(&Fleet::new(), &spread(&[&server]), &upstream);
    // Of every size, since each has at least a megabyte of its own.
    let mut size = 10;
    while size < 4_000 {
        for number in 0..1_500_000 / (size + 50) {
            client.say(&format!("set fill-{size}-{number} 0 0 {size} noreply\r\n{}\r\n", "x".repeat(size)));
        }
        size += size / 8 + 1;
    }
    client.say("version\r\n");
    assert!(client.line().starts_with("VERSION"));
    let mut number = 0;
    while health(&a).refused < 1 {
        number += 1;
        assert!(number < 1_000, "{:?}", health(&a));
        assert_eq!(a.get(&format!("/acme/m/{number}"), &[]).await.status.as_u16(), 200);
    }
    assert_ne!(health(&a).state, SecondLevelState::Tripped, "a full server still answers");

    let settings = |url: String| SecondLevelSettings { urls: vec![url], ..spread(&[&server]) };
    for address in [upstream.address, Server::redis(&[]).await.address] {
        let (rig, _) = two(&Fleet::new(), &settings(format!("memcached://{address}")), &upstream);
        for number in 0..10 {
            let begun = Instant::now();
            assert_eq!(rig.get(&format!("/acme/m/{number}"), &[]).await.status.as_u16(), 200);
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        let SecondLevelHealth { hits, written, state, .. } = health(&rig);
        assert_eq!((hits, written), (0, 0));
        assert_ne!(state, SecondLevelState::Up);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_password_and_tls_is_used_by_who_knows_both_and_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = format!("ssl_chain_cert={}", file("cert.pem", cert.pem()));
    let key = format!("ssl_key={}", file("key.pem", signing_key.serialize_pem()));
    let users = file("users", "ann:se%cret\n".to_owned());
    // Tests may run as root, and this user has to read these files.
    let _ =
        std::process::Command::new("chmod").args(["-R", "a+rX", folder.path().to_str().unwrap()]).status();
    let server = Server::memcached(&["-Z", "-o", &certificate, "-o", &key, "-Y", &users]).await;
    let with = |user: &str, ca: bool| SecondLevelSettings {
        ca: ca.then(|| cert.pem().into_bytes()),
        ..Fleet::patient(format!("memcacheds://{user}@{}", server.address))
    };
    let upstream = counting().await;
    let fleet = Fleet::new();
    let (a, b) = two(&fleet, &with("ann:se%25cret", true), &upstream);
    a.get("/acme/m/a", &[]).await;
    written(&a, 1).await;
    assert!(is_shared(&b.get("/acme/m/a", &[]).await));
    for (why, settings) in
        [("password", with("ann:guess", true)), ("certificate", with("ann:se%25cret", false))]
    {
        let (other, _) = two(&fleet, &settings, &upstream);
        let seen = other.get("/acme/m/a", &[]).await;
        assert_eq!((seen.status.as_u16(), is_shared(&seen)), (200, false), "{why}");
        let SecondLevelHealth { state, hits, written, server, .. } = health(&other);
        assert_ne!(state, SecondLevelState::Up, "{why}");
        assert_eq!((hits, written, server), (0, 0, None), "{why}");
    }
}
