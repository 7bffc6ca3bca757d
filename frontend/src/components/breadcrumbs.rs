//! Where a page stands: the crumbs in the top bar and the title of the browser's tab.

use crate::state::effect;
use leptos::prelude::*;

/// One step of the way to the present page. The last has no address.
#[derive(Clone, Debug, PartialEq)]
pub struct Crumb {
    pub title: String,
    pub href: Option<String>,
}

impl Crumb {
    pub fn link(title: impl Into<String>, href: impl Into<String>) -> Self {
        Self { title: title.into(), href: Some(href.into()) }
    }

    pub fn here(title: impl Into<String>) -> Self {
        Self { title: title.into(), href: None }
    }
}

/// The crumbs of the present page, owned by the shell.
#[derive(Clone, Copy)]
pub struct PageCrumbs(RwSignal<Vec<Crumb>>);

impl PageCrumbs {
    pub fn provide() -> Self {
        let crumbs = Self(RwSignal::new(Vec::new()));
        provide_context(crumbs);
        crumbs
    }
}

/// Names the present page; each page calls it once (it tracks what `crumbs` reads).
pub fn set_page(crumbs: impl Fn() -> Vec<Crumb> + 'static) {
    let slot = use_context::<PageCrumbs>();
    effect(move || {
        let crumbs = crumbs();
        let title = crumbs.iter().rev().map(|crumb| crumb.title.as_str()).collect::<Vec<_>>().join(" · ");
        document().set_title(&format!("{title} · Sluice"));
        if let Some(PageCrumbs(slot)) = slot {
            slot.set(crumbs);
        }
    });
}

/// Draws the crumbs.
#[component]
pub fn Breadcrumbs(crumbs: PageCrumbs) -> impl IntoView {
    let items = move || {
        crumbs
            .0
            .get()
            .into_iter()
            .map(|crumb| match crumb.href {
                Some(href) => view! { <li><a href=href>{crumb.title}</a></li> }.into_any(),
                None => view! { <li><span aria-current="page">{crumb.title}</span></li> }.into_any(),
            })
            .collect_view()
    };
    view! {
        <nav class="crumbs" aria-label="Breadcrumbs">
            <ol>{items}</ol>
        </nav>
    }
}
