//! A thousand callers who ask at once for what nobody has: the origin should hear of one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::load::{self, Request};
use super::machine::Cores;
use super::nginx::{CACHE_BYTES, Nginx, Proxy};
use super::server::Server;
use super::sluice::{Api, Sluice};
use super::table::median;
use super::varnish::Varnish;
use super::{Binaries, Options};
use crate::report;

const CALLERS: u32 = 1_000;
/// How long the origin thinks: longer than all need to connect.
const THOUGHT: Duration = Duration::from_secs(1);
const BODY_BYTES: usize = 16 << 10;

struct Subject {
    name: &'static str,
    server: Server,
    url: String,
}

pub fn run(scratch: &Path, binaries: &Binaries, options: &Options) -> Result<Value> {
    let cores = Cores::of_this_machine()?;
    let (origin, asked) = slow_origin()?;
    let sluice = Sluice::start(binaries, cores, scratch, &[(Api::Slow, origin)])?;
    let nginx = Nginx::proxy(Proxy::LockedCache, scratch, origin)?;
    let varnish = Varnish::start(cores.proxy, CACHE_BYTES, scratch, origin)?;
    let subjects = [
        Subject {
            name: "nginx",
            server: nginx.start("nginx", cores.proxy, scratch)?,
            url: format!("http://{}/", nginx.address),
        },
        Subject { name: "varnish", server: varnish.server, url: format!("http://{}/", varnish.address) },
        Subject {
            name: "sluice",
            server: sluice.start_gateway(cores, scratch)?,
            url: sluice.request(Api::Slow).url,
        },
    ];
    report::result(&format!(
        "{CALLERS} callers ask at once for what nobody has, and whose origin thinks for {} s; medians of {} runs",
        THOUGHT.as_secs(),
        options.runs
    ));
    let mut found = Vec::new();
    for subject in &subjects {
        let mut samples = Vec::new();
        for run in 0..options.runs {
            let request = Request { url: format!("{}{run}", subject.url), headers: Vec::new() };
            let (cpu, before) = (subject.server.cpu_seconds()?, asked.load(Ordering::SeqCst));
            let answers = load::at_once(cores, &request, CALLERS, scratch)
                .with_context(|| format!("asking {}", subject.name))?;
            let cpu = subject.server.cpu_seconds()? - cpu;
            samples.push((
                (asked.load(Ordering::SeqCst) - before) as f64,
                answers.p50,
                answers.p99,
                cpu * 1000.0,
            ));
        }
        let requests = median(samples.iter().map(|sample| sample.0));
        let most = samples.iter().map(|sample| sample.0).fold(0.0, f64::max);
        let (p50, p99) =
            (median(samples.iter().map(|sample| sample.1)), median(samples.iter().map(|sample| sample.2)));
        let cpu = median(samples.iter().map(|sample| sample.3));
        report::result(&format!(
            "{:<8} {requests} requests to the origin (at most {most}), answered after p50 {p50:.0} ms, p99 {p99:.0} ms, {cpu:.0} ms of processor time",
            subject.name
        ));
        found.push(json!({
            "name": subject.name,
            "origin_requests": requests,
            "origin_requests_at_most": most,
            "p50_ms": p50,
            "p99_ms": p99,
            "cpu_ms": cpu,
        }));
    }
    Ok(Value::Array(found))
}

/// An origin that counts what it is asked, and thinks before it answers. It ends with the process.
fn slow_origin() -> Result<(SocketAddr, Arc<AtomicU64>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    let address = listener.local_addr().context("no free port")?;
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counter = Arc::clone(&counter);
            // A caller that leaves is no concern of the origin's.
            thread::spawn(move || thoughtful(stream, &counter).ok());
        }
    });
    Ok((address, asked))
}

/// Answers one request.
fn thoughtful(mut stream: TcpStream, asked: &AtomicU64) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    asked.fetch_add(1, Ordering::SeqCst);
    thread::sleep(THOUGHT);
    let head = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=3600\r\nContent-Length: {BODY_BYTES}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&[b'x'; BODY_BYTES])?;
    Ok(())
}
