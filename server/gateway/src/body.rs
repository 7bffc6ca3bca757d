//! Bodies: what clients send towards upstreams, what goes back to clients. Neither is buffered on its way.

mod request;
mod response;
mod timer;

pub(crate) use request::{BodyFault, BodyWatch, ClientStream, RequestBody};
pub use response::Body;
pub(crate) use response::{BodyError, Origin, UpstreamBody};
