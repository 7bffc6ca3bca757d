//! The admin API as the console calls it: JSON, problems as errors, `ETag` and `If-Match`, the CSRF header.
//!
//! Paths are relative to `/api/v1`. Nothing here knows a resource: pages name paths and contract types.

mod client;

pub use client::{
    Tagged, delete, delete_reply, get, get_tagged, on_signed_out, post, post_tagged, put, put_tagged, send,
    version_tag,
};
