//! One gateway's share of a warming: a handful of URLs at a time, until all are done with.

use std::time::Duration;

use sluice_contract::ids::{GatewayId, WarmJobId, WarmingId};
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::warmings::{GatewayWarmingState, WarmingPlan};
use sluice_contract::warming::{AsCallers, WARM_JOB_MAX, WarmAnswer, WarmAsk, WarmJob, WarmReport};
use sluice_store::warmings::{self, Open, Share};
use tokio::time::Instant;

use crate::state::App;

/// Bytes of the URLs of a job: a question has a bound.
const JOB_BYTES: usize = 40 << 10;
/// How often a gateway is asked how far it is, and how often that is kept.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// How long a gateway is waited for that does not answer, and one that is behind.
const SILENT: Duration = Duration::from_secs(20);
const BEHIND: Duration = Duration::from_secs(60);
/// How long a job may take: upstreams have timeouts of their own.
const JOB_TIME: Duration = Duration::from_secs(600);

/// Why a share ends before all of its URLs are done with.
enum Ended {
    As(GatewayWarmingState),
    /// Another control plane sees to it now, or nobody any more.
    Lost,
    Failed(sluice_store::Error),
}

impl From<sluice_store::Error> for Ended {
    fn from(error: sluice_store::Error) -> Self {
        Self::Failed(error)
    }
}

/// Sees to the share until it ends.
pub(super) async fn drive(app: App, open: Open, name: String, share: Share) {
    let mut driver = Driver { app: &app, open: &open, name, share };
    let (warming, gateway) = (driver.share.warming, driver.share.gateway);
    let state = match driver.all().await {
        Ok(()) => GatewayWarmingState::Done,
        Err(Ended::As(state)) => state,
        Err(Ended::Lost) => return,
        Err(Ended::Failed(error)) => {
            // Its lease ends, and it is taken up where it was.
            return tracing::warn!(%error, "a warming is interrupted");
        }
    };
    if let Err(error) = end(&app, warming, gateway, state, Some(&driver.share.report)).await {
        tracing::warn!(%error, "the end of a warming could not be kept");
    }
}

/// Keeps the end of a gateway's share.
pub(super) async fn end(
    app: &App,
    warming: WarmingId,
    gateway: GatewayId,
    state: GatewayWarmingState,
    report: Option<&WarmReport>,
) -> sluice_store::Result<()> {
    let tx = app.store.begin().await?;
    warmings::end(&tx, warming, gateway, state, report).await?;
    tx.commit().await
}

struct Driver<'a> {
    app: &'a App,
    open: &'a Open,
    name: String,
    share: Share,
}

impl Driver<'_> {
    async fn all(&mut self) -> Result<(), Ended> {
        let urls = warmings::urls(self.app.store.read(), self.open.id).await?;
        while let Some(left) = urls.get(self.share.next..).filter(|left| !left.is_empty()) {
            let targets = handful(left);
            let (done, (report, goes_on)) = match targets {
                [] => (1, (too_long(), true)),
                targets => (targets.len(), self.job(targets.to_vec()).await?),
            };
            self.share.report.add(&report);
            self.share.next += done;
            let goes_on = self.keep(&self.share.report.clone()).await? && goes_on;
            let left = self.share.next < urls.len() || report.done() < done as u64;
            if !goes_on && left {
                return Err(Ended::As(GatewayWarmingState::Cancelled));
            }
        }
        Ok(())
    }

    /// Has a gateway do some URLs. What became of them, and whether the warming goes on.
    async fn job(&self, targets: Vec<String>) -> Result<(WarmReport, bool), Ended> {
        let job = self.of(targets);
        let mut id = self.begin(&job).await?;
        let (mut goes_on, mut kept, mut heard) = (true, Instant::now(), Instant::now());
        loop {
            self.pause().await?;
            let what = if goes_on { WarmAsk::Look } else { WarmAsk::Stop };
            match self.ask(id, what).await {
                Some(WarmAnswer::Done(report)) => {
                    return Ok(if goes_on { (report, true) } else { (without_stopped(report), false) });
                }
                Some(WarmAnswer::Running(report)) => {
                    heard = Instant::now();
                    if kept.elapsed() >= KEEP_EVERY {
                        kept = heard;
                        let mut shown = self.share.report.clone();
                        shown.add(&report);
                        goes_on = self.keep(&shown).await?;
                    }
                }
                // It has restarted: what it had is gone, too.
                Some(_) => {
                    heard = Instant::now();
                    id = self.begin(&job).await?;
                }
                None if heard.elapsed() > SILENT => return Err(Ended::As(GatewayWarmingState::NotReached)),
                None => {
                    kept = Instant::now();
                    goes_on = self.keep(&self.share.report).await?;
                }
            }
        }
    }

    /// Begins a job as soon as the gateway serves what was released before the warming was asked for.
    async fn begin(&self, job: &WarmJob) -> Result<WarmJobId, Ended> {
        let id = WarmJobId::generate();
        let (mut silent, mut behind) = (Instant::now(), Instant::now());
        loop {
            match self.ask(id, WarmAsk::Begin(Box::new(job.clone()))).await {
                Some(WarmAnswer::Running(_) | WarmAnswer::Done(_)) => return Ok(id),
                Some(WarmAnswer::Behind) if behind.elapsed() < BEHIND => silent = Instant::now(),
                Some(WarmAnswer::Behind | WarmAnswer::UnknownApi) => {
                    return Err(Ended::As(GatewayWarmingState::Behind));
                }
                Some(WarmAnswer::UnknownJob) | None if silent.elapsed() < SILENT => behind = Instant::now(),
                Some(WarmAnswer::UnknownJob) | None => {
                    return Err(Ended::As(GatewayWarmingState::NotReached));
                }
            }
            self.pause().await?;
            if !self.keep(&self.share.report).await? {
                return Err(Ended::As(GatewayWarmingState::Cancelled));
            }
        }
    }

    /// None: no answer.
    async fn ask(&self, job: WarmJobId, what: WarmAsk) -> Option<WarmAnswer> {
        let gateway = vec![(self.share.gateway, self.name.clone())];
        let read = |reply| match reply {
            Reply::Warm { answer } => Some(answer),
            _ => None,
        };
        let ask = Ask::Warm { job, what };
        self.app.link.questions().ask(gateway, self.open.tenant, ask, read).await.ok()?.pop()?.answer
    }

    /// Whether to go on.
    async fn keep(&self, shown: &WarmReport) -> Result<bool, Ended> {
        let tx = self.app.store.begin().await?;
        let goes_on = warmings::renew(&tx, &self.share, shown).await?;
        tx.commit().await?;
        goes_on.ok_or(Ended::Lost)
    }

    async fn pause(&self) -> Result<(), Ended> {
        tokio::select! {
            () = self.app.stopping.cancelled() => Err(Ended::Lost),
            () = tokio::time::sleep(LOOK_EVERY) => Ok(()),
        }
    }

    fn of(&self, targets: Vec<String>) -> WarmJob {
        let WarmingPlan {
            sources: _,
            pace,
            address,
            headers,
            renew_s,
            on_release: _,
            on_gateway: _,
            schedule: _,
        } = self.open.plan.clone();
        WarmJob {
            api: self.open.api,
            position: self.open.position,
            targets,
            as_callers: AsCallers { address, headers },
            renew_s,
            pace,
            within_ms: u64::try_from(JOB_TIME.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The first URLs, as many as fit one question; none where the first alone is too long for any.
fn handful(urls: &[String]) -> &[String] {
    let mut bytes = 0;
    let fits = |url: &&String| {
        // As it is sent: quoted, with quotes and backslashes escaped.
        bytes += serde_json::to_string(url).map_or(JOB_BYTES, |text| text.len()) + 1;
        bytes <= JOB_BYTES
    };
    let count = urls.iter().take(WARM_JOB_MAX).take_while(fits).count();
    &urls[..count]
}

/// What is said of a URL that is longer than any gateway takes.
fn too_long() -> WarmReport {
    WarmReport { failed: 1, reasons: [("too_long".to_owned(), 1)].into(), ..WarmReport::default() }
}

/// What was not begun has not failed.
fn without_stopped(mut report: WarmReport) -> WarmReport {
    if let Some(stopped) = report.reasons.remove("stopped") {
        report.failed = report.failed.saturating_sub(stopped);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(length: usize, of: &str) -> String {
        of.repeat(length)
    }

    #[test]
    fn a_handful_fits_a_question_as_it_is_sent() {
        let plain = vec![url(8 << 10, "a"); 10];
        assert_eq!(handful(&plain).len(), 4);
        let escaped = vec![url(8 << 10, "\""); 10];
        assert_eq!(handful(&escaped).len(), 2, "each byte is sent as two");
        let short = vec!["/a".to_owned(); WARM_JOB_MAX + 1];
        assert_eq!(handful(&short).len(), WARM_JOB_MAX);
        assert_eq!(handful(&[url(JOB_BYTES, "a"), "/a".to_owned()]), &[] as &[String]);
    }
}
