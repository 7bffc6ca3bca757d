//! How old the answers may be that readers of an API see, in words, by its draft.

use leptos::prelude::*;
use sluice_contract::definition::{ApiDefinition, PolicyAttachment};
use sluice_policies::cache::staleness_of;

use crate::components::Panel;
use crate::pages::apis::draft::use_draft;

/// One sentence for the API, and one for each route that has a policy of its own.
#[component]
pub(super) fn Staleness() -> impl IntoView {
    let draft = use_draft();
    let said = Memo::new(move |_| said(&draft.definition()));
    let lines = move || {
        let lines = said.get().into_iter().map(|(route, words)| {
            let route = match route {
                Some(id) => view! { <code>{id}</code> }.into_any(),
                None => "Every route".into_any(),
            };
            view! {
                <dt>{route}</dt>
                <dd>{words}</dd>
            }
        });
        lines.collect_view()
    };
    view! {
        <Panel title="How old answers may be" note="As the draft says, once it is released.">
            <dl class="facts">{lines}</dl>
        </Panel>
    }
}

/// Routes (None: the API) and what their policies mean.
fn said(definition: &ApiDefinition) -> Vec<(Option<String>, String)> {
    let of = |policies: &[PolicyAttachment]| {
        let mut enabled = policies.iter().filter(|policy| policy.enabled);
        enabled.find_map(|policy| staleness_of(&policy.kind, &policy.settings))
    };
    let none = "Readers never see stale data: there is no cache policy.";
    let api = of(&definition.policies).unwrap_or_else(|| none.to_owned());
    let routes = definition.routes.iter();
    let routes = routes.filter_map(|route| Some((Some(route.id.clone()), of(&route.policies)?)));
    std::iter::once((None, api)).chain(routes).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn routes_are_named_where_they_have_a_word_of_their_own() {
        let cache = |settings, enabled| json!({ "type": "cache", "enabled": enabled, "settings": settings });
        let definition: ApiDefinition = serde_json::from_value(json!({
            "policies": [cache(json!({ "oldest_s": 30 }), true)],
            "routes": [
                { "id": "quote", "path": "/quote", "policies": [cache(json!({ "strong_consistency": true }), true)] },
                { "id": "off", "path": "/off", "policies": [cache(json!({ "oldest_s": 5 }), false)] },
            ],
        }))
        .unwrap();
        let said = said(&definition);
        assert_eq!(said[0], (None, "Readers may see data up to 30 s old.".to_owned()));
        assert_eq!(said[1].0.as_deref(), Some("quote"));
        assert!(said[1].1.contains("never see stale"), "{said:?}");
        assert_eq!(said.len(), 2);
    }
}
