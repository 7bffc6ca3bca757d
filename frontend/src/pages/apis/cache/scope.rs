//! What to purge: one address, all below a path, what has a tag, what is an application's, or everything.

use leptos::prelude::*;
use sluice_contract::ids::ApiId;
use sluice_contract::journal::PurgeScope;
use sluice_contract::problem::{FieldProblem, Problem};
use sluice_contract::rest::session::Permission;

use super::applications::Applications;
use crate::components::{SelectField, TextField};
use crate::session::use_current;
use crate::state::Task;

/// What a person has chosen so far.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    what: RwSignal<String>,
    name: RwSignal<String>,
    /// The id of an application; empty until one is picked.
    application: RwSignal<String>,
}

impl Choice {
    pub(super) fn new() -> Self {
        let empty = || RwSignal::new(String::new());
        Self { what: RwSignal::new("url".to_owned()), name: empty(), application: empty() }
    }

    pub(super) fn clear(self) {
        self.name.set(String::new());
        self.application.set(String::new());
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
        let filled = |text: RwSignal<String>| text.with(|text| !text.trim().is_empty());
        let (named, picked) = (filled(self.name), filled(self.application));
        self.what.with(|what| match what.as_str() {
            "api" | "everything" => true,
            "application" => picked,
            _ => named,
        })
    }

    /// As the API takes it.
    ///
    /// # Errors
    /// When no application is picked.
    pub(super) fn scope(self, api: ApiId, base: &str) -> Result<PurgeScope, Problem> {
        let name = self.name.get_untracked();
        let name = name.trim();
        Ok(match self.what.get_untracked().as_str() {
            "url" => PurgeScope::Url { api, path: below_base(name, base) },
            "prefix" => PurgeScope::Prefix { api, path: below_base(name, base) },
            "tag" => PurgeScope::Tag { api: Some(api), tag: name.to_owned() },
            "tag_everywhere" => PurgeScope::Tag { api: None, tag: name.to_owned() },
            "application" => {
                let picked = self.application.get_untracked().parse();
                let application = picked.map_err(|_| no_application())?;
                PurgeScope::Application { application }
            }
            "everything" => PurgeScope::Everything,
            _ => PurgeScope::Api { api },
        })
    }
}

fn no_application() -> Problem {
    let wrong = FieldProblem::new("/scope/application", "required", "Choose an application.");
    Problem { fields: vec![wrong], ..Problem::new(0, "no_application", "No application is chosen") }
}

#[component]
pub(super) fn ScopeFields(choice: Choice, applications: Applications, task: Task) -> impl IntoView {
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
                ("application", "What is an application's, in all APIs"),
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
        "application" => view! {
            <SelectField
                label="Application"
                value=choice.application
                options=applications.options()
                help="What was stored for its callers alone goes. What it shares with others stays."
                error=task.field("/scope/application")
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

/// Whether a URL is of TLS, and its host with the port.
pub(super) fn host_of(url: &str) -> (bool, String) {
    let Some((scheme, rest)) = url.split_once("://") else { return (false, String::new()) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    (scheme.eq_ignore_ascii_case("https"), rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::{below_base, host_of};

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

    #[test]
    fn the_host_of_a_pasted_url_is_read() {
        assert_eq!(host_of("https://a.example:8443/acme/x?b=1"), (true, "a.example:8443".to_owned()));
        assert_eq!(host_of("http://a.example?b"), (false, "a.example".to_owned()));
        assert_eq!(host_of("/x"), (false, String::new()));
    }
}
