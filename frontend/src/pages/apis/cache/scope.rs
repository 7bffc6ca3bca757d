//! What to purge: one address, all below a path, what has a tag, or everything.

use leptos::prelude::*;
use sluice_contract::ids::ApiId;
use sluice_contract::journal::PurgeScope;
use sluice_contract::rest::session::Permission;

use crate::components::{SelectField, TextField};
use crate::session::use_current;
use crate::state::Task;

/// What a person has chosen so far.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    what: RwSignal<String>,
    name: RwSignal<String>,
}

impl Choice {
    pub(super) fn new() -> Self {
        Self { what: RwSignal::new("url".to_owned()), name: RwSignal::new(String::new()) }
    }

    pub(super) fn clear(self) {
        self.name.set(String::new());
    }

    /// Everything of the tenant: asked about once more.
    pub(super) fn is_everything(self) -> bool {
        self.what.with(|what| what == "everything")
    }

    /// The same, asked once.
    pub(super) fn is_everything_now(self) -> bool {
        untrack(|| self.is_everything())
    }

    /// Whether there is enough of it to be asked about. Tracks what it consists of.
    pub(super) fn is_whole(self) -> bool {
        let named = self.name.with(|name| !name.trim().is_empty());
        self.what.with(|what| named || matches!(what.as_str(), "api" | "everything"))
    }

    /// As the API takes it.
    pub(super) fn scope(self, api: ApiId, base: &str) -> PurgeScope {
        let name = self.name.get_untracked();
        let name = name.trim();
        match self.what.get_untracked().as_str() {
            "url" => PurgeScope::Url { api, path: below_base(name, base) },
            "prefix" => PurgeScope::Prefix { api, path: below_base(name, base) },
            "tag" => PurgeScope::Tag { api: Some(api), tag: name.to_owned() },
            "tag_everywhere" => PurgeScope::Tag { api: None, tag: name.to_owned() },
            "everything" => PurgeScope::Everything,
            _ => PurgeScope::Api { api },
        }
    }
}

#[component]
pub(super) fn ScopeFields(choice: Choice, task: Task) -> impl IntoView {
    let current = use_current();
    let options = Signal::derive(move || {
        let mut options = vec![
            ("url", "One address"),
            ("prefix", "Everything below a path"),
            ("tag", "What has a tag"),
            ("api", "Everything of this API"),
        ];
        if current.can(Permission::ManageTenant) {
            options.extend([
                ("tag_everywhere", "What has a tag, in all APIs"),
                ("everything", "Everything of all APIs"),
            ]);
        }
        options.into_iter().map(|(value, text)| (value.to_owned(), text.to_owned())).collect::<Vec<_>>()
    });
    let name = move || {
        match choice.what.get().as_str() {
        "url" => view! {
            <TextField
                label="Address"
                value=choice.name
                required=true
                mono=true
                placeholder="/items?page=2"
                help="As callers ask for it, below the API's base, with its query. A whole URL will do, too. Every stored variant of it goes."
                error=task.field("/scope/path")
            />
        }
        .into_any(),
        "prefix" => view! {
            <TextField
                label="Path"
                value=choice.name
                required=true
                mono=true
                placeholder="/items"
                help="Whole segments: /items covers /items and all below it, but not /items-old."
                error=task.field("/scope/path")
            />
        }
        .into_any(),
        "tag" | "tag_everywhere" => view! {
            <TextField
                label="Tag"
                value=choice.name
                required=true
                mono=true
                placeholder="product-7"
                help="As the upstream gives it in Surrogate-Key or Cache-Tag."
                error=task.field("/scope/tag")
            />
        }
        .into_any(),
        _ => ().into_any(),
    }
    };
    view! {
        <SelectField label="What" value=choice.what options />
        {name}
    }
}

/// What the API takes of what a person pastes: `https://host/acme/items/list?page=2` is `/list?page=2` below
/// `/acme/items`.
pub(super) fn below_base(text: &str, base: &str) -> String {
    let after_host = text.split_once("://").map(|(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = after_host.unwrap_or(text);
    match path.strip_prefix(base) {
        Some("") => "/".to_owned(),
        Some(below) if below.starts_with('/') => below.to_owned(),
        Some(query) if query.starts_with('?') => format!("/{query}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::below_base;

    #[test]
    fn an_address_may_be_pasted_whole() {
        let below = |text| below_base(text, "/acme/items");
        assert_eq!(below("/list?page=2"), "/list?page=2");
        assert_eq!(below("/acme/items/list?page=2"), "/list?page=2");
        assert_eq!(below("https://gateway.example.com/acme/items/list"), "/list");
        assert_eq!(below("https://items.example.com/list"), "/list");
        assert_eq!(below("http://127.0.0.1:8000/acme/items"), "/");
        assert_eq!(below("http://127.0.0.1:8000/acme/items?a=1"), "/?a=1");
        assert_eq!(below("https://items.example.com"), "/");
        assert_eq!(below("/acme/items-old/list"), "/acme/items-old/list");
    }
}
