//! How much memory cached responses may take, and whose go first.

use sluice_settings::Values;

use crate::cache::{CacheLimits, Shares};

/// Takes the settings whose names begin so.
pub fn take(prefix: &str, values: &mut Values) -> CacheLimits {
    let default = CacheLimits::default();
    let max_bytes = values.bytes(&format!("{prefix}cache_max_bytes"));
    let eviction = values.with(
        &format!("{prefix}cache_eviction"),
        "Use sizelfu, tinylfu, lru, fifo or random.",
        |text| text.parse().map_err(|error| format!("`{text}` is not valid: {error}")),
    );
    let mut share = |name: &str| values.number(&format!("{prefix}cache_{name}_share"), 1..=100);
    let shares = Shares {
        api: share("api").unwrap_or(default.shares.api),
        tenant: share("tenant").unwrap_or(default.shares.tenant),
    };
    CacheLimits {
        max_bytes: max_bytes.unwrap_or(default.max_bytes),
        eviction: eviction.unwrap_or(default.eviction),
        shares,
    }
}
