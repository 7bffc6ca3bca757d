//! A tiny line beside a number. Decoration: the number says it.

use leptos::prelude::*;

use super::Series;
use super::marks;
use super::scale::{Linear, Places};

/// A line without axes.
#[component]
pub fn Sparkline(
    #[prop(into)] values: Signal<Vec<Option<f64>>>,
    #[prop(default = 1)] colour: u8,
) -> impl IntoView {
    let paths = Memo::new(move |_| {
        let values = values.get();
        let places = Places { count: values.len(), pixels: 100.0, slots: false };
        let series = Series { name: "", colour, values };
        let max = marks::largest(std::slice::from_ref(&series), false, places.count);
        let scale = Linear::covering(max, 30.0);
        (marks::line(&series, places, scale), marks::area(&series, places, scale))
    });
    view! {
        <span class="chart sparkline" data-series=colour aria-hidden="true">
            <svg viewBox="0 -1 100 32" preserveAspectRatio="none" height="32">
                <path class="series-area" d=move || paths.with(|paths| paths.1.clone()) />
                <path class="series-line" d=move || paths.with(|paths| paths.0.clone()) />
            </svg>
        </span>
    }
}
