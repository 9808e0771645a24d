use super::*;
use Dialect::{MySql, Postgres, Sqlite};

/// An effect in a line: `+ index a.i on a.t`.
fn shown(dialect: Dialect, statement: &str) -> String {
    let effects = effects(dialect, statement);
    if effects.is_empty() {
        return "-".to_owned();
    }
    effects.iter().map(shown_one).collect::<Vec<_>>().join(", ")
}

fn shown_one(effect: &Effect) -> String {
    let name = |name: &Name| match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.clone(),
    };
    let object = match &effect.object {
        Object::Table(table) => format!("table {}", name(table)),
        Object::Index { name: index, table: Some(table) } => {
            format!("index {} on {}", name(index), name(table))
        }
        Object::Index { name: index, table: None } => format!("index {}", name(index)),
        Object::Column { table, column } => format!("column {}.{column}", name(table)),
        Object::Constraint { table, name: constraint } => {
            format!("constraint {constraint} on {}", name(table))
        }
        Object::Trigger { name: trigger } => format!("trigger {}", name(trigger)),
        Object::Routine { name: routine } => format!("routine {}", name(routine)),
        Object::Schema(schema) => format!("schema {schema}"),
        Object::Database(database) => format!("database {database}"),
        Object::EnumLabel { kind, label } => format!("label {label} of {}", name(kind)),
    };
    format!("{} {object}", if effect.appears { "+" } else { "gone:" })
}

fn check(dialect: Dialect, cases: &[(&str, &str)]) {
    for (statement, expected) in cases {
        assert_eq!(shown(dialect, statement), *expected, "{statement}");
    }
}

#[test]
fn postgres_effects() {
    check(
        Postgres,
        &[
            ("CREATE TABLE IF NOT EXISTS App.\"Users\" (id int)", "+ table app.Users"),
            ("CREATE UNLOGGED TABLE t (a int)", "+ table t"),
            ("CREATE TEMP TABLE t (a int)", "-"),
            ("CREATE OR REPLACE VIEW v AS SELECT 1", "-"),
            ("CREATE MATERIALIZED VIEW IF NOT EXISTS v AS SELECT 1", "+ table v"),
            (
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY s.t USING gin (a)",
                "+ index s.i on s.t",
            ),
            ("CREATE INDEX ON t (a)", "-"),
            ("DROP INDEX CONCURRENTLY IF EXISTS s.i CASCADE", "gone: index s.i"),
            ("DROP TABLE a, b.c CASCADE", "gone: table b.c, gone: table a"),
            ("ALTER TABLE ONLY t ADD COLUMN IF NOT EXISTS \"A\" int", "+ column t.A"),
            ("ALTER TABLE t ADD a int DEFAULT f(1, 2), ADD b int", "+ column t.a, + column t.b"),
            ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a int, DROP b", "gone: column t.b"),
            ("ALTER TABLE t ADD COLUMN IF NOT EXISTS a int, ADD COLUMN IF NOT EXISTS b int", "-"),
            ("ALTER TABLE t ALTER a SET NOT NULL, DROP CONSTRAINT IF EXISTS c", "-"),
            ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID", "+ constraint c on t"),
            ("ALTER TABLE t ADD UNIQUE (a)", "-"),
            ("ALTER TABLE s.t RENAME TO u", "+ table s.u"),
            ("ALTER TABLE t RENAME a TO b", "+ column t.b"),
            ("ALTER TABLE t RENAME COLUMN a TO b", "+ column t.b"),
            ("ALTER TABLE t RENAME CONSTRAINT a TO b", "+ constraint b on t"),
            ("ALTER TABLE t ATTACH PARTITION p DEFAULT", "-"),
            ("ALTER INDEX s.i RENAME TO j", "+ index s.j"),
            ("ALTER TYPE mood ADD VALUE 'so so' AFTER 'sad'", "+ label so so of mood"),
            ("CREATE SCHEMA IF NOT EXISTS s", "+ schema s"),
            ("CREATE DATABASE d", "+ database d"),
            ("DROP DATABASE d", "gone: database d"),
            ("CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()", "-"),
            ("CREATE FUNCTION f() RETURNS int RETURN 1", "-"),
            ("UPDATE t SET a = 1", "-"),
        ],
    );
}

#[test]
fn mysql_effects() {
    check(
        MySql,
        &[
            ("/*!50001 CREATE TABLE */ `d`.`A``b` (x INT)", "+ table d.A`b"),
            ("CREATE DEFINER=`root`@`%` SQL SECURITY DEFINER VIEW v AS SELECT 1", "+ table v"),
            ("CREATE TEMPORARY TABLE t (a INT)", "-"),
            ("CREATE FULLTEXT INDEX i ON t (a)", "+ index i on t"),
            ("CREATE INDEX i USING BTREE ON t (a)", "+ index i on t"),
            ("DROP INDEX i ON t", "gone: index i on t"),
            ("DROP TABLE IF EXISTS a, b", "gone: table b, gone: table a"),
            ("ALTER TABLE T ADD COLUMN (a INT, b INT), ENGINE=InnoDB", "+ column T.a"),
            ("ALTER TABLE t MODIFY a BIGINT, ADD UNIQUE KEY u (a)", "+ index u on t"),
            ("ALTER TABLE t ADD INDEX IF NOT EXISTS i (a)", "+ index i on t"),
            ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (b)", "+ constraint f on t"),
            ("ALTER TABLE t ADD CONSTRAINT p PRIMARY KEY (a)", "+ constraint PRIMARY on t"),
            ("ALTER TABLE t DROP FOREIGN KEY f", "gone: constraint f on t"),
            ("ALTER TABLE t DROP PRIMARY KEY", "gone: constraint PRIMARY on t"),
            ("ALTER TABLE t DROP KEY i", "gone: index i on t"),
            ("ALTER TABLE t CHANGE a b INT", "+ column t.b"),
            ("ALTER TABLE t CHANGE COLUMN a a BIGINT", "-"),
            ("ALTER TABLE t MODIFY a BIGINT", "-"),
            ("ALTER TABLE t RENAME u", "+ table u"),
            ("ALTER TABLE t RENAME INDEX i TO j", "+ index j on t"),
            ("RENAME TABLE a TO a_old, a_new TO a", "+ table a_old"),
            ("RENAME TABLE a TO tmp, b TO a, tmp TO b", "-"),
            (
                "CREATE DEFINER=root@localhost TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
                "+ trigger g",
            ),
            ("DROP TRIGGER IF EXISTS d.g", "gone: trigger d.g"),
            ("CREATE PROCEDURE p() SELECT 1", "+ routine p"),
            ("DROP FUNCTION IF EXISTS f", "gone: routine f"),
            ("CREATE DATABASE /*!32312 IF NOT EXISTS*/ d", "+ schema d"),
            ("INSERT INTO t VALUES (1)", "-"),
        ],
    );
}

#[test]
fn sqlite_effects() {
    check(
        Sqlite,
        &[
            ("CREATE TABLE [New Users] (id INTEGER)", "+ table New Users"),
            ("CREATE VIRTUAL TABLE f USING fts5(a)", "+ table f"),
            ("ALTER TABLE 'old' RENAME TO \"new\"", "+ table new"),
            ("CREATE INDEX i ON t(a)", "+ index i on t"),
            ("DROP TRIGGER t", "gone: trigger t"),
        ],
    );
}
