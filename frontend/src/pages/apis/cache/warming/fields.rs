//! The fields of a plan, as they are typed.

use leptos::prelude::*;
use sluice_contract::problem::{FieldProblem, Problem};
use sluice_contract::rest::warmings::{WarmingPlan, WarmingSchedule, WarmingSource};
use sluice_contract::warming::Pace;

use crate::state::Task;

#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub(super) paths: RwSignal<String>,
    pub(super) sitemaps: RwSignal<String>,
    pub(super) top: RwSignal<String>,
    pub(super) per_second: RwSignal<String>,
    pub(super) concurrency: RwSignal<String>,
    pub(super) address: RwSignal<String>,
    pub(super) renew: RwSignal<String>,
    pub(super) on_release: RwSignal<bool>,
    pub(super) on_gateway: RwSignal<bool>,
    /// `never`, `every` or `daily`.
    pub(super) when: RwSignal<String>,
    pub(super) minutes: RwSignal<String>,
    pub(super) time: RwSignal<String>,
    /// What the form does not show.
    kept: RwSignal<WarmingPlan>,
}

impl Fields {
    pub(super) fn new() -> Self {
        let text = || RwSignal::new(String::new());
        Self {
            paths: text(),
            sitemaps: text(),
            top: text(),
            per_second: text(),
            concurrency: text(),
            address: text(),
            renew: text(),
            on_release: RwSignal::new(false),
            on_gateway: RwSignal::new(false),
            when: RwSignal::new("never".to_owned()),
            minutes: RwSignal::new("60".to_owned()),
            time: RwSignal::new("05:00".to_owned()),
            kept: RwSignal::new(WarmingPlan::default()),
        }
    }

    pub(super) fn show(self, plan: WarmingPlan) {
        let (mut paths, mut sitemaps, mut most) = (Vec::new(), Vec::new(), None);
        for source in &plan.sources {
            match source {
                WarmingSource::List { paths: listed } => paths.extend(listed.iter().cloned()),
                WarmingSource::Sitemap { url } => sitemaps.push(url.clone()),
                // Of two such sources the larger has all that the other has.
                WarmingSource::Top { count } => most = most.max(Some(*count)),
            }
        }
        self.paths.set(paths.join("\n"));
        self.sitemaps.set(sitemaps.join("\n"));
        self.top.set(most.map(|count| count.to_string()).unwrap_or_default());
        self.per_second.set(plan.pace.per_second.to_string());
        self.concurrency.set(plan.pace.concurrency.to_string());
        self.address.set(plan.address.clone().unwrap_or_default());
        self.renew.set(plan.renew_s.to_string());
        self.on_release.set(plan.on_release);
        self.on_gateway.set(plan.on_gateway);
        let when = match plan.schedule {
            None => "never",
            Some(WarmingSchedule::Every { minutes }) => {
                self.minutes.set(minutes.to_string());
                "every"
            }
            Some(WarmingSchedule::Daily { minute }) => {
                self.time.set(time_of(minute));
                "daily"
            }
        };
        self.when.set(when.to_owned());
        self.kept.set(plan);
    }

    /// # Errors
    /// At the pointers that the API would give.
    pub(super) fn read(self) -> Result<WarmingPlan, Problem> {
        let mut sources = sources_of(self.paths, self.sitemaps);
        if !self.top.with_untracked(|text| text.trim().is_empty()) {
            sources.push(WarmingSource::Top { count: number("/sources/0/count", self.top)? });
        }
        let pace = Pace {
            per_second: number("/pace/per_second", self.per_second)?,
            concurrency: number("/pace/concurrency", self.concurrency)?,
        };
        let address = self.address.get_untracked().trim().to_owned();
        let schedule = match self.when.get_untracked().as_str() {
            "every" => Some(WarmingSchedule::Every { minutes: number("/schedule/minutes", self.minutes)? }),
            "daily" => Some(WarmingSchedule::Daily { minute: minute_of(&self.time.get_untracked())? }),
            _ => None,
        };
        Ok(WarmingPlan {
            sources,
            pace,
            address: (!address.is_empty()).then_some(address),
            renew_s: number("/renew_s", self.renew)?.into(),
            on_release: self.on_release.get_untracked(),
            on_gateway: self.on_gateway.get_untracked(),
            schedule,
            headers: self.kept.get_untracked().headers,
        })
    }
}

/// What is wrong with a kind of source, by the last part of the pointer: their places in the list are not on the form.
pub(super) fn wrong_source(task: Task, member: &'static str) -> Signal<Option<String>> {
    let ends = move |pointer: &str| {
        pointer.strip_prefix("/sources/").is_some_and(|rest| rest.split('/').nth(1) == Some(member))
    };
    Signal::derive(move || {
        task.problem().with(|problem| {
            let mut fields = problem.as_ref()?.fields.iter();
            fields.find(|field| ends(&field.pointer)).map(|field| field.message.clone())
        })
    })
}

/// The sources that are typed one a line.
pub(super) fn sources_of(paths: RwSignal<String>, sitemaps: RwSignal<String>) -> Vec<WarmingSource> {
    let paths = paths.with_untracked(|text| lines_of(text));
    let listed = (!paths.is_empty()).then_some(WarmingSource::List { paths });
    let sitemaps = sitemaps.with_untracked(|text| lines_of(text));
    listed.into_iter().chain(sitemaps.into_iter().map(|url| WarmingSource::Sitemap { url })).collect()
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Minutes after midnight as `05:30`.
pub(super) fn time_of(minute: u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn number(pointer: &str, field: RwSignal<String>) -> Result<u32, Problem> {
    let read = field.with_untracked(|text| text.trim().parse());
    read.map_err(|_| wrong(pointer, "a whole number"))
}

/// `05:30` as minutes after midnight.
fn minute_of(time: &str) -> Result<u32, Problem> {
    let read = || {
        let (hour, minute) = time.trim().split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.get(..2)?.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    read().ok_or_else(|| wrong("/schedule/minute", "hours and minutes, like 05:30"))
}

fn wrong(pointer: &str, message: &str) -> Problem {
    let field = FieldProblem::new(pointer, "invalid", message);
    Problem::new(0, "invalid", "Not saved").fields(vec![field])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_read_as_it_is_shown() {
        for (text, minute) in [("00:00", 0), ("03:30", 210), ("23:59", 1439)] {
            assert_eq!((minute_of(text).unwrap(), time_of(minute).as_str()), (minute, text));
        }
        for text in ["", "24:00", "12:60", "noon"] {
            assert_eq!(minute_of(text).unwrap_err().fields[0].pointer, "/schedule/minute");
        }
    }
}
