//! The marks of a chart as SVG path data. Pure.

use std::fmt::Write as _;

use super::Series;
use super::scale::{Linear, Places};

/// The line through a series; it breaks where there is no value. A lone point becomes a short dash.
pub(super) fn line(series: &Series, places: Places, scale: Linear) -> String {
    let mut path = String::new();
    for run in runs(&series.values) {
        let end = run.end;
        for i in run.clone() {
            let Some(value) = series.values[i] else { continue };
            let (x, y) = (places.x(i), scale.y(value));
            let command = if i == run.start { 'M' } else { 'L' };
            push(&mut path, command, x, y);
            if end - run.start == 1 {
                push(&mut path, 'L', x + 1.5, y);
            }
        }
    }
    path
}

/// The area between a series and the base.
pub(super) fn area(series: &Series, places: Places, scale: Linear) -> String {
    let mut path = String::new();
    let base = scale.y(0.0);
    for run in runs(&series.values) {
        push(&mut path, 'M', places.x(run.start), base);
        for i in run.clone() {
            if let Some(value) = series.values[i] {
                push(&mut path, 'L', places.x(i), scale.y(value));
            }
        }
        push(&mut path, 'L', places.x(run.end - 1), base);
        path.push('Z');
    }
    path
}

/// The bars of one layer, standing on the layers below.
pub(super) fn bars(layers: &[Series], layer: usize, places: Places, scale: Linear) -> String {
    let mut path = String::new();
    let half = (places.slot() * 0.36).clamp(0.5, 14.0);
    for i in 0..places.count {
        let below = layers[..layer].iter().map(|series| value(series, i)).sum::<f64>();
        let mine = value(&layers[layer], i);
        if mine > 0.0 {
            let (x, top, bottom) = (places.x(i), scale.y(below + mine), scale.y(below));
            push(&mut path, 'M', x - half, bottom);
            push(&mut path, 'L', x - half, top);
            push(&mut path, 'L', x + half, top);
            push(&mut path, 'L', x + half, bottom);
            path.push('Z');
        }
    }
    path
}

/// The largest value that the axis must show.
pub(super) fn largest(series: &[Series], stacked: bool, count: usize) -> f64 {
    let at = |i| {
        let values = series.iter().map(|series| value(series, i));
        if stacked { values.sum::<f64>() } else { values.fold(0.0, f64::max) }
    };
    (0..count).map(at).fold(0.0, f64::max)
}

fn value(series: &Series, i: usize) -> f64 {
    series.values.get(i).copied().flatten().unwrap_or(0.0)
}

/// Stretches without gaps.
fn runs(values: &[Option<f64>]) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (i, value) in values.iter().enumerate() {
        match (value, start) {
            (Some(_), None) => start = Some(i),
            (None, Some(from)) => {
                runs.push(from..i);
                start = None;
            }
            _ => {}
        }
    }
    runs.extend(start.map(|from| from..values.len()));
    runs
}

fn push(path: &mut String, command: char, x: f64, y: f64) {
    // Writing to a string cannot fail.
    let _ = write!(path, "{command}{x:.1} {y:.1}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[Option<f64>]) -> Series {
        Series { name: "test", colour: 1, values: values.to_vec() }
    }

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let series = series(&[Some(0.0), Some(4.0), None, Some(2.0), None]);
        let places = Places { count: 5, pixels: 100.0, slots: false };
        let path = line(&series, places, Linear::covering(4.0, 40.0));
        assert_eq!(path, "M0.0 40.0L25.0 0.0M75.0 20.0L76.5 20.0");
    }

    #[test]
    fn layers_stand_on_each_other() {
        let layers = [series(&[Some(1.0)]), series(&[Some(3.0)])];
        assert_eq!(largest(&layers, true, 1), 4.0);
        assert_eq!(largest(&layers, false, 1), 3.0);
        let places = Places { count: 1, pixels: 10.0, slots: true };
        let upper = bars(&layers, 1, places, Linear::covering(4.0, 40.0));
        assert!(upper.contains(" 30.0") && upper.contains(" 0.0"), "{upper}");
    }
}
