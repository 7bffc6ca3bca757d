//! The time range of a view, kept in the URL: `?range=24h`, or `?from=…&to=…`.

use chrono::{DateTime, Local, NaiveDateTime, TimeDelta, TimeZone, Utc};
use leptos::prelude::*;
use sluice_contract::problem::Problem;

use super::{Button, Dialog, DialogForm, Segments, TextField};
use crate::format;
use crate::icons::CLOCK;
use crate::state::{Task, UrlText, effect, set_url_values, url_text};

const PRESETS: [(&str, &str, i64); 5] =
    [("1h", "1 h", 1), ("6h", "6 h", 6), ("24h", "24 h", 24), ("7d", "7 d", 168), ("30d", "30 d", 720)];
const INPUT_FORMAT: &str = "%Y-%m-%dT%H:%M";

/// The range that the URL says.
#[derive(Clone, Copy)]
pub struct Range {
    /// What holds while the URL says nothing.
    usual: &'static str,
    preset: UrlText,
    from: UrlText,
    to: UrlText,
}

/// The time range of this page; the `usual` preset unless the URL says otherwise.
pub fn use_range(usual: &'static str) -> Range {
    Range { usual, preset: url_text("range"), from: url_text("from"), to: url_text("to") }
}

impl Range {
    /// Start and end. Presets end now. Tracks the URL.
    pub fn bounds(self) -> (DateTime<Utc>, DateTime<Utc>) {
        let fixed = parse(&self.from.get()).zip(parse(&self.to.get()));
        let preset = self.preset();
        fixed.filter(|(from, to)| from < to).unwrap_or_else(|| {
            let hours = PRESETS.iter().find(|(key, ..)| *key == preset).map_or(1, |(_, _, hours)| *hours);
            let now = Utc::now();
            (now - TimeDelta::hours(hours), now)
        })
    }

    /// `from=…&to=…` for the API.
    pub fn query(self) -> String {
        let (from, to) = self.bounds();
        let text =
            |at: DateTime<Utc>| format::query_value(&at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        format!("from={}&to={}", text(from), text(to))
    }

    /// Whether the range ends now, so that new data belongs to it.
    pub fn is_live(self) -> bool {
        parse(&self.from.get()).zip(parse(&self.to.get())).is_none()
    }

    fn picked(self) -> String {
        if !self.is_live() {
            return "custom".to_owned();
        }
        self.preset()
    }

    fn preset(self) -> String {
        let preset = self.preset.get();
        if preset.is_empty() { self.usual.to_owned() } else { preset }
    }
}

fn parse(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc))
}

/// Picks the time range.
#[component]
pub fn TimeRangePicker(range: Range) -> impl IntoView {
    let set = set_url_values();
    let open = RwSignal::new(false);
    let picked = Signal::derive(move || range.picked());
    let pick = move |key: String| {
        set.run(vec![("range", key), ("from", String::new()), ("to", String::new())]);
    };
    let custom = move || {
        if range.is_live() {
            return "Custom".to_owned();
        }
        let (from, to) = range.bounds();
        let text = |at: DateTime<Utc>| at.with_timezone(&Local).format("%-d %b %H:%M").to_string();
        format!("{} – {}", text(from), text(to))
    };
    view! {
        <div class="row">
            <Segments
                label="Time range"
                value=picked
                options=PRESETS.iter().map(|(key, text, _)| (*key, *text)).collect()
                on_pick=pick
            />
            <Button icon=CLOCK on_click=move |()| open.set(true)>
                {custom}
            </Button>
            <CustomRange range open />
        </div>
    }
}

#[component]
fn CustomRange(range: Range, open: RwSignal<bool>) -> impl IntoView {
    let set = set_url_values();
    let (from, to) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let task = Task::new();
    effect(move || {
        if open.get() {
            let (start, end) = untrack(|| range.bounds());
            let text = |at: DateTime<Utc>| at.with_timezone(&Local).format(INPUT_FORMAT).to_string();
            from.set(text(start));
            to.set(text(end));
            task.clear();
        }
    });
    let apply = move |()| match (local(&from.get_untracked()), local(&to.get_untracked())) {
        (Some(start), Some(end)) if start < end => {
            set.run(vec![("range", String::new()), ("from", start.to_rfc3339()), ("to", end.to_rfc3339())]);
            open.set(false);
        }
        _ => task.fail(
            Problem::new(0, "invalid_range", "This is not a time range")
                .detail("The start must come before the end."),
        ),
    };
    view! {
        <Dialog open title="Time range">
            <DialogForm open task action="Apply" on_submit=apply fields_shown=false>
                <div class="form-row">
                    <TextField label="From" kind="datetime-local" value=from required=true />
                    <TextField label="To" kind="datetime-local" value=to required=true />
                </div>
            </DialogForm>
        </Dialog>
    }
}

fn local(text: &str) -> Option<DateTime<Utc>> {
    let text = text.get(..16)?;
    let naive = NaiveDateTime::parse_from_str(text, INPUT_FORMAT).ok()?;
    Local.from_local_datetime(&naive).earliest().map(|at| at.with_timezone(&Utc))
}
