//! The data path through its front door: a real gateway on a real socket, sample upstreams behind it.

mod access;
mod cache;
mod forwarding;
mod framing;
mod support;
