//! What crosses a process boundary: REST bodies, the journal, parts, call records, problems.
//!
//! Both planes and the console depend on this crate; it depends on no other member.

pub mod calls;
pub mod cdn_request;
pub mod definition;
pub mod environment;
pub mod event_mapping;
pub mod event_streams;
pub mod guard;
pub mod histogram;
pub mod ids;
pub mod journal;
pub mod link;
pub mod part;
pub mod path;
pub mod problem;
pub mod questions;
pub mod rest;
pub mod rollup;
pub mod warming;
