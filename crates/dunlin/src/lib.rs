//! One versioned change moves SQL tables, MongoDB documents and Redis keys together.
