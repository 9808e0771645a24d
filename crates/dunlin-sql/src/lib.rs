//! The SQL backend of dunlin: PostgreSQL, MySQL, MariaDB and SQLite.
//!
//! Text becomes an [`Op`] without a connection: `lex` knows the quotes and comments of each dialect, `split` where
//! statements end, `read` the sections of a file, `classify` what a statement means for transactions, `units` which
//! statements succeed or fail together, `effect` where to look whether one took effect, and `canonical` what is hashed.

mod canonical;
mod classify;
mod cursor;
pub mod decode;
pub mod dialect;
mod directive;
mod effect;
mod lex;
mod marker;
pub mod op;
mod query;
pub mod read;
mod rebuild;
pub mod script;
mod split;
mod text;
mod units;

pub use decode::decode;
pub use dialect::Dialect;
pub use op::Op;
pub use read::read;
pub use script::script_at;
