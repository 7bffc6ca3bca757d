//! Times: relative for people, exact in the tooltip.

use chrono::{DateTime, Utc};
use leptos::prelude::*;

use crate::format;

/// "4 min ago", with the exact time as tooltip.
#[component]
pub fn Ago(at: DateTime<Utc>) -> impl IntoView {
    view! {
        <time datetime=at.to_rfc3339() title=format::date_time(at)>
            {format::ago(at, Utc::now())}
        </time>
    }
}

/// Time of day to the millisecond, with the date as tooltip.
#[component]
pub fn Clock(at: DateTime<Utc>) -> impl IntoView {
    view! {
        <time class="num mono" datetime=at.to_rfc3339() title=format::date_time(at)>
            {format::clock(at)}
        </time>
    }
}
