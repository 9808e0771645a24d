//! The MongoDB backend of dunlin.
//!
//! Half of it is pure: [`Mongo`] reads files and `.toml` steps into an [`Op`], a list of command documents. The other
//! half runs them: a lease in the database itself is the migration lock, one fenced document takes every write of the
//! history, and each command is run so that a run that is cut off can be continued without asking anybody.

mod apart;
mod archive;
mod backend;
mod blocker;
pub mod change;
pub mod check;
mod chunk;
mod command;
mod connect;
mod error;
mod examine;
mod extended;
mod fence;
mod fill;
mod follow;
mod foresee;
mod history;
mod lock;
pub mod moves;
pub mod op;
mod patience;
mod read;
mod same;
mod script;
mod session;
mod store;
mod strain;
mod unique;
mod usage;
mod verify;

pub use backend::Mongo;
pub use op::{Command, Op};
