//! The Redis and Valkey backend of dunlin, single node and cluster.
//!
//! What dunlin remembers lives in one hash slot: `{dunlin}:history`, `{dunlin}:files`, `{dunlin}:journal` and
//! `{dunlin}:lock`. A command of a migration, its record and its journal line are written by one Lua script that checks
//! the fencing token first, so each command takes effect exactly once whatever is killed; [`Redis`] says which few
//! commands are the exception.

mod address;
mod apart;
mod atomic;
mod backend;
mod command;
mod commit;
mod connect;
mod decode;
mod directive;
mod error;
mod examine;
mod file;
mod history;
mod keys;
mod lines;
mod lock;
mod net;
pub mod op;
mod pattern;
mod place;
mod position;
mod quote;
mod refuse;
mod script;
mod session;
mod slot;
mod spread;
mod store;
mod verify;

pub use backend::Redis;
pub use op::{Command, Op};

#[cfg(test)]
mod tests;
