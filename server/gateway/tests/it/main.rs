//! The data path through its front door: a real gateway on a real socket, sample upstreams behind it.

mod forwarding;
mod framing;
mod support;
