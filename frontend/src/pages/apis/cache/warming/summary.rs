//! A plan in words.

use leptos::prelude::*;
use sluice_contract::rest::warmings::{KeptWarmingPlan, WarmingPlan, WarmingSchedule, WarmingSource};

use super::fields::time_of;
use crate::format;

/// What is warmed, and when by itself.
pub(super) fn summary(kept: &KeptWarmingPlan) -> AnyView {
    if !is_made(kept) {
        return view! {
            <p class="secondary small">"No plan: nothing is warmed by itself in this environment."</p>
        }
        .into_any();
    }
    let next = kept.next_run_at.map(|at| {
        view! {
            <dt>"Next"</dt>
            <dd>{format::date_time(at)}</dd>
        }
    });
    view! {
        <dl class="facts">
            <dt>"What"</dt>
            <dd>{what(&kept.plan)}</dd>
            <dt>"When"</dt>
            <dd>{when(&kept.plan)}</dd>
            {next}
        </dl>
    }
    .into_any()
}

/// Whether somebody has made a plan that says anything.
pub(super) fn is_made(kept: &KeptWarmingPlan) -> bool {
    kept.plan != WarmingPlan::default()
}

fn what(plan: &WarmingPlan) -> String {
    let sources = plan.sources.iter().map(|source| match source {
        WarmingSource::List { paths } => format::plural(paths.len(), "listed address", "listed addresses"),
        WarmingSource::Sitemap { url } => format!("the sitemap {url}"),
        WarmingSource::Top { count } => format!("the {count} most asked for"),
    });
    let sources: Vec<String> = sources.collect();
    match sources.is_empty() {
        true => "nothing is listed".to_owned(),
        false => sources.join(", "),
    }
}

fn when(plan: &WarmingPlan) -> String {
    let clock = plan.schedule.map(|schedule| match schedule {
        WarmingSchedule::Every { minutes } => {
            format!("every {}", format::plural(minutes as usize, "minute", "minutes"))
        }
        WarmingSchedule::Daily { minute } => format!("daily at {} UTC", time_of(minute)),
    });
    let release = plan.on_release.then(|| "after each release".to_owned());
    let gateway = plan.on_gateway.then(|| "when a gateway comes up".to_owned());
    let all: Vec<String> = [release, gateway, clock].into_iter().flatten().collect();
    match all.is_empty() {
        true => "on demand only".to_owned(),
        false => all.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use sluice_contract::ids::EnvironmentId;

    use super::*;

    #[test]
    fn a_plan_says_what_it_warms_and_when() {
        let mut plan = WarmingPlan::default();
        assert_eq!((what(&plan).as_str(), when(&plan).as_str()), ("nothing is listed", "on demand only"));
        let paths = vec!["/a".to_owned(), "/b".to_owned()];
        plan.sources = vec![WarmingSource::List { paths }, WarmingSource::Top { count: 5 }];
        (plan.on_release, plan.on_gateway) = (true, true);
        plan.schedule = Some(WarmingSchedule::Daily { minute: 210 });
        assert_eq!(what(&plan), "2 listed addresses, the 5 most asked for");
        assert_eq!(when(&plan), "after each release, when a gateway comes up, daily at 03:30 UTC");
    }

    #[test]
    fn a_plan_that_was_deleted_is_none() {
        let plan = WarmingPlan::default();
        let environment = EnvironmentId::generate();
        assert!(!is_made(&KeptWarmingPlan { environment, plan, next_run_at: None, version: 2 }));
    }
}
