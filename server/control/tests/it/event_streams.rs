//! Sources of events that read a stream of a real server: nothing is lost, nothing is done twice, nothing blocks.

mod redis;
mod redis_server;
mod support;
