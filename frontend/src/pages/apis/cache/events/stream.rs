//! Where a source reads its events, when it is no webhook: the fields of a stream as they are typed.

use leptos::prelude::*;
use sluice_contract::rest::event_sources::{EventSource, EventStream, StreamKind};

use crate::components::{SelectField, TextArea, TextField};
use crate::state::Task;

const REDIS: &str = "redis";
const NATS: &str = "nats";

#[derive(Clone, Copy)]
pub(super) struct StreamForm {
    /// `redis` or `nats`.
    kind: RwSignal<String>,
    url: RwSignal<String>,
    user: RwSignal<String>,
    password: RwSignal<String>,
    ca: RwSignal<String>,
    stream: RwSignal<String>,
    group: RwSignal<String>,
    field: RwSignal<String>,
    subject: RwSignal<String>,
}

impl StreamForm {
    pub(super) fn new() -> Self {
        let [kind, url, user, password, ca, stream, group, field, subject] =
            [(); 9].map(|()| RwSignal::new(String::new()));
        Self { kind, url, user, password, ca, stream, group, field, subject }
    }

    pub(super) fn set(self, it: Option<&EventSource>) {
        let it = it.and_then(|it| it.stream.as_ref());
        let text = |of: fn(&EventStream) -> Option<&str>| it.and_then(of).unwrap_or_default().to_owned();
        let is_nats = it.is_some_and(|it| it.kind == StreamKind::Nats);
        self.kind.set(if is_nats { NATS } else { REDIS }.to_owned());
        self.url.set(text(|it| Some(&it.url)));
        self.user.set(text(|it| it.user.as_deref()));
        self.password.set(String::new());
        self.ca.set(text(|it| it.ca.as_deref()));
        self.stream.set(text(|it| Some(&it.stream)));
        self.group.set(text(|it| it.group.as_deref()));
        self.field.set(text(|it| it.field.as_deref()));
        self.subject.set(text(|it| it.subject.as_deref()));
    }

    /// The stream, and its new password where one was typed.
    pub(super) fn typed(self) -> (EventStream, Option<String>) {
        let text = |signal: RwSignal<String>| signal.with_untracked(|text| text.trim().to_owned());
        let some = |text: String| (!text.is_empty()).then_some(text);
        let is_nats = self.is_nats();
        let stream = EventStream {
            kind: if is_nats { StreamKind::Nats } else { StreamKind::Redis },
            url: text(self.url),
            user: some(text(self.user)),
            ca: some(text(self.ca)),
            stream: text(self.stream),
            group: some(text(self.group)),
            field: some(text(self.field)).filter(|_| !is_nats),
            subject: some(text(self.subject)).filter(|_| is_nats),
        };
        (stream, some(self.password.get_untracked()))
    }

    fn is_nats(self) -> bool {
        self.kind.with_untracked(|kind| kind == NATS)
    }
}

#[component]
pub(super) fn StreamFields(form: StreamForm, has_password: Signal<bool>, task: Task) -> impl IntoView {
    let password = Signal::derive(move || {
        if has_password.get() { "Password (leave empty to keep it)" } else { "Password" }.to_owned()
    });
    let kinds = [(REDIS, "Redis"), (NATS, "NATS JetStream")];
    let kinds = kinds.map(|(kind, name)| (kind.to_owned(), name.to_owned())).to_vec();
    view! {
        <SelectField label="Kept by" value=form.kind options=Signal::stored(kinds) error=task.field("/stream/kind") />
        <TextField
            label="Address"
            value=form.url
            required=true
            mono=true
            placeholder="rediss://redis.example.com:6379"
            help="redis:// or nats://, with TLS rediss:// or tls://; of NATS several with commas. It is where the environment's upstreams may be."
            error=task.field("/stream/url")
        />
        <div class="grid" data-min="sm">
            <TextField label="User" value=form.user optional=true error=task.field("/stream/user") />
            <TextField
                label=password
                value=form.password
                kind="password"
                optional=true
                help="For NATS without a user: a token, the seed of an nkey, or what stands in a file of credentials."
                error=task.field("/stream_password")
            />
        </div>
        <TextArea
            label="Certificates of who vouches for it"
            value=form.ca
            optional=true
            mono=true
            placeholder="-----BEGIN CERTIFICATE-----"
            help="For TLS with a server that no public authority vouches for."
            error=task.field("/stream/ca")
        />
        <div class="grid" data-min="sm">
            <TextField label="Stream" value=form.stream required=true mono=true placeholder="changes" error=task.field("/stream/stream") />
            <Show
                when=move || form.kind.with(|kind| kind == NATS)
                fallback=move || view! {
                    <TextField label="Field with the event" value=form.field optional=true mono=true placeholder="event" error=task.field("/stream/field") />
                }
            >
                <TextField label="Subject" value=form.subject optional=true mono=true placeholder="shop.>" error=task.field("/stream/subject") />
            </Show>
            <TextField label="Consumer" value=form.group optional=true mono=true placeholder="one of its own" error=task.field("/stream/group") />
        </div>
    }
}
