//! The SQL backend of dunlin: PostgreSQL, MySQL, MariaDB and SQLite.

mod alone;
mod conn;
mod connect;
pub mod dialect;
mod error;
mod examine;
mod history;
mod lock;
mod look;
pub mod op;
mod keys;
mod session;
mod store;
mod tables;
mod transaction;

pub use dialect::Dialect;
pub use op::Op;
pub use store::Store;
