use dunlin_core::Op as _;

use super::*;
use crate::op::Statement;
use Dialect::{MySql, Postgres, Sqlite};

/// The units of a script, a line each: its statements, and why it is alone.
fn shown(dialect: Dialect, text: &str) -> Vec<String> {
    let op = Op::script(dialect, text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let line = |unit: &Unit| {
        let statements: Vec<String> = unit.statements.iter().map(Statement::canonical).collect();
        let alone = unit.alone.as_deref().map(|reason| format!(" [{reason}]")).unwrap_or_default();
        format!("{}{alone}", statements.join("; "))
    };
    op.units.iter().map(line).collect()
}

fn codes(dialect: Dialect, text: &str) -> Vec<&'static str> {
    let text = Text { dialect, content: &text.into(), place: crate::text::Place::Nowhere };
    crate::script::read(text, Settings::default()).1.iter().map(|finding| finding.code).collect()
}

#[test]
fn one_transaction_holds_a_script_where_ddl_is_transactional() {
    for dialect in [Postgres, Sqlite] {
        assert_eq!(shown(dialect, "create table a (b int); insert into a values (1)").len(), 1);
    }
}

#[test]
fn what_refuses_a_transaction_is_taken_out_in_order() {
    assert_eq!(
        shown(Postgres, "CREATE TABLE a (b int); CREATE INDEX CONCURRENTLY i ON a (b); SELECT 1; SELECT 2"),
        [
            "create table a(b int)",
            "create index concurrently i on a(b) [CREATE INDEX CONCURRENTLY cannot run inside a transaction]",
            "select 1; select 2",
        ]
    );
}

#[test]
fn a_transaction_around_the_whole_file_is_the_one_we_open() {
    let text = "BEGIN; CREATE TABLE a (b int); SAVEPOINT s; ROLLBACK TO s; COMMIT;";
    assert_eq!(shown(Postgres, text), ["create table a(b int); savepoint s; rollback to s"]);
    assert_eq!(codes(Postgres, text), [""; 0]);
}

#[test]
fn transactions_of_the_file_are_boundaries() {
    let text = "SELECT 1; BEGIN; SELECT 2; COMMIT; SELECT 3";
    assert_eq!(shown(Postgres, text), ["select 1", "select 2", "select 3"]);
    assert_eq!(codes(Postgres, text), ["several-transactions", "several-transactions"]);
    assert_eq!(codes(Postgres, "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; END"), ["transaction-modes"]);
    assert_eq!(codes(Postgres, "BEGIN; SELECT 1; ROLLBACK"), ["rollback-in-migration"]);
    assert_eq!(codes(Postgres, "BEGIN; SELECT 1; PREPARE TRANSACTION 'x'"), ["prepared-transaction"]);
}

#[test]
fn no_transaction_runs_each_statement_alone_but_keeps_the_files_own_transactions() {
    let text = "-- dunlin: no-transaction\nSELECT 1; BEGIN; SELECT 2; SELECT 3; COMMIT; SELECT 4";
    assert_eq!(
        shown(Postgres, text),
        ["select 1 [no-transaction]", "select 2; select 3", "select 4 [no-transaction]"]
    );
}

#[test]
fn a_new_enum_label_is_alone_only_if_it_is_used() {
    let add = "ALTER TYPE mood ADD VALUE 'meh';";
    assert_eq!(shown(Postgres, &format!("{add} ALTER TYPE mood ADD VALUE 'so' AFTER 'meh'")).len(), 1);
    let used = shown(Postgres, &format!("SELECT 1; {add} INSERT INTO t VALUES ('meh')"));
    assert_eq!(used[1], "alter type mood add value 'meh' [a new label can be used only after a commit]");
    assert_eq!(used.len(), 3);
}

#[test]
fn mysql_ddl_is_alone_and_rows_share_a_transaction() {
    assert_eq!(
        shown(MySql, "CREATE TABLE a (b INT); INSERT INTO a VALUES (1); UPDATE a SET b = 2; DROP TABLE a"),
        [
            "create table a(b int) [MySQL commits around it]",
            "insert into a values(1); update a set b = 2",
            "drop table a [MySQL commits around it]",
        ]
    );
    let text =
        "SET AUTOCOMMIT = 0; START TRANSACTION; INSERT INTO a VALUES (1); COMMIT; INSERT INTO a VALUES (2)";
    assert_eq!(shown(MySql, text), ["insert into a values(1)", "insert into a values(2)"]);
}

#[test]
fn table_locks_are_left_out_and_said_to_be() {
    let text = "LOCK TABLES a WRITE; INSERT INTO a VALUES (1); UNLOCK TABLES; INSERT INTO b VALUES (1)";
    assert_eq!(shown(MySql, text), ["insert into a values(1)", "insert into b values(1)"]);
    assert_eq!(codes(MySql, text), ["table-lock"]);
}

#[test]
fn sqlite_keys_are_off_around_a_rebuild() {
    let keys = |text: &str| Op::script(Sqlite, text).map(|op| op.foreign_keys);
    let renamed =
        "CREATE TABLE n (a); INSERT INTO n SELECT a FROM T; DROP TABLE \"t\"; ALTER TABLE n RENAME TO t";
    let copied = "CREATE TABLE a_t (a); DROP TABLE t; CREATE TABLE t (a, b); INSERT INTO t (a) SELECT a FROM a_t; DROP TABLE a_t";
    let moved =
        "ALTER TABLE t RENAME TO old; CREATE TABLE t (a); INSERT INTO t SELECT * FROM old; DROP TABLE old";
    for text in [renamed, copied, moved] {
        assert_eq!(keys(text), Ok(ForeignKeys::Off), "{text}");
        assert_eq!(keys(&format!("-- dunlin: foreign-keys: on\n{text}")), Ok(ForeignKeys::On));
    }
    assert_eq!(keys("DROP TABLE a; CREATE TABLE b (c); ALTER TABLE b RENAME TO d"), Ok(ForeignKeys::On));
    assert_eq!(keys(&format!("PRAGMA foreign_keys=OFF; {renamed}")), Ok(ForeignKeys::AsWritten));
}

#[test]
fn sqlite_pragmas_run_outside_the_transaction_of_the_file() {
    let text = "PRAGMA foreign_keys=OFF; BEGIN; CREATE TABLE a (b); COMMIT; PRAGMA foreign_keys=ON;";
    let units = shown(Sqlite, text);
    assert_eq!(units.len(), 3);
    assert_eq!(units[1], "create table a(b)");
    assert_eq!(codes(Sqlite, text), [""; 0]);
    assert_eq!(shown(Sqlite, &format!("-- dunlin: foreign-keys: off\n{text}")), ["create table a(b)"]);
    assert_eq!(codes(Sqlite, &format!("-- dunlin: foreign-keys: on\n{text}"))[0], "contradiction");
}

#[test]
fn a_new_connection_can_be_set_up_again() {
    let text =
        "SET lock_timeout = '1s'; SELECT set_config('a.b', 'c', false); SET LOCAL x = 1; VACUUM; SELECT 1";
    let op = Op::script(Postgres, text).unwrap();
    assert_eq!(op.settings_before(1).count(), 2);
    assert_eq!(op.settings_before(0).count(), 0);
    let op =
        Op::script(MySql, "/*!40101 SET NAMES utf8 */; SET PASSWORD = 'x'; USE d; RESET MASTER").unwrap();
    assert_eq!(op.settings_before(9).count(), 2);
}

#[test]
fn copy_data_belong_to_their_statement_and_are_hashed() {
    let read = |text| Op::script(Postgres, text).unwrap();
    let op = read("COPY t FROM stdin;\n1\n\\.\nSELECT 1");
    assert_eq!(op.units[0].statements[0].copy_data.as_ref().map(ToString::to_string).as_deref(), Some("1\n"));
    assert_eq!(op.canonical(), "copy t from stdin;\n1\nselect 1;\n");
    assert_eq!(op.canonical(), read("COPY t FROM stdin;\r\n1\r\n\\.\r\nSELECT 1;").canonical());
    assert_eq!(op.summary(), "copy t from stdin … and 1 more");
}

#[test]
fn nothing_is_an_op_without_units() {
    assert!(Op::script(Postgres, "-- nothing\n;").unwrap().is_empty());
    assert!(Op::script(Postgres, "BEGIN; COMMIT;").unwrap().is_empty());
}
