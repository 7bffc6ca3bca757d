//! Sources of events that read a stream of a real server: nothing is lost, nothing is done twice, nothing blocks.

mod nats;
mod nats_operator;
mod nats_server;
mod redis;
mod redis_server;
mod support;
