//! The SQL backend of dunlin: PostgreSQL, MySQL, MariaDB and SQLite.

pub mod dialect;
pub mod op;

pub use dialect::Dialect;
pub use op::Op;
