//! Connections to upstreams: pools of each thread, made anew through the guard.

mod connect;
mod http1;
mod pool;
mod resolve;
mod send;
mod tls;

pub(crate) use connect::ConnectError;
pub(crate) use pool::{Lease, Pools};
pub use resolve::{Resolver, Resolving, SystemResolver};
pub(crate) use send::{SendError, Sent, send};
pub(crate) use tls::TlsConnectors;
