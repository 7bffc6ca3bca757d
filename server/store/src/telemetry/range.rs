//! Time ranges in steps of whole minutes, and which buckets cover them.

use chrono::{DateTime, Days, TimeDelta, Utc};

use super::retain::{HOUR_DAYS, MINUTE_DAYS};
use super::rollup::{DAY, HOUR, MINUTE, minute};

/// Steps that people can read off an axis, in minutes.
const NICE: [u32; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 480, 720, 1_440, 2_880, 7_200, 14_400, 43_200, 144_000,
    432_000,
];
/// Nothing is kept longer.
const LONGEST_DAYS: u64 = 3_650;

/// Whole steps, in minutes since the Unix epoch; `to` is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) step: u32,
}

/// Buckets of one length, from the first to before the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) step: u32,
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Range {
    /// The smallest steps that give at most so many points, of buckets that are still kept.
    pub(super) fn plan(from: DateTime<Utc>, to: DateTime<Utc>, points: u32, now: DateTime<Utc>) -> Self {
        let latest = now + TimeDelta::days(1);
        let from = from.clamp(now - Days::new(LONGEST_DAYS), latest);
        let to = to.clamp(from, latest);
        let finest = finest(from, now);
        let (first, last) =
            (minute(from), minute(to + TimeDelta::microseconds(59_999_999)).max(minute(from) + 1));
        let align = |step: u32| Self { from: first - first % step, to: last.next_multiple_of(step), step };
        NICE.into_iter()
            .filter(|step| *step >= finest)
            .map(align)
            .find(|range| range.len() <= points)
            .unwrap_or_else(|| align(NICE[NICE.len() - 1]))
    }

    /// How many points it has.
    pub(super) fn len(&self) -> u32 {
        (self.to - self.from) / self.step
    }

    /// Which point a minute belongs to.
    pub(super) fn index(&self, minute: u32) -> Option<usize> {
        (self.from..self.to).contains(&minute).then(|| ((minute - self.from) / self.step) as usize)
    }

    /// Start of a point.
    pub(super) fn start(&self, index: u32) -> DateTime<Utc> {
        time(self.from + index * self.step)
    }

    /// The longest buckets that add up to each point.
    pub(super) fn by_point(&self) -> Segment {
        let step = [DAY, HOUR].into_iter().find(|bucket| self.step.is_multiple_of(*bucket)).unwrap_or(MINUTE);
        Segment { step, from: self.from, to: self.to }
    }

    /// The fewest buckets that add up to the whole: days in the middle, hours and minutes at the ends.
    pub(super) fn whole(&self) -> Vec<Segment> {
        let mut segments = Vec::new();
        cover(self.from, self.to, &[DAY, HOUR, MINUTE], &mut segments);
        segments
    }
}

/// A time from minutes since the Unix epoch.
pub(super) fn time(minutes: u32) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes.into())
}

/// The shortest buckets that are surely still there from this time on.
fn finest(from: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    let kept = |days: u32| from >= now - Days::new(u64::from(days) - 1);
    match () {
        () if kept(MINUTE_DAYS) => MINUTE,
        () if kept(HOUR_DAYS) => HOUR,
        () => DAY,
    }
}

fn cover(from: u32, to: u32, steps: &[u32], segments: &mut Vec<Segment>) {
    let Some((&step, finer)) = steps.split_first() else { return };
    let (first, last) = (from.next_multiple_of(step), to - to % step);
    if first >= last {
        return cover(from, to, finer, segments);
    }
    cover(from, first, finer, segments);
    segments.push(Segment { step, from: first, to: last });
    cover(last, to, finer, segments);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_hour_in_120_points_has_a_point_for_each_minute() {
        let now = at("2026-05-20T12:34:56Z");
        let range = Range::plan(now - TimeDelta::hours(1), now, 120, now);
        assert_eq!((range.step, range.len()), (1, 61));
        assert_eq!(range.start(0), at("2026-05-20T11:34:00Z"));
        assert_eq!(range.index(minute(now)), Some(60));
    }

    #[test]
    fn thirty_days_in_120_points_have_steps_of_six_or_eight_hours() {
        let now = at("2026-05-20T12:34:56Z");
        let range = Range::plan(now - TimeDelta::days(30), now, 120, now);
        assert_eq!(range.step, 480);
        assert!(range.len() <= 120);
        assert_eq!(range.by_point().step, HOUR);
    }

    #[test]
    fn steps_are_never_finer_than_the_buckets_that_are_kept() {
        let now = at("2026-05-20T12:34:56Z");
        let step = |days| {
            let from = now - TimeDelta::days(days);
            Range::plan(from, from + TimeDelta::minutes(10), 500, now).step
        };
        assert_eq!((step(1), step(10), step(200)), (1, 60, 1_440));
    }

    #[test]
    fn the_whole_is_covered_once_by_long_buckets_in_the_middle() {
        let now = at("2026-05-20T12:34:56Z");
        let range = Range { from: minute(now) - 3 * DAY - 77, to: minute(now), step: 1 };
        let segments = range.whole();
        assert!(segments.iter().all(|s| s.from.is_multiple_of(s.step) && s.to.is_multiple_of(s.step)));
        assert!(segments.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert_eq!((segments[0].from, segments[segments.len() - 1].to), (range.from, range.to));
        assert_eq!(segments.iter().map(|s| s.step).collect::<Vec<_>>(), [MINUTE, HOUR, DAY, HOUR, MINUTE]);
    }

    #[test]
    fn an_absurd_range_is_cut_to_what_can_be_kept() {
        let now = at("2026-05-20T12:34:56Z");
        let range = Range::plan(DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC, 120, now);
        assert!(range.len() <= 120 && range.start(range.len()) <= now + TimeDelta::days(301));
    }
}
