//! Connections to upstreams: pools of each thread, made anew through the guard.

mod arriving;
mod breaker;
mod connect;
mod http1;
mod outgoing;
mod pool;
mod resolve;
mod send;
mod timer;
mod tls;

pub(crate) use arriving::Arriving;
pub use breaker::{Breaker, Record as BreakerRecord};
pub(crate) use connect::ConnectError;
pub(crate) use outgoing::Outgoing;
pub(crate) use pool::Pools;
pub use resolve::{Resolver, Resolving, SystemResolver};
pub(crate) use send::{SendError, Sent, send};
pub(crate) use tls::TlsConnectors;
