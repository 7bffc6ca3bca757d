//! What the calls tell against caching, in words.

use sluice_contract::rest::cache_advice::CacheRisk;

use crate::components::Tone;
use crate::format::plural;

/// How much a risk asks for attention, and what it is.
pub(super) fn risk(risk: &CacheRisk) -> (Tone, String) {
    let tone = if risk.is_to_confirm() { Tone::Warn } else { Tone::Idle };
    (tone, text(risk))
}

fn text(risk: &CacheRisk) -> String {
    let calls = |calls: &u64| plural(*calls as usize, "call", "calls");
    match risk {
        CacheRisk::VariesByCaller { compared, differ } => format!(
            "Varies by caller: the answers to {differ} of {} that several callers asked for within ten seconds differed. Do not share them between callers.",
            plural(*compared as usize, "resource", "resources")
        ),
        CacheRisk::SetsCookies { calls: count } => format!(
            "Sets cookies: {} were answered with Set-Cookie. Such answers are not stored unless the upstream says that they are public.",
            calls(count)
        ),
        CacheRisk::PersonalData { example } => {
            format!("Looks like data of a person: {example}. Be sure that nobody is shown what is another's.")
        }
        CacheRisk::Credentials { calls: count } => {
            format!(
                "{} came with a credential or a cookie. Each caller gets copies of their own.",
                calls(count)
            )
        }
        CacheRisk::Varies { calls: count } => format!(
            "{} got answers that vary by fields of the request, which the log does not keep: there may be fewer hits.",
            calls(count)
        ),
        CacheRisk::Forbidden { calls: count } => {
            format!("The upstream forbids to keep the answers to {}: they are not kept.", calls(count))
        }
        CacheRisk::OwnLifetime { calls: count } => format!(
            "The upstream says itself how long the answers to {} are fresh: that counts, not the time above.",
            calls(count)
        ),
        CacheRisk::NotStored { calls: count } => {
            format!("{} were answered with a status that is not stored.", calls(count))
        }
    }
}
