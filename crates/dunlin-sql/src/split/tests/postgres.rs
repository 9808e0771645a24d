use super::*;

#[test]
fn quoted_semicolons_end_nothing() {
    each_is_one(
        Postgres,
        &[
            "SELECT ';', \"a;b\", 'it''s;'",
            r"SELECT E'it\'s;', 'c:\', E'\\'",
            "SELECT $$a;b$$, $x$ $$;$$ $y$ ; $y$ $x$",
            "SELECT 1 /* a; /* b; */ c; */ + 1 -- d;\n + 2",
            "SELECT data ? 'a', data ?| array['b;'], data ?& $1, data #>> '{a;b}', a @? '$.x'",
            "SELECT U&'d\\0061t;' , U&\"x;\", B'1', X'1F', N'a;'",
            "SELECT a$b$c, 'x;'",
        ],
    );
}

#[test]
fn bodies_end_with_their_statement() {
    each_is_one(
        Postgres,
        &[
            "DO $$ BEGIN PERFORM 1; END $$",
            "DO LANGUAGE plpgsql $body$ DECLARE x text := $q$;$q$; BEGIN NULL; END; $body$",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT ''a;'';'",
            "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql\nBEGIN ATOMIC\n INSERT INTO t VALUES (a);\n SELECT CASE WHEN a > 0 THEN CASE WHEN a > 1 THEN 2 END ELSE 3 END;\nEND",
            "CREATE OR REPLACE PROCEDURE p() begin atomic SELECT new.end FROM new; SELECT (CASE a WHEN 1 THEN 2 END); END",
            "CREATE FUNCTION f() RETURNS int RETURN CASE WHEN true THEN 1 END",
            "CREATE RULE r AS ON INSERT TO v DO INSTEAD (INSERT INTO a VALUES (1); INSERT INTO b VALUES (2))",
            "CREATE TABLE begin_atomic (function int, begin int, atomic int)",
        ],
    );
}

#[test]
fn transactions_are_not_bodies() {
    let text = "BEGIN; CREATE TABLE a (b int); END; BEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT";
    assert_eq!(
        statements(Postgres, text),
        ["BEGIN", "CREATE TABLE a (b int)", "END", "BEGIN ISOLATION LEVEL SERIALIZABLE", "COMMIT"]
    );
}

#[test]
fn copy_data_go_to_the_line_that_ends_them() {
    let text = "COPY public.users (id, name) FROM stdin; -- rows\n1\t'it;\n2\t\\N\n\\.\n\nCOPY t FROM STDIN WITH (FORMAT csv);\r\n\\.\r\nSELECT 1;";
    assert_eq!(
        statements(Postgres, text),
        ["COPY public.users (id, name) FROM stdin", "COPY t FROM STDIN WITH (FORMAT csv)", "SELECT 1"]
    );
    let split = split(Postgres, text, Markers::Seen);
    let data = split.pieces.iter().filter(|piece| piece.kind == PieceKind::Copy);
    let data: Vec<&str> = data.map(|piece| &text[piece.range.clone()]).collect();
    assert_eq!(data, ["1\t'it;\n2\t\\N\n", ""]);
}

#[test]
fn only_copy_from_stdin_has_data() {
    let text = "COPY t FROM '/tmp/stdin';\nCOPY (SELECT a FROM stdin) TO STDOUT;\nSELECT 1;";
    assert_eq!(statements(Postgres, text).len(), 3);
}

#[test]
fn markers_and_comments_stand_between_statements() {
    let text = "-- Up\n/* one */ SELECT 1 /* last */ ; -- same line\nSELECT 2 -- no end\n-- Down\nSELECT 3";
    assert_eq!(statements(Postgres, text), ["SELECT 1", "SELECT 2", "SELECT 3"]);
    let quoted = "SELECT '\n-- Down\n', $$\n-- Down\n$$ /*\n-- Down\n*/; CREATE TABLE t (\n-- down\na int)";
    assert_eq!(statements(Postgres, quoted).len(), 2);
}

#[test]
fn a_goose_block_is_one_statement() {
    let text = "-- +goose Up\n-- +goose StatementBegin\n-- why\nSELECT 1;\nSELECT 'x;';\n-- +goose StatementEnd\nSELECT 2;";
    assert_eq!(statements(Postgres, text), ["SELECT 1;\nSELECT 'x;'", "SELECT 2"]);
    assert_eq!(
        faults(Postgres, "-- +goose StatementBegin\nSELECT 1;"),
        [("unterminated-block", "-- +goose StatementBegin")]
    );
}

#[test]
fn blanks_and_empty_statements_are_nothing() {
    for text in ["", "\u{feff}", ";", " ;; \r\n;", "-- a\r\n", "/* a */", "\u{feff}-- a\n;"] {
        assert!(statements(Postgres, text).is_empty(), "{text:?}");
    }
    assert_eq!(statements(Postgres, "\u{feff}SELECT 1;\r\nSELECT 2;\r\n"), ["SELECT 1", "SELECT 2"]);
}
