//! A gateway that says what it is asked to warm.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use sluice_contract::ids::BootId;
use sluice_contract::link::ANSWERS_PATH;
use sluice_contract::questions::{Answer, Ask, Reply};
use sluice_contract::warming::{WarmAnswer, WarmAsk, WarmJob, WarmReport};
use sluice_store::gateways::{self, Heard};

use super::super::simulated::{Served, Simulated};

/// A gateway that lives and stores what it is asked to; while it `holds`, it comes to no end by itself.
pub(super) struct Warmer {
    pub(super) gateway: Simulated,
    pub(super) jobs: Arc<Mutex<Vec<WarmJob>>>,
    pub(super) holds: Arc<AtomicBool>,
    /// It hangs: its stream is open, and it answers nothing.
    pub(super) hangs: Arc<AtomicBool>,
    /// What it answers first.
    pub(super) first: Arc<Mutex<VecDeque<WarmAnswer>>>,
}

impl Warmer {
    pub(super) async fn start(served: &Served, second_level: bool, holds: bool) -> Self {
        let warmer = Self {
            gateway: served.gateway().await,
            jobs: Arc::default(),
            holds: Arc::new(AtomicBool::new(holds)),
            hangs: Arc::default(),
            first: Arc::default(),
        };
        warmer.live(served, second_level).await;
        warmer.listen().await;
        warmer
    }

    /// Another process with an empty memory takes the gateway's place.
    pub(super) async fn restart(&mut self, served: &Served) {
        self.gateway.boot = BootId::generate();
        self.gateway.open_session(Vec::new()).await.unwrap();
        self.live(served, false).await;
        self.listen().await;
    }

    /// It is heard of.
    pub(super) async fn live(&self, served: &Served, second_level: bool) {
        let tx = served.store().begin().await.unwrap();
        let mut heartbeat = self.gateway.pulse(0);
        if second_level {
            let health = json!({
                "state": "up", "hits": 0, "misses": 0, "late": 0, "errors": 0, "damaged": 0, "outdated": 0,
                "written": 0, "dropped": 0, "refused": 0, "latency_us": 0, "server": null,
            });
            heartbeat.second_level = Some(serde_json::from_value(health).unwrap());
        }
        let heard = Heard { gateway: self.gateway.id, at: sluice_store::now(), heartbeat };
        gateways::hear(&tx, &[heard]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Answers what it is asked.
    async fn listen(&self) {
        let mut stream = self.gateway.listen(0).await.unwrap();
        let (answering, seen, held) = (self.gateway.clone(), Arc::clone(&self.jobs), Arc::clone(&self.holds));
        let (first, hangs) = (Arc::clone(&self.first), Arc::clone(&self.hangs));
        tokio::spawn(async move {
            loop {
                let question = stream.question().await;
                let Ask::Warm { job: _, what } = question.ask else { continue };
                if hangs.load(Ordering::SeqCst) {
                    continue;
                }
                let last = || seen.lock().unwrap().last().map_or(0, |job| job.targets.len()) as u64;
                let answer = match what {
                    WarmAsk::Begin(job) => {
                        seen.lock().unwrap().push(*job);
                        WarmAnswer::Running(WarmReport::default())
                    }
                    WarmAsk::Look if held.load(Ordering::SeqCst) => WarmAnswer::Running(report(1, 0)),
                    WarmAsk::Look => WarmAnswer::Done(report(last(), 0)),
                    WarmAsk::Stop => WarmAnswer::Done(report(1, last() - 1)),
                };
                let answer = first.lock().unwrap().pop_front().unwrap_or(answer);
                let answer = Answer { question: question.id, took_us: 1, reply: Reply::Warm { answer } };
                answering.post(ANSWERS_PATH, &answer).await.unwrap();
            }
        });
    }

    pub(super) fn urls(&self) -> Vec<String> {
        self.jobs.lock().unwrap().iter().flat_map(|job| job.targets.clone()).collect()
    }
}

pub(super) fn report(stored: u64, stopped: u64) -> WarmReport {
    let mut report = WarmReport { stored, failed: stopped, ..WarmReport::default() };
    if stopped > 0 {
        report.reasons.insert("stopped".to_owned(), stopped);
    }
    report
}
