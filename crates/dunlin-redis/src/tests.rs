//! Tests of what is read, and tests on real servers. The servers are those of `dev/servers up`.

mod cluster;
mod files;
mod kill;
mod locks;
mod server;
mod single;
mod support;
mod wire;
