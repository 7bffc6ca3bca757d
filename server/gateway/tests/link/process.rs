//! The program itself, killed and starved.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sluice_contract::definition::Target;
use sluice_contract::ids::ApiId;
use sluice_gateway::link::Step;

use super::*;

/// A `sluice-gateway` that runs. Killed when dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(data: &Path, control: &FakeControl, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-gateway"));
        command.args(arguments(data, control)).args(more);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            said.push_str(&line);
            line.contains("gateway started").then(|| field(&line, "address="))
        });
        // Read on, or the process would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.unwrap_or_else(|| panic!("not started: {said}"));
        Self { child, address: address.parse().unwrap() }
    }

    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    fn death(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("it dies", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn get(&self, path: &str) -> Option<u16> {
        get(self.address, path)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn arguments(data: &Path, control: &FakeControl) -> Vec<String> {
    let token = control.token().encode();
    [
        "--listen",
        "127.0.0.1:0",
        "--status-listen",
        "127.0.0.1:0",
        "--threads",
        "2",
        "--allowed-networks",
        "127.0.0.0/8",
    ]
    .into_iter()
    .chain(["--data", data.to_str().unwrap(), "--enrolment-token", &token])
    .map(str::to_owned)
    .collect()
}

fn field(line: &str, name: &str) -> String {
    let value = line.split(name).nth(1).unwrap();
    value.split_whitespace().next().unwrap().to_owned()
}

/// Status of an answer that has arrived whole.
fn get(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.ends_with("hello").then_some(()).or((!answer.contains(" 200 ")).then_some(()))?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// An upstream that says hello to everybody.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                    if line == "\r\n"
                        && stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").is_err()
                    {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    address
}

/// A revision that answers below one path only, so that it shows which one is served.
fn version(api: ApiId, revision: u32, path: &str, upstream: SocketAddr) -> ApiPart {
    let mut part = part(api, revision);
    part.slug = "api".to_owned();
    part.definition.routes[0].path = path.to_owned();
    part.definition.upstreams[0].targets =
        vec![Target { url: format!("http://{upstream}"), weight: 1, zone: None }];
    part
}

#[test]
fn a_gateway_killed_at_any_step_of_applying_comes_back_to_the_old_or_the_new_state() {
    let upstream = upstream();
    for step in Step::ALL {
        let mut control = FakeControl::start();
        let api = ApiId::generate();
        let (first, _) = control.release(&version(api, 1, "/old", upstream));
        let data = tempfile::tempdir().unwrap();
        let gateway = Process::start(data.path(), &control, &[]);
        eventually("the first version is acknowledged", || control.state().acknowledged() == first);
        assert_eq!((gateway.get("/acme/api/old"), gateway.get("/acme/api/new")), (Some(200), Some(404)));
        gateway.stop();

        // These are also passed when the state on disk is taken up, and when the release is noted but not ready.
        let pass = match step {
            Step::BeforeSwap => ":3",
            Step::BeforeAck => ":2",
            _ => "",
        };
        let mut dying =
            Process::start(data.path(), &control, &["--failpoint", &format!("{}{pass}", step.name())]);
        eventually("it is connected", || control.state().sessions.len() == 2);
        let (second, _) = control.release(&version(api, 2, "/new", upstream));
        assert!(!dying.death().success());
        control.down();
        let gateway = Process::start(data.path(), &control, &[]);
        let (old, new) = (gateway.get("/acme/api/old"), gateway.get("/acme/api/new"));
        println!("killed {}: {}", step.name(), if new == Some(200) { "new" } else { "old" });
        assert!(
            matches!((old, new), (Some(200), Some(404)) | (Some(404), Some(200))),
            "killed {}: old {old:?}, new {new:?}",
            step.name()
        );
        control.up();
        eventually("the new version is acknowledged", || control.state().acknowledged() == second);
        assert_eq!((gateway.get("/acme/api/old"), gateway.get("/acme/api/new")), (Some(404), Some(200)));
        gateway.stop();
    }
}

#[test]
fn a_killed_gateway_loses_less_than_a_second_of_calls_and_the_next_life_says_how_many() {
    let control = FakeControl::start();
    let api = ApiId::generate();
    control.release(&version(api, 1, "/thing", upstream()));
    let data = tempfile::tempdir().unwrap();
    let mut gateway = Process::start(data.path(), &control, &[]);
    let mut tries_before = 0;
    eventually("it serves", || {
        tries_before += 1;
        gateway.get("/acme/api/thing") == Some(200)
    });

    const CLIENTS: u64 = 4;
    let (answered, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let last_second = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if gateway_answers(gateway.address) {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(1_500));
        let before = answered.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(1));
        let pid = gateway.child.id().to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        stop.store(true, Ordering::Relaxed);
        answered.load(Ordering::Relaxed) - before
    });
    let _ = gateway.child.wait();
    // Those that waited for it to serve count too; calls in flight at the kill were accepted but not answered.
    let answered = answered.load(Ordering::Relaxed);
    let next = Process::start(data.path(), &control, &[]);
    eventually("it is connected", || control.state().sessions.len() == 2);
    std::thread::sleep(Duration::from_secs(1));
    let state = control.state();
    let (rows, rolled_up) = state.calls();
    let lost: u64 = state.losses.values().sum();
    println!("answered {answered}, recorded {rows}, lost {lost}, answered in the last second {last_second}");
    assert_eq!(rows, rolled_up);
    assert!(lost <= last_second + CLIENTS, "{lost} lost, {last_second} in the last second");
    // The calls before the traffic, every try until it served, and those in flight at the kill.
    let unanswered = rows + lost - answered;
    assert!(
        (1..=CLIENTS + tries_before).contains(&unanswered),
        "{rows} recorded + {lost} lost, {answered} answered"
    );
    drop(state);
    next.stop();
}

fn gateway_answers(address: SocketAddr) -> bool {
    get(address, "/acme/api/thing") == Some(200)
}

#[test]
fn a_limit_on_file_sizes_drops_the_oldest_calls_counts_them_and_serving_goes_on() {
    let mut control = FakeControl::start();
    let api = ApiId::generate();
    control.release(&version(api, 1, "/thing", upstream()));
    let data = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes: the counters' file just fits, batches and the journal soon do not.
    let script = "ulimit -f 8; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_sluice-gateway")]);
    command.args(arguments(data.path(), &control)).args(["--spool-max-bytes", "100KiB"]);
    let gateway = Process::spawn(command);
    let mut sent = 0_u64;
    eventually("it serves", || {
        sent += 1;
        gateway.get("/acme/api/thing") == Some(200)
    });
    control.down();
    for _ in 0..30 {
        for _ in 0..100 {
            sent += 1;
            assert_eq!(gateway.get("/acme/api/thing"), Some(200), "serving goes on");
        }
        // So slowly that one batch has room where all have not.
        std::thread::sleep(Duration::from_millis(50));
    }
    control.up();
    let told = || control.state().batches.iter().map(|batch| batch.dropped).sum::<u64>();
    let delivered = || control.state().calls().0;
    eventually("every call is delivered or told as dropped", || delivered() + told() == sent);
    let (rows, rolled_up) = control.state().calls();
    println!("sent {sent}, recorded {rows}, dropped {}", told());
    assert_eq!(rows, rolled_up);
    assert!(told() > 0 && rows > 0);
    // The journal still takes effect although it cannot be written.
    for revision in 2..40 {
        let (position, _) = control.release(&version(api, revision, "/thing", upstream()));
        eventually("it is acknowledged", || control.state().acknowledged() == position);
    }
    gateway.stop();
}

#[test]
fn what_keeps_a_gateway_from_starting_is_one_clear_line() {
    let control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let running = Process::start(data.path(), &control, &[]);
    let fails = |data: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-gateway"));
        let mut all = arguments(data, &control);
        // A flag given twice is an error of its own.
        if let Some(flag) = more.first() {
            let at = all.iter().position(|argument| argument == flag).unwrap();
            all.drain(at..at + 2);
        }
        let output = command.args(all).args(more).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        let line = said.lines().last().unwrap().to_owned();
        assert!(line.matches("os error").count() < 2, "said twice: {line}");
        line
    };
    let line = fails(data.path(), &[]);
    assert!(line.contains("belongs to another running gateway"), "{line}");
    let other = tempfile::tempdir().unwrap();
    let taken = running.address.to_string();
    let line = fails(other.path(), &["--listen", &taken]);
    assert!(line.contains(&taken) && line.contains("`listen`"), "{line}");
    let line = fails(Path::new("/proc/nowhere"), &[]);
    assert!(line.contains("/proc/nowhere") && line.contains("`data`"), "{line}");
    running.stop();
}

/// The whole answer.
fn ask(gateway: &Process, path: &str) -> String {
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_gateway_with_its_cache_on_disk_is_warm_after_a_stop_and_cold_after_a_kill() {
    let control = FakeControl::start();
    let mut part = version(ApiId::generate(), 1, "/thing", upstream());
    let cache = serde_json::json!([{ "type": "cache", "settings": { "ttl_s": 600 } }]);
    part.definition.policies = serde_json::from_value(cache).unwrap();
    control.release(&part);
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let url = format!("disk:{}", folder.path().display());
    let start = |lives: usize| {
        let gateway =
            Process::start(data.path(), &control, &["--cache-l2-url", &url, "--cache-l2-budget", "5s"]);
        eventually("it is connected", || control.state().sessions.len() == lives);
        // Until the control plane was heard, what is stored is validated.
        std::thread::sleep(Duration::from_secs(1));
        gateway
    };
    let first = start(1);
    eventually("it is stored", || ask(&first, "/acme/api/thing").contains("stored"));
    first.stop();
    assert!(folder.path().join("closed").exists());
    let second = start(2);
    let answer = ask(&second, "/acme/api/thing");
    assert!(answer.contains("detail=L2") && answer.ends_with("hello"), "{answer}");
    assert!(!folder.path().join("closed").exists());
    drop(second);
    let third = start(3);
    let answer = ask(&third, "/acme/api/thing");
    assert!(answer.contains("stored") && answer.ends_with("hello"), "{answer}");
    third.stop();
}
