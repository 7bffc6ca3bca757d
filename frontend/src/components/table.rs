//! Lists: sortable on the server, each row a link, the next page on request; cards on a narrow screen.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::components::A;
use serde::de::DeserializeOwned;

use super::{Button, ErrorState, Skeleton};
use crate::format;
use crate::icons::{ARROW_DOWN, ARROW_UP, Glyph};
use crate::state::{Paged, UrlText};

type Cell<T> = Arc<dyn Fn(&T) -> AnyView + Send + Sync>;
type Href<T> = Arc<dyn Fn(&T) -> String + Send + Sync>;

/// One column of a list of `T`.
pub struct Column<T> {
    title: &'static str,
    sort: Option<&'static str>,
    end: bool,
    cell: Cell<T>,
}

impl<T> Clone for Column<T> {
    fn clone(&self) -> Self {
        Self { title: self.title, sort: self.sort, end: self.end, cell: self.cell.clone() }
    }
}

impl<T: 'static> Column<T> {
    /// A column; the first one of a list holds the link of the row and names it.
    pub fn new<V: IntoView + 'static>(
        title: &'static str,
        cell: impl Fn(&T) -> V + Send + Sync + 'static,
    ) -> Self {
        Self { title, sort: None, end: false, cell: Arc::new(move |row| cell(row).into_any()) }
    }

    /// Can be sorted by this field of the API's list.
    #[must_use]
    pub fn sort(mut self, field: &'static str) -> Self {
        self.sort = Some(field);
        self
    }

    /// Numbers: aligned at the end.
    #[must_use]
    pub fn end(mut self) -> Self {
        self.end = true;
        self
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
    T: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static,
{
    let rows = list.rows();
    let some = Memo::new(move |_| rows.with(|rows| rows.as_ref().map(|rows| !rows.is_empty())));
    let columns = StoredValue::new(columns);
    let set_sort = sort.map(UrlText::setter);
    let label = StoredValue::new(label);
    let href = StoredValue::new(href);
    move || {
        match (some.get(), list.problem().get()) {
        (None, None) => Skeleton::Lines(6).into_any(),
        (None | Some(false), Some(problem)) => {
            view! { <ErrorState problem retry=Callback::new(move |()| list.reload()) /> }.into_any()
        }
        (Some(false), None) => empty.run(),
        (Some(true), problem) => view! {
            <div class="table-wrap">
                <div class="table-scroll">
                    <table class="table" role="table" aria-label=label.get_value()>
                        <thead role="rowgroup">
                            <tr role="row">
                                {columns
                                    .get_value()
                                    .into_iter()
                                    .map(|column| header(column.title, column.sort.zip(sort).zip(set_sort), column.end))
                                    .collect_view()}
                            </tr>
                        </thead>
                        <tbody role="rowgroup">
                            {move || {
                                let columns = columns.get_value();
                                let href = href.get_value();
                                rows.get()
                                    .unwrap_or_default()
                                    .iter()
                                    .map(|row| body_row(row, &columns, href.as_ref()))
                                    .collect_view()
                            }}
                        </tbody>
                    </table>
                </div>
                {foot(list)}
                {problem.map(|problem| {
                    view! { <ErrorState problem retry=Callback::new(move |()| list.load_more()) /> }
                })}
            </div>
        }
        .into_any(),
    }
    }
}

/// Where the rows of a list lead.
pub struct RowLink<T>(Href<T>);

impl<T> Clone for RowLink<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, F: Fn(&T) -> String + Send + Sync + 'static> From<F> for RowLink<T> {
    fn from(link: F) -> Self {
        Self(Arc::new(link))
    }
}

fn foot<T>(list: Paged<T>) -> impl IntoView
where
    T: DeserializeOwned + PartialEq + Send + Sync + 'static,
{
    let rows = list.rows();
    let shown = move || {
        let count = rows.with(|rows| rows.as_ref().map_or(0, Vec::len));
        let more = if list.has_more().get() { " loaded" } else { "" };
        format!("{}{more}", format::plural(count, "row", "rows"))
    };
    view! {
        <div class="table-foot">
            <span>{shown}</span>
            <Show when=move || list.has_more().get()>
                <Button size="sm" busy=list.busy() on_click=move |()| list.load_more()>
                    "Load more"
                </Button>
            </Show>
        </div>
    }
}

fn header(
    title: &'static str,
    sort: Option<((&'static str, UrlText), Callback<String>)>,
    end: bool,
) -> impl IntoView {
    let align = end.then_some("end");
    let Some(((field, present), set)) = sort else {
        // A column of buttons needs no title that is seen.
        let title = match title {
            "" => view! { <span class="visually-hidden">"Actions"</span> }.into_any(),
            title => title.into_any(),
        };
        return view! { <th role="columnheader" scope="col" data-align=align>{title}</th> }.into_any();
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

fn body_row<T: 'static>(row: &T, columns: &[Column<T>], href: Option<&RowLink<T>>) -> impl IntoView + use<T> {
    let cells = columns.iter().enumerate().map(|(i, column)| {
        let content = (column.cell)(row);
        let content = match href {
            Some(RowLink(href)) if i == 0 => {
                view! { <A href=href(row) attr:class="row-link">{content}</A> }.into_any()
            }
            _ => content,
        };
        view! {
            <td role="cell" data-label=column.title data-align=column.end.then_some("end")>
                {content}
            </td>
        }
    });
    view! { <tr role="row">{cells.collect_view()}</tr> }
}
