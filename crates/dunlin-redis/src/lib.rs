//! The Redis and Valkey backend of dunlin, single node and cluster.
