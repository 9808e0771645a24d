use dunlin_core::{AnyOp, SourceMap};

use super::*;
use crate::dialect::Dialect::{MySql, Postgres, Sqlite};

mod corpus;

fn native(dialect: Dialect, file: &str) -> Native {
    let mut map = SourceMap::default();
    let source = map.add("a.sql", file);
    let native = read(dialect, &source, None);
    points_at_its_text(&native, &source);
    native
}

/// Checks that every span of a file without a second half holds what it is said to hold.
fn points_at_its_text(native: &Native, source: &Source) {
    for section in &native.sections {
        for statement in own(&section.op).statements() {
            assert_eq!(statement.span.map(|span| source.slice(span)), Some(&*statement.text));
        }
    }
}

fn own(op: &AnyOp) -> &Op {
    op.own().unwrap()
}

/// A file in lines: each section with its statements, and the way back.
fn shown(native: &Native) -> Vec<String> {
    let statements =
        |op: &AnyOp| own(op).statements().map(crate::op::Statement::canonical).collect::<Vec<_>>();
    let line = |section: &Section| {
        let undo = match &section.undo {
            Undo::Op(op) => statements(op).join("; "),
            Undo::Nothing { reason } => format!("nothing ({reason})"),
            Undo::Irreversible { reason } => format!("irreversible ({reason})"),
            Undo::Unwritten => "unwritten".to_owned(),
        };
        format!("{}: {} <- {undo}", section.phase, statements(&section.op).join("; "))
    };
    native.sections.iter().map(line).collect()
}

fn clean(dialect: Dialect, file: &str) -> Vec<String> {
    let native = native(dialect, file);
    assert_eq!(native.diagnostics, []);
    shown(&native)
}

fn codes(file: &str) -> Vec<&'static str> {
    native(Sqlite, file).diagnostics.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_file_without_markers_is_all_up() {
    assert_eq!(clean(Postgres, "CREATE TABLE a (b int)"), ["expand: create table a(b int) <- unwritten"]);
    assert_eq!(clean(Postgres, ""), ["expand:  <- unwritten"]);
    assert_eq!(clean(Postgres, "\u{feff}-- nothing yet\r\n"), ["expand:  <- unwritten"]);
}

#[test]
fn sections_come_in_order_of_phase() {
    let file = "-- What it does.\n-- dunlin: no-transaction\n\n-- Contract\nDROP TABLE a;\n-- Contract Down\nCREATE TABLE a (b);\n-- verify\nSELECT 1 FROM a WHERE b IS NULL\n-- Up\nCREATE TABLE c (d);\n-- DOWN:\nDROP TABLE c;";
    assert_eq!(
        clean(Sqlite, file),
        [
            "expand: create table c(d) <- drop table c",
            "verify: select 1 from a where b is null <- nothing (looks only)",
            "contract: drop table a <- create table a(b)",
        ]
    );
    assert!(own(&native(Sqlite, file).sections[0].op).units[0].alone.is_some());
}

#[test]
fn contract_without_a_way_back_has_none() {
    assert_eq!(
        clean(Sqlite, "-- Up\n-- Contract\nDROP TABLE a"),
        ["expand:  <- unwritten", "contract: drop table a <- unwritten"]
    );
    assert_eq!(
        clean(Sqlite, "-- Contract\n-- dunlin: irreversible: archived elsewhere\nDROP TABLE a"),
        ["contract: drop table a <- irreversible (archived elsewhere)"]
    );
}

#[test]
fn markers_of_other_tools_are_understood() {
    let expected = ["expand: create table a(b) <- drop table a"];
    let files = [
        "-- migrate:up\nCREATE TABLE a (b);\n\n-- migrate:down\nDROP TABLE a;\n",
        "-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE a (b);\n-- +goose StatementEnd\n\n-- +goose Down\nDROP TABLE a;\n",
        "-- +migrate Up\nCREATE TABLE a (b);\n-- +migrate Down\nDROP TABLE a;\n",
        "-- Up Migration\nCREATE TABLE a (b);\n\n-- Down Migration\nDROP TABLE a",
    ];
    for file in files {
        assert_eq!(clean(Sqlite, file), expected, "{file}");
    }
}

#[test]
fn no_transaction_is_heard_in_every_tongue() {
    let files = [
        "-- dunlin: no-transaction\nSELECT 1",
        "-- Up\n-- dunlin: no-transaction\nSELECT 1",
        "-- migrate:up transaction:false\nSELECT 1",
        "-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1",
        "-- +migrate Up notransaction\nSELECT 1",
        "-- no-transaction\nSELECT 1",
        "-- Up\nSELECT (\n -- dunlin: no-transaction\n 1)",
    ];
    for file in files {
        let native = native(Postgres, file);
        assert_eq!(native.diagnostics, []);
        assert!(own(&native.sections[0].op).units[0].alone.is_some(), "{file}");
    }
}

#[test]
fn an_empty_way_back_is_unwritten_unless_the_file_says_why() {
    assert_eq!(clean(Sqlite, "-- Up\nSELECT 1;\n-- Down\n-- nothing"), ["expand: select 1 <- unwritten"]);
    assert_eq!(
        clean(Sqlite, "-- Up\nSELECT 1;\n-- Down\n-- dunlin: no-op: a cache fills itself"),
        ["expand: select 1 <- nothing (a cache fills itself)"]
    );
    for file in [
        "-- dunlin: irreversible: rows are gone\nSELECT 1",
        "-- dunlin: irreversible: rows are gone\n-- Up\nSELECT 1;\n-- Down\n",
        "-- Up\n-- dunlin: irreversible: rows are gone\nSELECT 1",
        "-- Up\nSELECT 1;\n-- Down\n-- dunlin: irreversible: rows are gone",
    ] {
        assert_eq!(clean(Sqlite, file), ["expand: select 1 <- irreversible (rows are gone)"]);
    }
}

#[test]
fn a_pair_is_one_migration() {
    let both = |up: &str, down: &str| {
        let mut map = SourceMap::default();
        let (up, down) = (map.add("a.up.sql", up), map.add("a.down.sql", down));
        (read(Sqlite, &up, Some(&down)), down.id)
    };
    let pair = |up: &str, down: &str| both(up, down).0;
    let (native, down) = both("CREATE TABLE a (b);", "DROP TABLE a;");
    assert_eq!(shown(&native), ["expand: create table a(b) <- drop table a"]);
    let Undo::Op(op) = &native.sections[0].undo else { panic!("no way back") };
    assert_eq!(own(op).units[0].statements[0].span.map(|span| span.file), Some(down));

    assert_eq!(shown(&pair("SELECT 1", "-- Down\nSELECT 2")), ["expand: select 1 <- select 2"]);
    assert_eq!(shown(&pair("SELECT 1", "")), ["expand: select 1 <- unwritten"]);
    assert_eq!(
        shown(&pair("SELECT 1", "-- dunlin: no-op: x\n-- Down\n")),
        ["expand: select 1 <- nothing (x)"]
    );
    assert_eq!(pair("-- Up\nSELECT 1\n-- Down\nSELECT 2", "").diagnostics[0].code, "section-in-wrong-file");
    assert_eq!(pair("SELECT 1", "-- Up\nSELECT 2").diagnostics[0].code, "section-in-wrong-file");
}

#[test]
fn sections_that_make_no_sense_are_reported() {
    assert_eq!(codes("SELECT 1;\n-- Down\nSELECT 2"), ["text-before-marker", "missing-section"]);
    assert_eq!(codes("-- Up\nSELECT 1;\n-- Up\nSELECT 2"), ["duplicate-section"]);
    assert_eq!(codes("-- Contract Down\nSELECT 2"), ["missing-section"]);
    assert_eq!(codes("-- +goose Up\n-- +goose StatementEnd\n"), ["unknown-marker"]);
    assert_eq!(codes("-- Verify\nDELETE FROM a"), ["not-a-query"]);
    assert_eq!(codes("-- migrate:upp\nSELECT 1"), ["unknown-marker"]);
}

#[test]
fn directives_that_make_no_sense_are_reported() {
    assert_eq!(codes("-- dunlin: irreversible\nSELECT 1"), ["missing-reason"]);
    assert_eq!(codes("-- dunlin: no-op: why\nSELECT 1"), ["misplaced-directive"]);
    assert_eq!(codes("-- Up\n-- Down\n-- dunlin: no-op: why\nSELECT 1"), ["contradiction"]);
    assert_eq!(codes("-- dunlin: foreign-keys: of\nSELECT 1"), ["bad-directive"]);
    let native = native(Postgres, "-- dunlin: no-transction\n-- dunlin: foreign-keys: off\nSELECT 1");
    let codes: Vec<&str> = native.diagnostics.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["unknown-directive", "misplaced-directive"]);
    assert_eq!(native.diagnostics[0].help.as_deref(), Some("did you mean `no-transaction`?"));
}

#[test]
fn all_faults_are_reported_at_once_in_their_order() {
    let file = "-- dunlin: nonsense\n\\i x\nSELECT 1;\n-- Up\nROLLBACK;\nSELECT 'a";
    let native = native(Postgres, file);
    let codes: Vec<&str> = native.diagnostics.iter().map(|finding| finding.code).collect();
    let expected = [
        "unknown-directive",
        "client-command",
        "text-before-marker",
        "rollback-in-migration",
        "unterminated-string",
    ];
    assert_eq!(codes, expected);
    assert!(native.diagnostics.iter().all(|finding| finding.span().is_some() && finding.help.is_some()));
}
