//! The MongoDB backend of dunlin.
