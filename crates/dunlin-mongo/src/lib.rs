//! The MongoDB backend of dunlin.

mod backend;
mod command;
mod extended;
mod fill;
pub mod op;
mod read;
mod script;

pub use backend::Mongo;
pub use op::{Command, Op};
