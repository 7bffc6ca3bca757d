//! How much a purge would cover, gateway by gateway, before it is made: asked anew whenever the choice has come to rest.

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::rest::asked::FromGateway;
use sluice_contract::rest::purges::{CreatePurge, PurgeAmount, PurgePreview, SecondLevelAmount};

use super::asked::outcome_words;
use super::scope::Choice;
use crate::api;
use crate::components::EnvironmentChoice;
use crate::format;
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::{effect, remote};

/// A person who types is not asked about every letter.
const REST: Duration = Duration::from_millis(350);

/// What was asked, and what came of it; None: it cannot be asked so, which submitting says.
type Told = Option<(CreatePurge, Result<PurgePreview, String>)>;

/// While the dialog is open.
#[component]
pub(super) fn Preview(
    open: RwSignal<bool>,
    choice: Choice,
    environments: EnvironmentChoice,
) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let wanted = RwSignal::new(None::<CreatePurge>);
    let mut settle = debounce(REST, move |asked: Option<CreatePurge>| _ = wanted.try_set(asked));
    effect(move || {
        let slug = environments.slug();
        let picked = environments.all().into_iter().find(|it| it.slug == slug);
        let is_whole = choice.is_whole();
        let api = draft.api();
        let asked = picked.filter(|_| open.get() && is_whole).and_then(|environment| {
            let scope = choice.scope(api.id, &api.base_path).ok()?;
            Some(CreatePurge { environment: environment.id, scope, soft: false })
        });
        // What is shown was of another choice.
        wanted.set(None);
        settle(asked);
    });
    let told = remote(move || {
        let (asked, path) = (wanted.get(), current.path("/purges/preview"));
        async move {
            let Some(asked) = asked else { return Ok(Told::None) };
            Ok(match api::post::<_, PurgePreview>(&path, &asked).await {
                Ok(preview) => Some((asked, Ok(preview))),
                Err(problem) if problem.status == 422 => None,
                Err(problem) => Some((asked, Err(problem.title))),
            })
        }
    });
    let shown = move || {
        let asked = wanted.get()?;
        match told.get() {
            Some(Some((of, preview))) if of == asked => Some(match preview {
                Ok(preview) => amounts(&preview),
                Err(title) => note(format!("How much it would cover could not be asked: {title}.")),
            }),
            Some(None) | None => None,
            Some(Some(_)) => Some(note("Asking the gateways how much it would cover...".to_owned())),
        }
    };
    view! { <div aria-live="polite">{shown}</div> }
}

fn note(text: String) -> AnyView {
    view! { <p class="secondary small">{text}</p> }.into_any()
}

fn amounts(preview: &PurgePreview) -> AnyView {
    if preview.gateways.is_empty() {
        return note("No gateway of this environment was heard of lately.".to_owned());
    }
    let total = format!("Would cover about {}.", amount_words(preview.entries, preview.bytes));
    let rows: Vec<_> =
        preview.gateways.iter().map(|gateway| (gateway.name.clone(), words(gateway))).collect();
    let unknown = |gateway: &FromGateway<PurgeAmount>| {
        gateway.answer.is_some_and(|amount| amount.second_level == SecondLevelAmount::Unknown)
    };
    let second = preview.gateways.iter().any(unknown).then(|| {
        note("How much the second level holds of it is not known; what the purge covers there is never served again.".to_owned())
    });
    view! {
        <div class="stack purge-preview">
            <p><b>{total}</b></p>
            <dl class="facts">
                {rows
                    .into_iter()
                    .map(|(name, words)| {
                        view! {
                            <dt>{name}</dt>
                            <dd>{words}</dd>
                        }
                    })
                    .collect_view()}
            </dl>
            {second}
        </div>
    }
    .into_any()
}

/// `12 entries, 3.1 MB, looked up in 80 µs`.
fn words(gateway: &FromGateway<PurgeAmount>) -> String {
    match (gateway.answer, gateway.took_us) {
        (Some(amount), Some(took)) => {
            format!("{}, looked up in {}", amount_words(amount.entries, amount.bytes), format::micros(took))
        }
        _ => outcome_words(gateway.outcome).to_owned(),
    }
}

fn amount_words(entries: u64, bytes: u64) -> String {
    let entries = format::plural(usize::try_from(entries).unwrap_or(usize::MAX), "entry", "entries");
    format!("{entries}, {}", format::bytes(bytes))
}
