use super::*;
use Dialect::{MySql, Postgres, Sqlite};

fn are_alone(dialect: Dialect, statements: &[&str]) {
    for statement in statements {
        let class = classify(dialect, statement);
        assert!(matches!(class, Class::Alone(_)), "{statement}: {class:?}");
    }
}

fn are(dialect: Dialect, class: &Class, statements: &[&str]) {
    for statement in statements {
        assert_eq!(&classify(dialect, statement), class, "{statement}");
    }
}

#[test]
fn postgres_statements_that_refuse_a_transaction_are_known() {
    are_alone(
        Postgres,
        &[
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "create unique index concurrently if not exists i on t (a)",
            "DROP INDEX CONCURRENTLY IF EXISTS i",
            "REINDEX INDEX CONCURRENTLY i",
            "REINDEX (VERBOSE, CONCURRENTLY) TABLE t",
            "REINDEX (VERBOSE) DATABASE d",
            "REINDEX SCHEMA s",
            "VACUUM (ANALYZE) t",
            "CREATE DATABASE d",
            "DROP DATABASE IF EXISTS d",
            "CREATE TABLESPACE x LOCATION '/x'",
            "ALTER SYSTEM SET a = 1",
            "ALTER DATABASE d SET TABLESPACE x",
            "CLUSTER",
            "CLUSTER VERBOSE",
            "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (create_slot = true)",
            "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
            "DROP SUBSCRIPTION s",
            "COMMIT PREPARED 'x'",
            "DISCARD ALL",
        ],
    );
    are(
        Postgres,
        &Class::Ordinary,
        &[
            "CREATE INDEX concurrently_i ON t (a)",
            "CREATE TABLE vacuum (a int)",
            "REINDEX TABLE t",
            "CLUSTER t USING i",
            "CLUSTER (VERBOSE) t",
            "ALTER TABLE t DETACH PARTITION p FINALIZE",
            "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = off)",
            "ALTER DATABASE d SET search_path = x",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "ALTER TYPE t RENAME VALUE 'a' TO 'b'",
            "CALL p()",
            "DO $$ BEGIN END $$",
            "ROLLBACK TO SAVEPOINT a",
            "ROLLBACK WORK TO a",
            "SAVEPOINT a",
            "PREPARE x AS SELECT 1",
            "(SELECT 1)",
        ],
    );
}

#[test]
fn transactions_of_the_file_are_known() {
    let plain = Class::Begin { has_modes: false };
    are(Postgres, &plain, &["BEGIN", "begin work", "START TRANSACTION", "BEGIN TRANSACTION READ WRITE"]);
    are(Postgres, &Class::Begin { has_modes: true }, &["BEGIN ISOLATION LEVEL SERIALIZABLE"]);
    are(Postgres, &Class::Commit, &["COMMIT", "END", "COMMIT AND CHAIN"]);
    are(Postgres, &Class::Rollback, &["ROLLBACK", "ABORT"]);
    are(Postgres, &Class::Prepare, &["PREPARE TRANSACTION 'x'"]);
    are(Sqlite, &plain, &["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE TRANSACTION"]);
    are(Sqlite, &Class::Commit, &["END TRANSACTION", "COMMIT"]);
    are(
        MySql,
        &plain,
        &["BEGIN", "START TRANSACTION", "SET autocommit=0", "SET @@session.autocommit := OFF"],
    );
    are(MySql, &Class::Commit, &["COMMIT", "/*!40101 SET AUTOCOMMIT = 1 */"]);
}

#[test]
fn a_new_enum_label_is_known_by_its_text() {
    let label = Class::EnumLabel("it's".to_owned());
    are(Postgres, &label, &["ALTER TYPE s.mood ADD VALUE IF NOT EXISTS 'it''s' BEFORE 'x'"]);
}

#[test]
fn mysql_statements_that_commit_are_known() {
    are_alone(
        MySql,
        &[
            "CREATE TABLE t (a INT)",
            "/*!50001 CREATE VIEW v AS SELECT 1 */",
            "/*!40000 ALTER TABLE t DISABLE KEYS */",
            "DROP TABLE IF EXISTS t",
            "RENAME TABLE a TO b",
            "TRUNCATE t",
            "GRANT ALL ON *.* TO a",
            "LOCK INSTANCE FOR BACKUP",
            "ANALYZE TABLE t",
            "OPTIMIZE LOCAL TABLE t",
            "LOAD INDEX INTO CACHE t",
            "SET PASSWORD = 'x'",
            "START SLAVE",
            "CALL p()",
            "EXECUTE s",
            "BEGIN NOT ATOMIC SELECT 1; END",
            "SET STATEMENT max_statement_time=1 FOR ALTER TABLE t ADD a INT",
        ],
    );
    are(MySql, &Class::TableLock, &["LOCK TABLES t WRITE", "lock table t read", "UNLOCK TABLES"]);
    are(
        MySql,
        &Class::Ordinary,
        &[
            "INSERT INTO t VALUES (1)",
            "CREATE TEMPORARY TABLE t (a INT)",
            "DROP TEMPORARY TABLE t",
            "DROP PREPARE s",
            "LOAD DATA INFILE 'x' INTO TABLE t",
            "SET @a = 1",
            "SET @OLD_AUTOCOMMIT=@@AUTOCOMMIT, AUTOCOMMIT=0",
            "/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */",
            "ANALYZE SELECT 1",
            "PREPARE s FROM @a",
            "USE d",
        ],
    );
}

#[test]
fn sqlite_statements_that_do_nothing_in_a_transaction_are_known() {
    are_alone(
        Sqlite,
        &["VACUUM", "VACUUM INTO 'x'", "PRAGMA journal_mode=WAL", "ATTACH 'x' AS y", "DETACH y"],
    );
    are(Sqlite, &Class::ForeignKeys, &["PRAGMA foreign_keys = OFF", "pragma main.foreign_keys(0)"]);
    are(
        Sqlite,
        &Class::Ordinary,
        &[
            "PRAGMA foreign_key_check",
            "PRAGMA foreign_keys",
            "PRAGMA defer_foreign_keys=ON",
            "PRAGMA user_version = 3",
        ],
    );
}
