//! What all charts over time share: size, axes, legend, readout, table.

use chrono::{DateTime, Utc};
use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::scale::{self, Linear, Places, time_ticks};
use super::{ChartData, ChartMark, Series, marks};
use crate::format;
use crate::state::effect;

const HEIGHT: f64 = 200.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 8.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    Lines,
    Areas,
    Bars,
}

#[derive(Clone, Copy, PartialEq)]
struct Plot {
    places: Places,
    scale: Linear,
    marks: Marks,
}

#[component]
pub(super) fn ChartFrame(
    label: String,
    data: Signal<ChartData>,
    format: fn(f64) -> String,
    kind: Marks,
    marks: Signal<Vec<ChartMark>>,
    none: &'static str,
) -> impl IntoView {
    let empty = Memo::new(move |_| data.with(ChartData::is_empty));
    let label = StoredValue::new(label);
    move || {
        if empty.get() {
            return view! { <p class="chart-none">{none}</p> }.into_any();
        }
        view! {
            <figure class="chart" aria-label=label.get_value()>
                <Legend data />
                <PlotArea label=label.get_value() data format kind marks />
                <Numbers label=label.get_value() data format />
            </figure>
        }
        .into_any()
    }
}

#[component]
fn Legend(data: Signal<ChartData>) -> impl IntoView {
    move || {
        let items = data.with(|data| data.series.iter().map(|s| (s.name, s.colour)).collect::<Vec<_>>());
        let items = items.into_iter().map(|(name, colour)| view! { <li data-series=colour>{name}</li> });
        view! { <ul class="chart-legend">{items.collect_view()}</ul> }
    }
}

#[component]
fn PlotArea(
    label: String,
    data: Signal<ChartData>,
    format: fn(f64) -> String,
    kind: Marks,
    marks: Signal<Vec<ChartMark>>,
) -> impl IntoView {
    let area = NodeRef::<html::Div>::new();
    let width = measured_width(area);
    let cursor = RwSignal::new(None::<usize>);
    let plot = Memo::new(move |_| {
        let inner = (width.get() - LEFT - RIGHT).max(60.0);
        data.with(|data| {
            let count = data.times.len();
            let places = Places { count, pixels: inner, slots: kind == Marks::Bars };
            let max = marks::largest(&data.series, kind == Marks::Bars, count);
            Plot { places, scale: Linear::covering(max, HEIGHT - TOP - BOTTOM), marks: kind }
        })
    });
    let point = move |event: PointerEvent| {
        let Some(area) = area.get_untracked() else { return };
        let x = f64::from(event.client_x()) - area.get_bounding_client_rect().left() - LEFT;
        cursor.set(plot.with_untracked(|plot| plot.places.nearest(x)));
    };
    let press = move |event: KeyboardEvent| {
        let last = data.with_untracked(|data| data.times.len()).saturating_sub(1);
        let now = cursor.get_untracked();
        let next = match event.key().as_str() {
            "ArrowRight" | "ArrowUp" => Some(now.map_or(0, |i| (i + 1).min(last))),
            "ArrowLeft" | "ArrowDown" => Some(now.map_or(last, |i| i.saturating_sub(1))),
            "Home" => Some(0),
            "End" => Some(last),
            "Escape" => None,
            _ => return,
        };
        event.prevent_default();
        cursor.set(next);
    };
    let spoken = move || {
        cursor.get().map_or_else(
            || "Use the arrow keys to read values".to_owned(),
            |i| {
                let (time, rows) = data.with(|data| readout(data, i, format));
                let rows = rows.into_iter().map(|(name, _, text)| format!("{name} {text}"));
                let happened = data.with(|data| marks.with(|marks| marked(marks, &data.times, i)));
                format!("{time}: {}", rows.chain(happened).collect::<Vec<_>>().join(", "))
            },
        )
    };
    view! {
        <div
            class="chart-area"
            node_ref=area
            tabindex="0"
            role="slider"
            aria-label=format!("{label}, read by arrow keys")
            aria-valuemin="0"
            aria-valuemax=move || data.with(|data| data.times.len().saturating_sub(1))
            aria-valuenow=move || cursor.get().unwrap_or(0)
            aria-valuetext=spoken
            on:pointermove=point
            on:pointerleave=move |_| cursor.set(None)
            on:keydown=press
            on:blur=move |_| cursor.set(None)
        >
            <svg height=HEIGHT aria-hidden="true">
                <g transform=format!("translate({LEFT},{TOP})")>
                    {move || axes(plot.get(), &data.read(), format)}
                    {move || drawn(plot.get(), &data.read())}
                    {move || mark_lines(plot.get(), &data.read().times, &marks.read())}
                    {move || cursor.get().map(|i| cursor_marks(plot.get(), &data.read(), i))}
                </g>
            </svg>
            {move || cursor.get().map(|i| tip(plot.get(), &data.read(), &marks.read(), i, width.get(), format))}
        </div>
    }
}

fn axes(plot: Plot, data: &ChartData, format: fn(f64) -> String) -> impl IntoView + use<> {
    let width = plot.places.pixels;
    let base = plot.scale.y(0.0);
    let lines = plot.scale.labels(format).into_iter().map(|(tick, text)| {
        let y = plot.scale.y(tick);
        let class = if tick == 0.0 { "base-line" } else { "grid-line" };
        view! {
            <line class=class x1="0" x2=width y1=y y2=y />
            <text x="-8" y=y + 3.5 text-anchor="end">
                {text}
            </text>
        }
    });
    let times = time_ticks(&data.times, width).into_iter().filter_map(|(i, text)| {
        let x = plot.places.x(i);
        // A label that would stick out of the picture is left away.
        (x > 12.0 && x < width - 12.0).then(|| {
            view! {
                <text x=x y=base + 16.0 text-anchor="middle">
                    {text}
                </text>
            }
        })
    });
    view! {
        {lines.collect_view()}
        {times.collect_view()}
    }
}

fn drawn(plot: Plot, data: &ChartData) -> impl IntoView + use<> {
    let Plot { places, scale, marks } = plot;
    let paths = (0..data.series.len()).map(|i| {
        let series = &data.series[i];
        let colour = series.colour;
        match marks {
            Marks::Bars => {
                let d = marks::bars(&data.series, i, places, scale);
                view! { <g data-series=colour><path class="series-bar" d=d /></g> }.into_any()
            }
            Marks::Lines => {
                let d = marks::line(series, places, scale);
                view! { <g data-series=colour><path class="series-line" d=d /></g> }.into_any()
            }
            Marks::Areas => {
                let (line, area) = (marks::line(series, places, scale), marks::area(series, places, scale));
                view! {
                    <g data-series=colour>
                        <path class="series-area" d=area />
                        <path class="series-line" d=line />
                    </g>
                }
                .into_any()
            }
        }
    });
    paths.collect_view()
}

fn cursor_marks(plot: Plot, data: &ChartData, i: usize) -> impl IntoView + use<> {
    let x = plot.places.x(i);
    let dots = (plot.marks != Marks::Bars)
        .then(|| {
            data.series
                .iter()
                .filter_map(|series| {
                    let y = plot.scale.y((*series.values.get(i)?)?);
                    let colour = series.colour;
                    Some(view! { <g data-series=colour><circle class="cursor-dot" cx=x cy=y r="3.5" /></g> })
                })
                .collect_view()
        })
        .into_any();
    view! {
        <line class="cursor-line" x1=x x2=x y1="0" y2=plot.scale.y(0.0) />
        {dots}
    }
}

fn tip(
    plot: Plot,
    data: &ChartData,
    marks: &[ChartMark],
    i: usize,
    width: f64,
    format: fn(f64) -> String,
) -> impl IntoView + use<> {
    let (time, rows) = readout(data, i, format);
    let x = LEFT + plot.places.x(i);
    // On the side with more room.
    let right = x > width / 2.0;
    let left = (!right).then(|| format!("{:.0}px", x + 12.0));
    let from_right = right.then(|| format!("{:.0}px", width - x + 12.0));
    let rows = rows.into_iter().map(|(name, colour, text)| {
        view! {
            <dt data-series=colour>{name}</dt>
            <dd>{text}</dd>
        }
    });
    let happened =
        marked(marks, &data.times, i).into_iter().map(|text| view! { <p class="break">{text}</p> });
    view! {
        <div class="chart-tip" aria-hidden="true" style:left=left style:right=from_right>
            <span class="muted">{time}</span>
            <dl>{rows.collect_view()}</dl>
            {happened.collect_view()}
        </div>
    }
}

/// A line where something happened.
fn mark_lines(plot: Plot, times: &[DateTime<Utc>], marks: &[ChartMark]) -> impl IntoView + use<> {
    let base = plot.scale.y(0.0);
    let lines = marks.iter().filter_map(|mark| {
        let x = plot.places.x_at(scale::place(times, mark.at)?);
        Some(view! { <line class="mark-line" x1=x x2=x y1="0" y2=base /> })
    });
    lines.collect_view()
}

/// What happened in the step of a point.
fn marked(marks: &[ChartMark], times: &[DateTime<Utc>], i: usize) -> Vec<String> {
    let in_step = |mark: &&ChartMark| scale::place(times, mark.at).is_some_and(|place| place as usize == i);
    marks.iter().filter(in_step).map(|mark| mark.text.clone()).collect()
}

type Readout = (String, Vec<(&'static str, u8, String)>);

fn readout(data: &ChartData, i: usize, format: fn(f64) -> String) -> Readout {
    let time = data.times.get(i).copied().map(format::date_time).unwrap_or_default();
    let text = |series: &Series| {
        series.values.get(i).copied().flatten().map_or_else(|| "no data".to_owned(), format)
    };
    (time, data.series.iter().map(|series| (series.name, series.colour, text(series))).collect())
}

/// The same numbers as a table, built only when somebody opens it.
#[component]
fn Numbers(label: String, data: Signal<ChartData>, format: fn(f64) -> String) -> impl IntoView {
    let open = RwSignal::new(false);
    let label = StoredValue::new(label);
    let table = move || {
        let data = data.get();
        let head =
            data.series.iter().map(|series| view! { <th scope="col" data-align="end">{series.name}</th> });
        let rows = (0..data.times.len()).rev().map(|i| {
            let (time, cells) = readout(&data, i, format);
            let cells = cells.into_iter().map(|(_, _, text)| view! { <td data-align="end">{text}</td> });
            view! { <tr><td class="num">{time}</td>{cells.collect_view()}</tr> }
        });
        view! {
            <div tabindex="0" role="region" aria-label=format!("{} as a table", label.get_value())>
                <table class="table" data-keep="true">
                    <thead>
                        <tr>
                            <th scope="col">"Time"</th>
                            {head.collect_view()}
                        </tr>
                    </thead>
                    <tbody>{rows.collect_view()}</tbody>
                </table>
            </div>
        }
    };
    let toggle = move |event: leptos::ev::Event| {
        let details = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        open.set(details.is_some_and(|details| details.has_attribute("open")));
    };
    view! {
        <details class="chart-data" on:toggle=toggle>
            <summary>"Show as table"</summary>
            {move || open.get().then(table)}
        </details>
    }
}

/// The width of an element, kept up to date.
fn measured_width(element: NodeRef<html::Div>) -> Signal<f64> {
    let width = RwSignal::new(640.0);
    effect(move || {
        let Some(element) = element.get() else { return };
        width.set(f64::from(element.client_width()));
        let watched = element.clone();
        let changed = Closure::<dyn FnMut()>::new(move || {
            width.try_set(f64::from(watched.client_width()));
        });
        if let Ok(observer) = web_sys::ResizeObserver::new(changed.as_ref().unchecked_ref()) {
            observer.observe(&element);
            // The closure must live as long as the observer that calls it.
            let kept = StoredValue::new_local(Some((observer, changed)));
            on_cleanup(move || {
                if let Some((observer, _)) = kept.try_update_value(Option::take).flatten() {
                    observer.disconnect();
                }
            });
        }
    });
    width.into()
}
