//! The icons of the console: lucide's SVGs (ISC), included at compile time.

use leptos::prelude::*;

/// The markup of one icon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Icon(&'static str);

macro_rules! icons {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub const $name: Icon = Icon(include_str!(concat!("../../assets/icons/", $file, ".svg")));)+
    };
}

icons! {
    ARROW_DOWN = "arrow-down",
    ARROW_UP = "arrow-up",
    BOOK = "book-open",
    BOXES = "boxes",
    BUILDING = "building-2",
    CALLS = "scroll-text",
    CHART = "chart-line",
    CHECK = "check",
    CHEVRONS = "chevrons-up-down",
    CIRCLE_ALERT = "circle-alert",
    CIRCLE_CHECK = "circle-check",
    CIRCLE_DASHED = "circle-dashed",
    CIRCLE_X = "circle-x",
    CLIPBOARD_CHECK = "clipboard-check",
    CLOCK = "clock",
    COPY = "copy",
    DOWNLOAD = "download",
    ELLIPSIS = "ellipsis",
    FILE_UP = "file-up",
    FILTER = "list-filter",
    HELP = "circle-question-mark",
    HISTORY = "history",
    INBOX = "inbox",
    INFO = "info",
    KEY = "key-round",
    KEYBOARD = "keyboard",
    LAYERS = "layers",
    LIBRARY = "library",
    LINK = "link",
    LOADER = "loader-circle",
    LOCK = "lock",
    LOG_OUT = "log-out",
    MENU = "menu",
    OVERVIEW = "layout-dashboard",
    PAUSE = "pause",
    PENCIL = "pencil",
    PLUS = "plus",
    RADIO = "radio",
    REFRESH = "refresh-cw",
    ROCKET = "rocket",
    ROUTE = "route",
    SEARCH = "search",
    SERVER = "server",
    SETTINGS = "settings",
    SLIDERS = "sliders-horizontal",
    SUN_MOON = "sun-moon",
    TAG = "tag",
    TRASH = "trash-2",
    TRIANGLE_ALERT = "triangle-alert",
    USER_PLUS = "user-plus",
    USERS = "users",
    WAYPOINTS = "waypoints",
    X = "x",
}

/// Draws an icon beside a word. Icons are decoration: what they mean is always said in text, too.
#[component]
pub fn Glyph(
    #[prop(into)] icon: Signal<Icon>,
    /// `sm` or `lg`; none is 16 px.
    #[prop(optional)]
    size: Option<&'static str>,
) -> impl IntoView {
    view! { <span class="icon" data-size=size aria-hidden="true" inner_html=move || icon.get().0></span> }
}

/// The mark of Sluice: a gate with water passing.
#[component]
pub fn BrandMark() -> impl IntoView {
    view! {
        <span class="brand-mark" aria-hidden="true">
            <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round">
                <path d="M4 4v16M20 4v16M4 8.5c2.7-2 5.3 2 8 0s5.3 2 8 0M4 13.5c2.7-2 5.3 2 8 0s5.3 2 8 0" />
            </svg>
        </span>
    }
}
