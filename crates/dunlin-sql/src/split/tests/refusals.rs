use super::*;

#[test]
fn what_never_ends_is_shown_where_it_begins() {
    assert_eq!(faults(Postgres, "SELECT 1; SELECT 'a; SELECT 2;"), [("unterminated-string", "'")]);
    assert_eq!(faults(Postgres, "SELECT E'a\\'"), [("unterminated-string", "E'")]);
    assert_eq!(faults(Postgres, "DO $x$ BEGIN END $y$;"), [("unterminated-dollar-quote", "$x$")]);
    assert_eq!(faults(Postgres, "SELECT 1 /* /* */"), [("unterminated-comment", "/*")]);
    assert_eq!(faults(Postgres, "SELECT \"a"), [("unterminated-name", "\"")]);
    assert_eq!(faults(MySql, "SELECT `a;"), [("unterminated-name", "`")]);
    assert_eq!(faults(MySql, "/*!40101 SET a = 1;"), [("unterminated-comment", "/*!")]);
    assert_eq!(faults(Sqlite, "SELECT [a;"), [("unterminated-name", "[")]);
}

#[test]
fn a_body_without_its_end_is_shown_where_it_begins() {
    let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;\n-- Down\nDROP TABLE x;";
    assert_eq!(faults(Sqlite, trigger), [("unterminated-body", "BEGIN SELECT 1;")]);
    let program = "CREATE PROCEDURE p() BEGIN IF 1 THEN SELECT 1; END; SELECT 2;";
    assert_eq!(faults(MySql, program), [("unterminated-body", "BEGIN IF 1 THEN SELECT 1; END; SELECT 2;")]);
    let routine = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;";
    assert_eq!(faults(Postgres, routine), [("unterminated-body", "BEGIN ATOMIC SELECT 1;")]);
}

#[test]
fn copy_without_an_end_of_data_is_refused() {
    assert_eq!(faults(Postgres, "COPY t FROM stdin;\n1\n2\n"), [("unterminated-copy", "COPY t FROM stdin")]);
    assert_eq!(faults(Postgres, "COPY t FROM stdin"), [("unterminated-copy", "COPY t FROM stdin")]);
    assert_eq!(
        faults(Postgres, "COPY t FROM stdin; SELECT 1;\n1\n\\.\n"),
        [("text-before-data", "SELECT 1;")]
    );
}

#[test]
fn lines_for_client_programs_are_refused() {
    let cases = [
        (Postgres, "\\i other.sql", "\\i other.sql"),
        (Postgres, "SELECT 1;\n  \\set x 1\r\nSELECT 2;", "\\set x 1"),
        (Postgres, "SELECT 'DROP TABLE a' \\gexec\nSELECT 2;", "\\gexec"),
        (Postgres, "DELIMITER //\nSELECT 1;", "DELIMITER //"),
        (MySql, "source other.sql\nSELECT 1;", "source other.sql"),
        (MySql, "SELECT 1\\G\nSELECT 2;", "\\G"),
        (MySql, "\\. other.sql", "\\. other.sql"),
        (Sqlite, ".read other.sql\nSELECT 1;", ".read other.sql"),
        (Sqlite, "CREATE TABLE a (b)\nGO\nCREATE TABLE c (d)\ngo", "GO"),
        (Postgres, "CREATE TABLE a (b int)\n/\nCREATE TABLE c (d int)", "/"),
    ];
    for (dialect, text, line) in cases {
        let found = faults(dialect, text);
        assert_eq!(found.first(), Some(&("client-command", line)), "{text}");
    }
    let split = split(Postgres, "\\i other.sql", Markers::Seen);
    assert_eq!(split.faults[0].message, "`\\i` is a command of psql, not SQL");
}

#[test]
fn what_looks_like_a_client_line_but_is_sql_is_kept() {
    each_is_one(Postgres, &["SELECT a\n/\nb", "SELECT (\ngo\n)", "SELECT '\\i x'", "SELECT E'\\\\i'"]);
    each_is_one(Sqlite, &["SELECT a\n.b"]);
    assert_eq!(statements(Postgres, "\\restrict abc\nSELECT 1;\n\\unrestrict abc\n"), ["SELECT 1"]);
}

#[test]
fn a_nul_byte_is_shown() {
    assert_eq!(faults(Postgres, "SELECT\0 1"), [("nul-byte", "\0")]);
}

#[test]
fn a_delimiter_must_be_usable() {
    assert_eq!(faults(MySql, "DELIMITER\nSELECT 1;"), [("bad-delimiter", "DELIMITER")]);
}
