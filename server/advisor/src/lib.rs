//! What a cache would have done with calls that were made without it: pure functions over recorded calls.
//!
//! [`predict()`] plays calls to a cache of so many bytes that forgets after a time, by the bytes between two uses of the same
//! response and not by keeping any; [`Sampling`] looks at some of the responses and answers for all of them. [`risk`] says
//! what a trace tells against sharing what is stored. Nothing here reads or writes anything.

mod distance;
mod predict;
pub mod risk;
mod sample;

pub use predict::{Plan, Prediction, Request, predict};
pub use sample::Sampling;
