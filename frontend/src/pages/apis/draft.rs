//! The draft of the API on the page: every tab edits it here, with the version that was read.

use std::sync::Arc;

use leptos::prelude::*;
use serde_json::{Value, to_value};
use sluice_contract::definition::ApiDefinition;
use sluice_contract::rest::apis::{Api, UpdateApi};

use crate::api::{self, Tagged};
use crate::components::{Conflict, ConflictDialog, Toasts, use_toasts};
use crate::session::{Current, use_current};
use crate::state::{Remote, Task};

/// What follows once a change is settled: the dialog that it was made in closes.
type Done = Arc<dyn Fn() + Send + Sync>;

/// What was about to be saved when somebody else had been faster.
#[derive(Clone)]
struct Dispute {
    task: Task,
    mine: UpdateApi,
    theirs: Tagged<Api>,
    done: Done,
}

/// The API on the page, shared by its tabs.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    pub(super) latest: Signal<Tagged<Api>>,
    remote: Remote<Tagged<Api>>,
    current: Current,
    toasts: Toasts,
    dispute: StoredValue<Option<Dispute>>,
    conflict: RwSignal<Option<Conflict>>,
}

impl Draft {
    pub(super) fn provide(latest: Signal<Tagged<Api>>, remote: Remote<Tagged<Api>>) -> Self {
        let draft = Self {
            latest,
            remote,
            current: use_current(),
            toasts: use_toasts(),
            dispute: StoredValue::new(None),
            conflict: RwSignal::new(None),
        };
        provide_context(draft);
        draft
    }

    /// The API as it was read last, without tracking.
    pub(super) fn api(self) -> Api {
        self.latest.get_untracked().value
    }

    /// The definition that is being edited. Tracks.
    pub(super) fn definition(self) -> ApiDefinition {
        self.latest.with(|latest| latest.value.draft.clone())
    }

    /// Path of something of this API below `/api/v1`.
    pub(super) fn path(self, rest: &str) -> String {
        untrack(|| self.current.path(&format!("/apis/{}{rest}", self.api().id)))
    }

    /// The tag of the version on the page.
    pub(super) fn etag(self) -> Option<String> {
        self.latest.get_untracked().etag
    }

    /// The API as the server has just told it.
    pub(super) fn take(self, newer: Tagged<Api>) {
        self.remote.set(newer);
    }

    pub(super) fn reload(self) {
        self.remote.reload();
    }

    /// Changes the API and saves it; `done` runs when it is stored, or given up for somebody else's version.
    pub(super) fn save(
        self,
        task: Task,
        change: impl FnOnce(&mut UpdateApi),
        done: impl Fn() + Send + Sync + 'static,
    ) {
        let Api { name, description, team, listed, draft, .. } = self.api();
        let mut update = UpdateApi { name, description, team, listed, draft };
        change(&mut update);
        self.put(task, update, self.etag(), Arc::new(done));
    }

    fn put(self, task: Task, mine: UpdateApi, etag: Option<String>, done: Done) {
        let path = self.path("");
        let sent = mine.clone();
        let work = async move {
            match api::put_tagged::<_, Api>(&path, &sent, etag.as_deref()).await {
                Err(stale) if stale.status == 412 => api::get_tagged::<Api>(&path).await.map(Err),
                other => other.map(Ok),
            }
        };
        task.run(work, move |answer| match answer {
            Ok(saved) => {
                self.remote.set(saved);
                self.toasts.done("Draft saved");
                done();
            }
            Err(theirs) => self.ask(Dispute { task, mine, theirs, done }),
        });
    }

    fn ask(self, dispute: Dispute) {
        let theirs = seen(&update_of(dispute.theirs.value.clone()));
        self.conflict.set(Some(Conflict { mine: seen(&dispute.mine), theirs }));
        self.dispute.set_value(Some(dispute));
    }

    /// Saves mine over the version that was shown; when there is a newer one still, asks again.
    fn overwrite(self) {
        if let Some(Dispute { task, mine, theirs, done }) = self.dispute.get_value() {
            self.put(task, mine, theirs.etag, done);
        }
    }

    /// Drops mine.
    fn take_theirs(self) {
        if let Some(Dispute { theirs, done, .. }) = self.dispute.get_value() {
            self.remote.set(theirs);
            done();
        }
    }
}

fn update_of(api: Api) -> UpdateApi {
    let Api { name, description, team, listed, draft, .. } = api;
    UpdateApi { name, description, team, listed, draft }
}

fn seen(update: &UpdateApi) -> Value {
    to_value(update).unwrap_or_default()
}

/// The draft of the page's API.
///
/// Only tabs call it, and they are drawn inside of the page that provides it.
pub(super) fn use_draft() -> Draft {
    expect_context::<Draft>()
}

/// Shows both versions when two people edited one API.
#[component]
pub(super) fn DraftConflict() -> impl IntoView {
    let draft = use_draft();
    view! {
        <ConflictDialog
            conflict=draft.conflict
            on_overwrite=move |()| draft.overwrite()
            on_reload=move |()| draft.take_theirs()
        />
    }
}
