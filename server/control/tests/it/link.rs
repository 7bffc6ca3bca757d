//! The gateways' link over real connections, with gateways that speak the protocol and serve nothing.

mod cache;
mod calls;
mod cdn;
mod changed;
mod enrolment;
mod inside;
mod progress;
mod questions;
mod removal;
mod restore;
mod simulated;
mod stream;
mod tls;
mod warmings;
