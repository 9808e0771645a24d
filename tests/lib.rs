//! The test package: everything is in the one test binary `it`.
