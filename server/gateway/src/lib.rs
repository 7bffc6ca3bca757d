//! Sluice's data plane: accepts calls, decides them by the journal's state, forwards them, records them.

mod body;
mod buffers;
pub mod cache;
pub mod clock;
pub mod compile;
mod hex;
pub mod http1;
pub mod link;
pub mod listen;
pub mod pipeline;
pub mod questions;
pub mod router;
mod run;
pub mod settings;
mod shared;
pub mod state;
pub mod telemetry;
mod upstream;
pub mod warming;
mod worker;

pub use listen::{Gateway, GatewayOptions, Running};
pub use run::{RunningGateway, StartError, run};
pub use shared::{Shared, Stats, Switches};
pub use upstream::{Resolver, Resolving, SystemResolver};
