//! From values and times to pixels, and where the ticks go. Pure.

use chrono::{DateTime, Local, Utc};

/// A linear scale from zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Linear {
    top: f64,
    pixels: f64,
}

impl Linear {
    /// Covers 0 to at least `max`, ending at a round number.
    pub(super) fn covering(max: f64, pixels: f64) -> Self {
        let step = nice_step(max / 4.0);
        Self { top: (max / step).ceil().max(1.0) * step, pixels }
    }

    /// Pixels from the top.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.pixels * (1.0 - value / self.top)
    }

    /// Where lines stand and what they are called; of those that would be called the same, the last, and of nothing the first.
    pub(super) fn labels(&self, format: impl Fn(f64) -> String) -> Vec<(f64, String)> {
        let mut labels: Vec<(f64, String)> = Vec::new();
        for tick in self.ticks() {
            let text = format(tick);
            match labels.last_mut() {
                Some((0.0, zero)) if *zero == text => {}
                Some((last, same)) if *same == text => *last = tick,
                _ => labels.push((tick, text)),
            }
        }
        labels
    }

    fn ticks(&self) -> Vec<f64> {
        let step = nice_step(self.top / 4.0);
        let count = (self.top / step).round() as u32;
        (0..=count).map(|i| f64::from(i) * step).collect()
    }
}

/// The smallest of 1, 2, 2.5, 5 × 10ⁿ that is not below `rough`.
fn nice_step(rough: f64) -> f64 {
    if !rough.is_finite() || rough <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = steps.into_iter().find(|step| step * power >= rough * 0.999_999).unwrap_or(10.0);
    step * power
}

/// Where the labels of a time axis stand: index of the point, and its text.
pub(super) fn time_ticks(times: &[DateTime<Utc>], pixels: f64) -> Vec<(usize, String)> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let span = (*last - *first).num_seconds().max(1);
    let most = (pixels / 70.0).floor().max(2.0) as i64;
    let steps =
        [60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600];
    let step = steps.into_iter().find(|step| span / step <= most).unwrap_or(2_592_000);
    let pattern = if step >= 86_400 { "%-d %b" } else { "%H:%M" };
    let bucket = |at: &DateTime<Utc>| {
        let local = at.with_timezone(&Local);
        (local.timestamp() + i64::from(local.offset().local_minus_utc())).div_euclid(step)
    };
    times
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| bucket(&pair[0]) != bucket(&pair[1]))
        .map(|(i, pair)| (i + 1, pair[1].with_timezone(&Local).format(pattern).to_string()))
        .collect()
}

/// Where a time is among the times of points, in points from the first. None outside of their steps.
pub(super) fn place(times: &[DateTime<Utc>], at: DateTime<Utc>) -> Option<f64> {
    let (first, second) = (times.first()?, times.get(1)?);
    let step = (*second - *first).num_milliseconds().max(1) as f64;
    let place = (at - *first).num_milliseconds() as f64 / step;
    (0.0..times.len() as f64).contains(&place).then_some(place)
}

/// Horizontal place of each of `count` points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Places {
    pub(super) count: usize,
    pub(super) pixels: f64,
    /// Bars stand in slots; lines run from edge to edge.
    pub(super) slots: bool,
}

impl Places {
    pub(super) fn x(&self, i: usize) -> f64 {
        self.x_at(i as f64)
    }

    /// Of a [`place`] between points; never beyond the last.
    pub(super) fn x_at(&self, place: f64) -> f64 {
        if self.slots {
            return self.slot() * (place + 0.5);
        }
        if self.count < 2 {
            self.pixels / 2.0
        } else {
            (self.pixels * place / (self.count - 1) as f64).min(self.pixels)
        }
    }

    pub(super) fn slot(&self) -> f64 {
        self.pixels / self.count.max(1) as f64
    }

    /// The point nearest to `x`.
    pub(super) fn nearest(&self, x: f64) -> Option<usize> {
        let last = self.count.checked_sub(1)?;
        let share = (x / self.pixels).clamp(0.0, 1.0);
        let i = if self.slots { (share * self.count as f64).floor() } else { (share * last as f64).round() };
        Some((i as usize).min(last))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_axis_ends_at_a_round_number_above_the_largest_value() {
        for max in [0.003, 0.9, 1.0, 7.0, 12.0, 99.0, 101.0, 54_321.0] {
            let scale = Linear::covering(max, 100.0);
            let ticks = scale.ticks();
            let top = ticks.last().copied().unwrap();
            assert!(top >= max * 0.999 && top <= max * 2.6, "{max}: {ticks:?}");
            assert!((3..=8).contains(&ticks.len()), "{max}: {ticks:?}");
            assert!((scale.y(top)).abs() < 1e-9 && (scale.y(0.0) - 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn no_two_lines_are_called_the_same() {
        let whole = |max| {
            let labels = Linear::covering(max, 100.0).labels(|value| format!("{value:.0}"));
            labels.into_iter().map(|(at, text)| format!("{at} {text}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(whole(0.0), "0 0, 1 1");
        assert_eq!(whole(2.0), "0 0, 1 1, 2 2");
        assert_eq!(whole(8.0), "0 0, 2 2, 4 4, 6 6, 8 8");
    }

    #[test]
    fn time_labels_never_crowd() {
        let start = DateTime::from_timestamp(1_763_700_000, 0).unwrap();
        for (step, count) in [(60, 60), (300, 288), (3_600, 168), (21_600, 120)] {
            let times: Vec<_> = (0..count).map(|i| start + TimeDelta::seconds(step * i)).collect();
            let ticks = time_ticks(&times, 600.0);
            assert!((2..=10).contains(&ticks.len()), "{step} × {count}: {ticks:?}");
        }
    }

    #[test]
    fn what_happened_is_placed_between_the_points_around_it() {
        let start = DateTime::from_timestamp(1_763_700_000, 0).unwrap();
        let times: Vec<_> = (0..5).map(|i| start + TimeDelta::seconds(60 * i)).collect();
        let at = |seconds| place(&times, start + TimeDelta::seconds(seconds));
        assert_eq!(
            [-1, 0, 90, 240, 299, 300].map(at).map(|it| it.map(|it| (it * 100.0) as u32)),
            [None, Some(0), Some(150), Some(400), Some(498), None]
        );
        let lines = Places { count: 5, pixels: 100.0, slots: false };
        assert_eq!((lines.x_at(1.5), lines.x_at(4.98)), (37.5, 100.0));
    }

    #[test]
    fn the_pointer_finds_the_point_under_it() {
        let lines = Places { count: 11, pixels: 100.0, slots: false };
        assert_eq!([-5.0, 0.0, 14.0, 16.0, 200.0].map(|x| lines.nearest(x).unwrap()), [0, 0, 1, 2, 10]);
        let bars = Places { count: 10, pixels: 100.0, slots: true };
        assert_eq!([0.0, 9.0, 10.0, 99.9, 100.0].map(|x| bars.nearest(x).unwrap()), [0, 0, 1, 9, 9]);
        assert_eq!(Places { count: 0, pixels: 100.0, slots: true }.nearest(5.0), None);
    }
}
