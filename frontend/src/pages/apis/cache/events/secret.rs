//! The address and the secret of a webhook, shown once: after it was made, and after the secret was changed.

use leptos::prelude::*;
use sluice_contract::rest::event_sources::{EventSource, EventSourceSecret};

use crate::api;
use crate::components::{Button, CodeBlock, ConfirmDialog, Dialog, Kind, Notice, Secret, Tone};
use crate::pages::apis::draft::use_draft;
use crate::state::{Paged, Task, opened_by};

/// A secret that was just made.
#[derive(Clone, PartialEq)]
pub(super) struct Issued {
    pub source: EventSource,
    pub secret: String,
}

/// Asks whether the secret of `rotating` is to be changed, and shows what is `issued`.
#[component]
pub(super) fn NewSecret(
    rotating: RwSignal<Option<EventSource>>,
    issued: RwSignal<Option<Issued>>,
    list: Paged<EventSource>,
) -> impl IntoView {
    let draft = use_draft();
    let task = Task::new();
    let asking = opened_by(rotating);
    let showing = opened_by(issued);
    let rotate = move |()| {
        let Some(it) = rotating.get_untracked() else { return };
        let path = draft.path(&format!("/event-sources/{}/secret", it.id));
        let work = async move { api::post::<_, EventSourceSecret>(&path, &()).await };
        task.run(work, move |EventSourceSecret { source, secret }| {
            asking.set(false);
            issued.set(secret.map(|secret| Issued { source, secret }));
            list.reload();
        });
    };
    let question = Signal::derive(move || {
        format!("New secret for {}?", rotating.get().map(|it| it.name).unwrap_or_default())
    });
    let title = Signal::derive(move || {
        format!("Webhook {}", issued.get().map(|it| it.source.name).unwrap_or_default())
    });
    view! {
        <ConfirmDialog
            open=asking
            title=question
            note=Signal::stored("The one that it has is taken for another 24 hours, so that the sender can change over.".to_owned())
            action=Signal::stored("Make a new secret".to_owned())
            on_confirm=rotate
            task
        />
        <Dialog open=showing title>
            {move || issued.get().map(|it| shown(it, showing))}
        </Dialog>
    }
}

fn shown(Issued { source, secret }: Issued, open: RwSignal<bool>) -> impl IntoView {
    let origin = window().location().origin().unwrap_or_default();
    let address = Signal::stored(format!("{origin}{}", source.path));
    view! {
        <div class="stack">
            <Notice tone=Tone::Warn>"The secret is shown once. Copy it now."</Notice>
            <Secret text=secret label="Copy secret" />
            <CodeBlock title="Address" text=address wrap=true />
            <p class="secondary small">
                "Signed as Standard Webhooks says: webhook-id, webhook-timestamp and webhook-signature (HMAC-SHA256)."
            </p>
            <div class="form-actions">
                <Button kind=Kind::Primary on_click=move |()| open.set(false)>
                    "Done"
                </Button>
            </div>
        </div>
    }
}
