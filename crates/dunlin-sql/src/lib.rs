//! The SQL backend of dunlin: PostgreSQL, MySQL, MariaDB and SQLite.

pub mod dialect;
mod lex;
mod marker;
pub mod op;
mod split;

pub use dialect::Dialect;
pub use op::Op;
