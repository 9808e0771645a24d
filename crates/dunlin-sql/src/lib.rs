//! The SQL backend of dunlin: PostgreSQL, MySQL, MariaDB and SQLite.
//!
//! Two halves that meet in [`op`]: text becomes ops (`split`, `read`, `decode`, `units`, `effect`), and sessions run
//! them (`session`, `transaction`, `alone`).

mod alone;
mod archive;
mod backend;
mod blocker;
mod bulk;
mod canonical;
mod change;
mod chunk;
mod classify;
mod clause;
mod conn;
mod connect;
mod courtesy;
mod cursor;
mod declared;
pub mod decode;
pub mod dialect;
mod directive;
mod effect;
mod error;
pub mod evolve;
mod examine;
mod history;
mod inspect;
mod keys;
mod keyset;
mod lex;
mod light;
mod lock;
mod look;
mod marker;
pub mod moves;
pub mod none;
pub mod op;
mod preview;
mod query;
pub mod read;
mod rebuild;
mod rewrite;
mod rollback;
pub mod same;
pub mod script;
mod send;
mod session;
mod settings;
mod split;
mod store;
mod strain;
mod survey;
mod sync;
mod tables;
mod text;
mod transaction;
mod units;
mod verify;
mod write;

pub use backend::Sql;
pub use decode::decode;
pub use dialect::Dialect;
pub use op::Op;
pub use read::read;
pub use script::script_at;
pub use store::Store;
