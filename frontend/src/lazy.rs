//! Pages whose code arrives when somebody first opens one of them: what areas put into a part by `lazy_pages!` is split
//! off the first file by `cargo xtask console`.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos::wasm_split::SplitLoaderError;

use crate::components::{Button, Crumb, EmptyState, Kind, PageHead, Skeleton, set_page};
use crate::icons::{REFRESH, TRIANGLE_ALERT};

/// Draws one page of a part that has arrived.
pub type Draw<Page> = fn(Page) -> AnyView;

/// Puts the pages of an area into a part of the console, which is fetched with the first of its pages.
///
/// `lazy_pages!(operating/calls: CallList, CallDetail)` makes `lazy(Page::CallList)`, which is the view of a route.
/// Areas share a part, because what two parts share becomes a file of its own: few parts, few files.
macro_rules! lazy_pages {
    ($part:ident/$area:ident: $($page:ident),+ $(,)?) => {
        #[derive(Clone, Copy)]
        enum Page {
            $($page),+
        }

        /// Where the code is split: what only this reaches is not in the first file that a browser loads.
        #[::leptos::wasm_split::wasm_split($part, wasm_split_path = ::leptos::wasm_split, fallible)]
        fn $area() -> Result<$crate::lazy::Draw<Page>, ::leptos::wasm_split::SplitLoaderError> {
            Ok(|page| match page {
                $(Page::$page => ::leptos::prelude::IntoAny::into_any(view! { <$page /> })),+
            })
        }

        fn lazy(page: Page) -> impl Fn() -> AnyView + Clone + Send + Sync + 'static {
            move || $crate::lazy::arriving($area, page)
        }
    };
}

pub(crate) use lazy_pages;

#[derive(Clone, Copy)]
enum Arrival<Page: 'static> {
    Awaited,
    Here(Draw<Page>),
    Failed,
}

/// The outline of a page until its part has arrived, then the page.
pub fn arriving<Page, Loading>(load: fn() -> Loading, page: Page) -> AnyView
where
    Page: Copy + Send + Sync + 'static,
    Loading: Future<Output = Result<Draw<Page>, SplitLoaderError>> + 'static,
{
    let arrival = RwSignal::new(Arrival::Awaited);
    spawn_local(async move {
        // Nobody is told when the person has left meanwhile.
        arrival.try_set(load().await.map_or(Arrival::Failed, Arrival::Here));
    });
    let view = move || match arrival.get() {
        Arrival::Awaited => Skeleton::Lines(8).into_any(),
        Arrival::Here(draw) => untrack(|| draw(page)),
        Arrival::Failed => view! { <NotArrived /> }.into_any(),
    };
    view.into_any()
}

/// The usual cause is a release of Sluice since the console was opened: the files of before are gone.
#[component]
fn NotArrived() -> impl IntoView {
    set_page(|| vec![Crumb::here("Not loaded")]);
    view! {
        <PageHead title=Signal::stored("Not loaded".to_owned()) />
        <div role="alert">
            <EmptyState
                icon=TRIANGLE_ALERT
                title="This page could not be loaded"
                note="Sluice may have been updated since you opened the console, or the connection was lost."
            >
                <Button kind=Kind::Primary icon=REFRESH on_click=move |()| reload()>
                    "Reload"
                </Button>
            </EmptyState>
        </div>
    }
}

fn reload() {
    // A browser that refuses to reload tells the person so itself.
    drop(window().location().reload());
}
