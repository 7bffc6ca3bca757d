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
    ACTIVITY = "activity",
    ARROW_DOWN = "arrow-down",
    ARROW_RIGHT = "arrow-right",
    ARROW_UP = "arrow-up",
    BAN = "ban",
    BOOK = "book-open",
    BOXES = "boxes",
    BUILDING = "building-2",
    CALLS = "scroll-text",
    CHART = "chart-line",
    CHECK = "check",
    CHEVRON_DOWN = "chevron-down",
    CHEVRON_RIGHT = "chevron-right",
    CHEVRONS = "chevrons-up-down",
    CIRCLE_ALERT = "circle-alert",
    CIRCLE_CHECK = "circle-check",
    CIRCLE_DASHED = "circle-dashed",
    CIRCLE_X = "circle-x",
    CLIPBOARD_CHECK = "clipboard-check",
    CLOCK = "clock",
    COPY = "copy",
    DATABASE = "database",
    DOWNLOAD = "download",
    ELLIPSIS = "ellipsis",
    EXTERNAL = "external-link",
    EYE = "eye",
    FILE_CODE = "file-code",
    FILE_UP = "file-up",
    FILTER = "list-filter",
    GAUGE = "gauge",
    GIT_COMPARE = "git-compare",
    GLOBE = "globe",
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
    NETWORK = "network",
    OVERVIEW = "layout-dashboard",
    PACKAGE = "package",
    PAUSE = "pause",
    PENCIL = "pencil",
    PLAY = "play",
    PLUS = "plus",
    RADIO = "radio",
    REFRESH = "refresh-cw",
    ROCKET = "rocket",
    ROLL_BACK = "rotate-ccw",
    ROUTE = "route",
    SEARCH = "search",
    SEND = "send",
    SERVER = "server",
    SETTINGS = "settings",
    SHIELD = "shield-check",
    SLIDERS = "sliders-horizontal",
    SUN_MOON = "sun-moon",
    TAG = "tag",
    TERMINAL = "square-terminal",
    TRASH = "trash-2",
    TRIANGLE_ALERT = "triangle-alert",
    UNDO = "undo-2",
    UPLOAD = "upload",
    USER = "user",
    USER_PLUS = "user-plus",
    USERS = "users",
    WAYPOINTS = "waypoints",
    X = "x",
    ZAP = "zap",
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
