//! Toasts: what an action did, for a moment, in the corner.

use std::time::Duration;

use leptos::prelude::*;

use super::{Button, Kind, Tone};
use crate::icons::{CIRCLE_CHECK, Glyph, INFO, TRIANGLE_ALERT, X};

const SHOWN_FOR: Duration = Duration::from_secs(6);

#[derive(Clone)]
struct Toast {
    id: u64,
    tone: Tone,
    text: String,
}

/// The toasts of the page; get it by [`use_toasts`].
#[derive(Clone, Copy)]
pub struct Toasts {
    list: RwSignal<Vec<Toast>>,
    next: StoredValue<u64>,
}

impl Toasts {
    pub fn provide() {
        provide_context(Self { list: RwSignal::new(Vec::new()), next: StoredValue::new(0) });
    }

    /// Something worked.
    pub fn done(&self, text: impl Into<String>) {
        self.show(Tone::Ok, text.into());
    }

    /// Something failed and no form is left to say so. Stays until it is closed.
    pub fn failed(&self, text: impl Into<String>) {
        self.show(Tone::Bad, text.into());
    }

    fn show(&self, tone: Tone, text: String) {
        let id = self.next.get_value();
        self.next.set_value(id + 1);
        self.list.update(|list| list.push(Toast { id, tone, text }));
        if tone != Tone::Bad {
            let toasts = *self;
            set_timeout(move || toasts.close(id), SHOWN_FOR);
        }
    }

    fn close(&self, id: u64) {
        self.list.update(|list| list.retain(|toast| toast.id != id));
    }
}

/// Where to show toasts from a component.
pub fn use_toasts() -> Toasts {
    use_context().unwrap_or_else(|| Toasts { list: RwSignal::new(Vec::new()), next: StoredValue::new(0) })
}

/// The corner in which toasts appear; once, in the application.
#[component]
pub fn ToastRegion() -> impl IntoView {
    let toasts = use_toasts();
    view! {
        <section class="toasts" aria-label="Messages" aria-live="polite">
            <For each=move || toasts.list.get() key=|toast| toast.id let:toast>
                <div class="toast">
                    <Glyph icon=match toast.tone {
                        Tone::Ok => CIRCLE_CHECK,
                        Tone::Bad => TRIANGLE_ALERT,
                        _ => INFO,
                    } />
                    <div class="toast-text">{toast.text}</div>
                    <Button
                        kind=Kind::Quiet
                        size="sm"
                        icon=X
                        label="Close message"
                        on_click=move |()| toasts.close(toast.id)
                    />
                </div>
            </For>
        </section>
    }
}
