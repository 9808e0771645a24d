//! The suite that every backend passes, on real servers.

use dunlin_testkit::conformance;

conformance!(postgres, Postgres);
conformance!(mysql, Mysql);
conformance!(sqlite, Sqlite);
conformance!(mongo, Mongo);
conformance!(redis, Redis);
conformance!(redis_cluster, RedisCluster);
