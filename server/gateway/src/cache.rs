//! The response cache: a shared cache by RFC 9111, and what keeps purged responses gone.
//!
//! [`mod@serve`] reads top to bottom what happens to a call on a route with the cache policy, [`judge`] says what a stored
//! response may do for a request, and [`mod@fetch`] brings and stores a new one. Rules are pure functions
//! ([`rules`], [`freshness`], [`conditional`], [`range`], [`vary`]); what is stored is in [`store`] and [`shelves`], for whom and
//! how much in [`account`], what is being fetched in [`flight`] and [`fill`]. [`second`] is what gateways share, and [`level`] stands between the two.

mod account;
mod again;
mod arrivals;
mod conditional;
mod decode;
mod directives;
pub(crate) mod explain;
mod fetch;
mod fill;
mod flight;
mod freshness;
mod index;
pub(crate) mod inspect;
mod invalidate;
mod judge;
pub mod key;
mod labels;
mod level;
mod made_tag;
#[cfg(test)]
mod parsing;
#[cfg(test)]
mod properties;
mod purges;
mod range;
mod represent;
mod rules;
mod second;
mod serve;
mod shelves;
mod signs;
mod status;
mod store;
mod stored;
mod targeted;
mod vary;
mod watch;

pub use account::Shares;
pub(crate) use again::Question;
pub(crate) use fill::FillReader;
pub(crate) use index::{Amount, Covered};
pub(crate) use invalidate::invalidate;
pub(crate) use key::purged_urls;
pub(crate) use labels::Label;
pub(crate) use level::share_again;
pub use purges::{ApiPurges, Purges, RememberedPurges, Stamp, Strength};
pub(crate) use second::Location;
pub use second::{SecondLevel, SecondLevelSettings};
pub(crate) use serve::{Lead, Ready, serve};
pub use shelves::{Eviction, UnknownEviction};
pub(crate) use signs::signs;
pub(crate) use status::CacheStatus;
pub use store::{Cache, CacheLimits};
