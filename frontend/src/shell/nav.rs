//! The navigation: one line for each area of the console.

use leptos::prelude::*;
use leptos_router::components::A;
use sluice_contract::rest::session::Permission;

use super::guard::PendingApprovals;
use crate::components::{Chord, Count, Tone};
use crate::icons::{
    BOXES, CALLS, CHART, CLIPBOARD_CHECK, Glyph, HISTORY, Icon, LIBRARY, OVERVIEW, SERVER, SETTINGS, USERS,
    WAYPOINTS,
};
use crate::session::{Current, use_current};

/// One area of the console.
pub(super) struct Area {
    pub(super) title: &'static str,
    pub(super) href: &'static str,
    pub(super) icon: Icon,
    /// Any of these; empty means everybody.
    needs: &'static [Permission],
    badge: bool,
}

impl Area {
    const fn new(title: &'static str, href: &'static str, icon: Icon, needs: &'static [Permission]) -> Self {
        Self { title, href, icon, needs, badge: false }
    }

    pub(super) fn is_open_to(&self, current: Current) -> bool {
        self.needs.is_empty() || self.needs.iter().any(|need| current.can(*need))
    }
}

use Permission::{
    ApproveSubscriptions, ManageApis, ManageApplications, ManageTenant, ReadAudit, ReadCalls, ReadCatalogue,
    ReadManagement,
};

/// The areas in their groups.
pub(super) const GROUPS: &[(&str, &[Area])] = &[
    ("", &[Area::new("Overview", "/", OVERVIEW, &[])]),
    (
        "Publish",
        &[
            Area::new("APIs", "/apis", WAYPOINTS, &[ReadManagement, ManageApis]),
            Area::new("Catalogue", "/catalogue", LIBRARY, &[ReadCatalogue]),
            Area {
                badge: true,
                ..Area::new("Approvals", "/approvals", CLIPBOARD_CHECK, &[ApproveSubscriptions])
            },
        ],
    ),
    ("Consume", &[Area::new("Applications", "/apps", BOXES, &[ManageApplications, ReadManagement])]),
    (
        "Observe",
        &[
            Area::new("Analytics", "/analytics", CHART, &[ReadCalls]),
            Area::new("Calls", "/calls", CALLS, &[ReadCalls]),
        ],
    ),
    (
        "Platform",
        &[
            Area::new("Gateways", "/gateways", SERVER, &[ReadManagement]),
            Area::new("Users & teams", "/org/users", USERS, &[ManageTenant]),
            Area::new("Audit log", "/audit", HISTORY, &[ReadAudit]),
            Area::new("Settings", "/settings", SETTINGS, &[]),
        ],
    ),
];

/// `g` and a letter.
pub(super) const CHORDS: &[Chord] = &[
    ('o', "overview", "/"),
    ('a', "APIs", "/apis"),
    ('k', "catalogue", "/catalogue"),
    ('i', "approvals", "/approvals"),
    ('p', "applications", "/apps"),
    ('t', "analytics", "/analytics"),
    ('c', "calls", "/calls"),
    ('w', "gateways", "/gateways"),
    ('u', "users & teams", "/org/users"),
    ('l', "audit log", "/audit"),
    ('s', "settings", "/settings"),
];

#[component]
pub(super) fn Navigation() -> impl IntoView {
    let current = use_current();
    let groups = move || {
        GROUPS
            .iter()
            .filter_map(|(title, areas)| {
                let open: Vec<_> = areas.iter().filter(|area| area.is_open_to(current)).collect();
                (!open.is_empty()).then(|| group(title, open))
            })
            .collect_view()
    };
    view! {
        <nav class="side-nav" aria-label="Main">
            {groups}
        </nav>
    }
}

fn group(title: &'static str, areas: Vec<&'static Area>) -> impl IntoView {
    let links = areas.into_iter().map(|area| {
        view! {
            <li>
                <A href=area.href exact=area.href == "/" attr:class="nav-link">
                    <Glyph icon=area.icon />
                    {area.title}
                    {area.badge.then(|| view! { <PendingBadge /> })}
                </A>
            </li>
        }
    });
    view! {
        <div class="nav-group">
            {(!title.is_empty()).then(|| view! { <p class="nav-title">{title}</p> })}
            <ul>{links.collect_view()}</ul>
        </div>
    }
}

#[component]
fn PendingBadge() -> impl IntoView {
    let count = use_context::<PendingApprovals>().map(PendingApprovals::count);
    let waiting = Signal::derive(move || count.map_or(0, |count| count.get()));
    view! {
        <Show when=move || { waiting.get() > 0 }>
            <span class="nav-count">
                <Count value=waiting tone=Tone::Accent />
                <span class="visually-hidden">" waiting"</span>
            </span>
        </Show>
    }
}
