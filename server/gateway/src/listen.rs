//! Client connections: listeners of each thread, the protocol of each connection, and watching over them.

mod connection;
mod gateway;
mod http1;
mod linger;
mod protocol;
mod status;
mod stream;
mod watch;

pub(crate) use connection::Busy;
pub use connection::Connection;
pub use gateway::{Gateway, GatewayOptions, Running};
pub use http1::Violation;
pub(crate) use http1::{Http1Body, Upgraded};
