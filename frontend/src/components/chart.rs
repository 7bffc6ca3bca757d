//! Charts over time as SVG: lines, areas, stacked bars, sparklines.
//!
//! Each chart has a legend, axes, a readout by pointer and by arrow keys, and its numbers as a table.

mod frame;
mod marks;
mod scale;
mod sparkline;

use chrono::{DateTime, Utc};
use leptos::prelude::*;

use frame::{ChartFrame, Marks};
pub use sparkline::Sparkline;

/// One line or one layer of bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: &'static str,
    /// 1 to 8: `--chart-1` to `--chart-8`.
    pub colour: u8,
    /// One for each time; none where there is nothing to show.
    pub values: Vec<Option<f64>>,
}

/// What a chart shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChartData {
    pub times: Vec<DateTime<Utc>>,
    pub series: Vec<Series>,
}

/// Something that happened at a time, shown as a line across the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct ChartMark {
    pub at: DateTime<Utc>,
    /// What happened.
    pub text: String,
}

impl ChartData {
    fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.values.iter().all(Option::is_none))
    }
}

/// Lines over time; with `area`, filled to the base.
#[component]
pub fn LineChart(
    /// The accessible name: what is measured.
    #[prop(into)]
    label: String,
    #[prop(into)] data: Signal<ChartData>,
    /// How a value reads, with its unit.
    format: fn(f64) -> String,
    #[prop(optional)] area: bool,
    /// What happened meanwhile.
    #[prop(optional, into)]
    marks: Signal<Vec<ChartMark>>,
    /// What to say when there is nothing.
    #[prop(default = "Nothing was measured in this time.")]
    none: &'static str,
) -> impl IntoView {
    let kind = if area { Marks::Areas } else { Marks::Lines };
    view! { <ChartFrame label data format kind marks none /> }
}

/// Layers on top of each other, one bar for each time.
#[component]
pub fn StackedBars(
    #[prop(into)] label: String,
    #[prop(into)] data: Signal<ChartData>,
    format: fn(f64) -> String,
    #[prop(default = "Nothing was measured in this time.")] none: &'static str,
) -> impl IntoView {
    view! { <ChartFrame label data format kind=Marks::Bars marks=Signal::default() none /> }
}
