//! A ranking as horizontal bars.

use leptos::prelude::*;
use leptos_router::components::A;

/// One line of a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub name: String,
    pub href: Option<String>,
    pub value: f64,
    /// The value as text.
    pub text: String,
}

/// Bars relative to the largest.
#[component]
pub fn BarList(bars: Vec<Bar>, #[prop(into)] label: String) -> impl IntoView {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let rows = bars.into_iter().map(|bar| {
        let width = if most > 0.0 { format!("{:.2}%", bar.value / most * 100.0) } else { "0%".to_owned() };
        let name = match bar.href {
            Some(href) => view! { <A href=href attr:class="truncate">{bar.name}</A> }.into_any(),
            None => view! { <span class="truncate">{bar.name}</span> }.into_any(),
        };
        view! {
            <li>
                <span class="bar" style:width=width></span>
                {name}
                <span class="num secondary">{bar.text}</span>
            </li>
        }
    });
    view! {
        <ul class="bar-list" aria-label=label>
            {rows.collect_view()}
        </ul>
    }
}
