//! Client connections: listeners of each thread, the protocol of each connection, and watching over them.

mod connection;
pub mod framing;
mod gateway;
mod linger;
mod protocol;
mod stand_in;
mod status;
mod stream;
mod watch;

pub(crate) use connection::Busy;
pub use connection::Connection;
pub use gateway::{Gateway, GatewayOptions, Running};
