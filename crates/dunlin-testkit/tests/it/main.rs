//! The test kit does what tests will rely on.

mod fault;
mod private;
mod process;
mod proxy;
mod scratch;
