//! The dunlin command line.
