//! The suite that every backend passes, on real servers.

use dunlin_testkit::{Kind, conformance};

conformance!(postgres, Kind::Postgres);
conformance!(mysql, Kind::Mysql);
conformance!(sqlite, Kind::Sqlite);
