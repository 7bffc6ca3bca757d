//! What a policy means for those who read through it, in words: the console shows them, the admin API tells them.

use super::origin::OriginSays;
use super::spec::Cache;

/// How stale a response may be that is served because the upstream cannot be reached, where nobody says, in seconds.
pub const UNREACHABLE_S: u64 = 86_400;

impl Cache {
    /// How old the data may be that readers see.
    pub fn staleness(&self) -> String {
        if self.strong_consistency {
            return "Readers always see what the upstream says now: nothing is stored.".to_owned();
        }
        if let Some(oldest) = self.oldest_s {
            return format!("Readers may see data up to {} old.", duration(oldest));
        }
        let fresh = match self.longest_fresh_s() {
            Some(seconds) => format!("Readers may see data up to {} old", duration(seconds)),
            None => "Readers may see data as old as the upstream allows".to_owned(),
        };
        let refreshing = self.stale_while_revalidate_s.filter(|seconds| *seconds > 0);
        let refreshing = refreshing
            .map(|seconds| format!(", up to {} older while a new response is fetched", duration(seconds)));
        let down = self.stale_if_error_s.unwrap_or(UNREACHABLE_S);
        let failing =
            if self.stale_if_error_s.is_some() { "fails or cannot be reached" } else { "cannot be reached" };
        let down =
            (down > 0).then(|| format!(", up to {} older while the upstream {failing}", duration(down)));
        let more =
            if self.origin == OriginSays::Ignore { "" } else { " The upstream can allow more staleness." };
        format!("{fresh}{}{}.{more}", refreshing.unwrap_or_default(), down.unwrap_or_default())
    }

    /// Settings that serve one caller's data to others, each with what that means: they need a person's confirmation.
    pub fn risks(&self) -> Vec<&'static str> {
        let risks = [
            (
                self.shared,
                "One caller's response is served to every caller, whatever key or cookie they send.",
            ),
            (
                self.store_set_cookie,
                "Cookies that the upstream sets for one caller are stored and set for every caller who gets the copy.",
            ),
            (
                self.origin == OriginSays::Ignore,
                "Responses are stored although the upstream marks them `no-store` or `private`.",
            ),
        ];
        risks.into_iter().filter_map(|(taken, means)| taken.then_some(means)).collect()
    }

    /// The longest that a response can be fresh; None when the upstream decides.
    fn longest_fresh_s(&self) -> Option<u64> {
        let own = self.ttl_rules.iter().map(|rule| rule.ttl_s).chain(self.ttl_s).max().unwrap_or(0);
        let own = own.max(self.min_ttl_s.unwrap_or(0));
        let cap = |seconds: u64| self.max_ttl_s.map_or(seconds, |most| most.min(seconds));
        match self.origin {
            // What no rule covers keeps the upstream's lifetime.
            OriginSays::Honour | OriginSays::Override => self.max_ttl_s,
            OriginSays::Ignore => Some(cap(own)),
        }
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
