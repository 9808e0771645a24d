//! The one test binary: conformance, crashes, properties, and the command line.

mod architecture;
mod cli;
mod conformance;
mod example;
mod follow;
mod mongo;
mod readme;
mod redis;
mod sql;
mod steer;
mod trials;
