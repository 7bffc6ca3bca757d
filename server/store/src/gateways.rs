//! Gateways: their identities, sessions, acknowledgements and health.

mod acknowledge;
mod health;
mod identity;
mod list;
mod session;

pub use acknowledge::{Acknowledged, acknowledge, check_acknowledgement};
pub use health::{Heard, hear};
pub use identity::{Enrolled, NewGateway, enrol, remove};
pub(crate) use list::applied;
pub use list::{
    get, get_for, has_others, is_active, lately_seen, list, of_environment, public_urls, removed_since,
    urls_by_environment,
};
pub use session::{Session, open_session};

use chrono::{DateTime, TimeDelta, Utc};

/// A gateway that was heard of within this time is alive.
pub const ALIVE: TimeDelta = TimeDelta::seconds(10);

/// Whether a gateway that was last heard of then is alive now.
pub(crate) fn alive(last_seen_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    last_seen_at.is_some_and(|seen| now - seen < ALIVE)
}
