//! What a policy means for those who read through it, in words: the console shows them while the form is filled in.

use serde_json::Value;

use super::origin::OriginSays;
use super::spec::Cache;
use crate::policy::Policy as _;

/// How stale a response may be that is served because the upstream cannot be reached, where nobody says, in seconds.
pub const UNREACHABLE_S: u64 = 86_400;

/// The longest lifetime that is guessed, in seconds.
const LONGEST_GUESS_S: u64 = 86_400;

/// How old the data may be that readers of a policy of this kind see; None for other kinds and settings that are not whole.
pub fn staleness_of(kind: &str, settings: &Value) -> Option<String> {
    parsed(kind, settings).map(|cache| cache.staleness())
}

/// Settings of another kind, or that are not whole yet, mean nothing.
pub(super) fn parsed(kind: &str, settings: &Value) -> Option<Cache> {
    if kind != Cache::KIND {
        return None;
    }
    if settings.is_null() {
        return Some(Cache::default());
    }
    serde_json::from_value(settings.clone()).ok()
}

impl Cache {
    /// How old the data may be that readers see.
    pub fn staleness(&self) -> String {
        if self.strong_consistency {
            return "Readers never see stale data: nothing is stored, every call goes to the upstream."
                .to_owned();
        }
        let oldest = self.oldest_s.unwrap_or(u64::MAX);
        let fresh = match (self.longest_fresh_s(), self.own_s()) {
            (Some(longest), _) if longest < oldest => format!("up to {} old", duration(longest)),
            (None, own) if self.oldest_s.is_none() => fresh_by_upstream(own),
            // Lifetimes end where the oldest age is: nothing is served beyond.
            _ => return format!("Readers may see data up to {} old.", duration(oldest)),
        };
        let later = self.refreshing().into_iter().chain(self.failing());
        let later: String =
            later.map(|(seconds, when)| format!(", up to {} older {when}", duration(seconds))).collect();
        let most = self.oldest_s.map(|oldest| format!(", but never more than {} old", duration(oldest)));
        let more =
            if self.origin == OriginSays::Ignore { "" } else { " The upstream can allow more staleness." };
        format!("Readers may see data {fresh}{later}{}.{more}", most.unwrap_or_default())
    }

    /// How long past its time a response is served while a new one is fetched.
    fn refreshing(&self) -> Option<(u64, &'static str)> {
        let seconds = self.stale_while_revalidate_s.filter(|seconds| *seconds > 0)?;
        Some((seconds, "while a new response is fetched"))
    }

    /// How long past its time a response stands in for an error; grace while nobody answers is on where nobody says.
    fn failing(&self) -> Option<(u64, &'static str)> {
        match self.stale_if_error_s {
            None => Some((UNREACHABLE_S, "while the upstream cannot be reached")),
            Some(0) => None,
            Some(seconds) => Some((seconds, "while the upstream fails or cannot be reached")),
        }
    }

    /// The longest that a response can be fresh; None when the upstream decides.
    fn longest_fresh_s(&self) -> Option<u64> {
        match self.origin {
            // What no rule covers keeps the upstream's lifetime.
            OriginSays::Honour | OriginSays::Override => self.max_ttl_s,
            OriginSays::Ignore => Some(self.own_s()),
        }
    }

    /// The longest lifetime that comes from the policy alone; 0: it has none.
    fn own_s(&self) -> u64 {
        let guess = (self.heuristic && self.origin != OriginSays::Ignore).then_some(LONGEST_GUESS_S);
        let said = self.ttl_rules.iter().map(|rule| rule.ttl_s).chain(self.ttl_s).chain(guess);
        let own = said.chain(self.min_ttl_s).max().unwrap_or(0);
        self.max_ttl_s.map_or(own, |most| most.min(own))
    }
}

fn fresh_by_upstream(own: u64) -> String {
    match own {
        0 => "as old as the upstream allows".to_owned(),
        own => format!("up to {} old, or older where the upstream allows it", duration(own)),
    }
}

/// `30 s`, `5 min`, `2 h`, `1 day`: exact, in the largest unit that divides it.
fn duration(seconds: u64) -> String {
    match seconds {
        86_400 => "1 day".to_owned(),
        _ if seconds > 0 && seconds.is_multiple_of(86_400) => format!("{} days", seconds / 86_400),
        _ if seconds > 0 && seconds.is_multiple_of(3_600) => format!("{} h", seconds / 3_600),
        _ if seconds > 0 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}
