//! Real servers, scratch databases, faults and the reference store for dunlin tests.

pub mod memory;

#[cfg(test)]
mod engine_tests;
