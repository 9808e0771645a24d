//! Real servers, scratch databases, faults and the reference store for dunlin's tests.
//!
//! Everything here is for tests: it panics with a sentence where a library would return an error.

pub mod conformance;
pub mod fault;
pub mod memory;
pub mod private;
pub mod process;
pub mod proxy;
pub mod scratch;
pub mod server;

pub use scratch::Scratch;
pub use server::Kind;

#[cfg(test)]
mod engine_tests;
