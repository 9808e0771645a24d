//! The Redis and Valkey backend of dunlin, single node and cluster.
//!
//! What dunlin remembers lives in one hash slot: `{dunlin}:history`, `{dunlin}:files`, `{dunlin}:journal` and
//! `{dunlin}:lock`. A command of a migration, its record and its journal line are written by one Lua script that checks
//! the fencing token first, so each command takes effect exactly once whatever is killed; [`Redis`] says which few
//! commands are the exception.

mod across;
mod address;
mod align;
mod apart;
mod archive;
mod aside;
mod atomic;
mod backend;
mod before;
mod big;
mod change;
mod chunk;
mod command;
mod commit;
mod connect;
mod convert;
mod crew;
mod decode;
mod directive;
mod error;
mod examine;
mod fields;
mod file;
mod follow;
mod foresee;
mod hands;
mod history;
mod keys;
mod lines;
mod lock;
pub mod moves;
mod net;
pub mod op;
mod pairs;
mod pattern;
mod place;
mod position;
mod quote;
mod refuse;
mod room;
mod script;
mod session;
mod show;
mod size;
mod sliced;
mod slot;
mod spread;
mod store;
mod strain;
mod survey;
mod tally;
mod usage;
mod verify;
mod walk;
mod wire;

pub use backend::Redis;
pub use moves::{Look, Move};
pub use op::{Command, Op};
pub use pattern::Pattern;

#[cfg(test)]
mod tests;
