//! Lists: sortable on the server, each row a link, the next page on request; cards on a narrow screen.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::components::A;
use serde::de::DeserializeOwned;
use sluice_contract::problem::Problem;

use super::{Button, ErrorState, Skeleton};
use crate::format;
use crate::icons::{ARROW_DOWN, ARROW_UP, Glyph};
use crate::state::{Paged, UrlText};

/// One column of a list of `T`.
pub struct Column<T> {
    head: Head,
    cell: Arc<dyn Fn(&T) -> AnyView + Send + Sync>,
}

/// What a column says about itself, whatever its rows are.
#[derive(Clone, Copy)]
struct Head {
    title: &'static str,
    sort: Option<&'static str>,
    end: bool,
}

impl<T: 'static> Column<T> {
    /// A column; the first one of a list holds the link of the row and names it.
    pub fn new<V: IntoView + 'static>(
        title: &'static str,
        cell: impl Fn(&T) -> V + Send + Sync + 'static,
    ) -> Self {
        Self { head: Head { title, sort: None, end: false }, cell: Arc::new(move |row| cell(row).into_any()) }
    }

    /// Can be sorted by this field of the API's list.
    #[must_use]
    pub fn sort(mut self, field: &'static str) -> Self {
        self.head.sort = Some(field);
        self
    }

    /// Numbers: aligned at the end.
    #[must_use]
    pub fn end(mut self) -> Self {
        self.head.end = true;
        self
    }
}

/// Where the rows of a list lead.
pub struct RowLink<T>(Arc<dyn Fn(&T) -> String + Send + Sync>);

impl<T, F: Fn(&T) -> String + Send + Sync + 'static> From<F> for RowLink<T> {
    fn from(link: F) -> Self {
        Self(Arc::new(link))
    }
}

/// A list of the admin API.
#[component]
pub fn DataTable<T>(
    #[prop(into)] label: String,
    columns: Vec<Column<T>>,
    list: Paged<T>,
    /// Where a row leads.
    #[prop(optional, into)]
    href: Option<RowLink<T>>,
    /// The `sort` parameter of the URL, when columns can be sorted.
    #[prop(optional)]
    sort: Option<UrlText>,
    /// What to show when there are no rows.
    #[prop(into)]
    empty: ViewFn,
) -> impl IntoView
where
    T: DeserializeOwned + PartialEq + Send + Sync + 'static,
{
    let rows = list.rows();
    let heads: Vec<_> = columns.iter().map(|column| column.head).collect();
    let row = move |row: &T| Row {
        href: href.as_ref().map(|RowLink(href)| href(row)),
        cells: columns.iter().map(|column| (column.cell)(row)).collect(),
    };
    let source = Source {
        count: Signal::derive(move || rows.with(|rows| rows.as_ref().map(Vec::len))),
        rows: Arc::new(move || rows.with(|rows| rows.iter().flatten().map(&row).collect())),
        problem: list.problem(),
        busy: list.busy(),
        has_more: list.has_more(),
        reload: Callback::new(move |()| list.reload()),
        load_more: Callback::new(move |()| list.load_more()),
    };
    table(label, heads, source, sort, empty)
}

/// A row as it is drawn.
struct Row {
    href: Option<String>,
    cells: Vec<AnyView>,
}

/// A list without the type of its rows, so that all that draws lists is compiled once.
struct Source {
    /// None until the first page has arrived.
    count: Signal<Option<usize>>,
    rows: Arc<dyn Fn() -> Vec<Row> + Send + Sync>,
    problem: Signal<Option<Problem>>,
    busy: Signal<bool>,
    has_more: Signal<bool>,
    reload: Callback<()>,
    load_more: Callback<()>,
}

fn table(label: String, heads: Vec<Head>, source: Source, sort: Option<UrlText>, empty: ViewFn) -> AnyView {
    let Source { count, rows, problem, busy, has_more, reload, load_more } = source;
    let some = Memo::new(move |_| count.get().map(|count| count > 0));
    let set_sort = sort.map(UrlText::setter);
    let failed =
        move |retry: Callback<()>| problem.get().map(|problem| view! { <ErrorState problem retry /> });
    let foot = move || foot(count, has_more, busy, load_more);
    (move || match some.get() {
        None => failed(reload).map_or_else(|| Skeleton::Lines(6).into_any(), IntoAny::into_any),
        Some(false) => failed(reload).map_or_else(|| empty.run(), IntoAny::into_any),
        Some(true) => {
            let titles: Vec<_> =
                heads.iter().map(|head| header(*head, head.sort.zip(sort).zip(set_sort))).collect();
            let (heads, rows) = (heads.clone(), rows.clone());
            view! {
                <div class="table-wrap">
                    <div class="table-scroll">
                        <table class="table" role="table" aria-label=label.clone()>
                            <thead role="rowgroup">
                                <tr role="row">{titles}</tr>
                            </thead>
                            <tbody role="rowgroup">
                                {move || rows().into_iter().map(|row| body_row(row, &heads)).collect::<Vec<_>>()}
                            </tbody>
                        </table>
                    </div>
                    {foot()}
                    {move || failed(load_more)}
                </div>
            }
            .into_any()
        }
    })
    .into_any()
}

fn foot(
    count: Signal<Option<usize>>,
    has_more: Signal<bool>,
    busy: Signal<bool>,
    load_more: Callback<()>,
) -> impl IntoView {
    let shown = move || {
        let more = if has_more.get() { " loaded" } else { "" };
        format!("{}{more}", format::plural(count.get().unwrap_or(0), "row", "rows"))
    };
    view! {
        <div class="table-foot">
            <span>{shown}</span>
            <Show when=move || has_more.get()>
                <Button size="sm" busy on_click=load_more>
                    "Load more"
                </Button>
            </Show>
        </div>
    }
}

fn header(head: Head, sort: Option<((&'static str, UrlText), Callback<String>)>) -> AnyView {
    let Head { title, end, .. } = head;
    let align = end.then_some("end");
    let Some(((field, present), set)) = sort else {
        // A column of buttons needs no title that is seen.
        let (title, class) =
            if title.is_empty() { ("Actions", Some("visually-hidden")) } else { (title, None) };
        return view! {
            <th role="columnheader" scope="col" data-align=align>
                <span class=class>{title}</span>
            </th>
        }
        .into_any();
    };
    let direction = move || {
        let sort = present.get();
        match sort.strip_prefix('-') {
            Some(rest) if rest == field => Some("descending"),
            None if sort == field => Some("ascending"),
            _ => None,
        }
    };
    let turn = move |_| {
        let next = if direction() == Some("ascending") { format!("-{field}") } else { field.to_owned() };
        set.run(next);
    };
    view! {
        <th role="columnheader" scope="col" data-align=align aria-sort=direction>
            <button type="button" class="sort" on:click=turn>
                {title}
                {move || {
                    let icon = if direction() == Some("descending") { ARROW_DOWN } else { ARROW_UP };
                    view! { <Glyph icon /> }
                }}
            </button>
        </th>
    }
    .into_any()
}

fn body_row(row: Row, heads: &[Head]) -> AnyView {
    let Row { mut href, cells } = row;
    let cells = cells.into_iter().zip(heads).map(|(content, head)| {
        // Only the first cell takes the link.
        let content = match href.take() {
            Some(href) => view! { <A href=href attr:class="row-link">{content}</A> }.into_any(),
            None => content,
        };
        let Head { title, end, .. } = *head;
        view! {
            <td role="cell" data-label=title data-align=end.then_some("end")>
                {content}
            </td>
        }
        .into_any()
    });
    let cells: Vec<_> = cells.collect();
    view! { <tr role="row">{cells}</tr> }.into_any()
}
