use proptest::prelude::*;

use super::*;

/// Texts made of what matters to a splitter, so that a random one is worth reading.
fn sql() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "'",
        "\"",
        "`",
        "[",
        "]",
        "$$",
        "$a$",
        "$",
        "E'",
        "\\",
        "/*",
        "*/",
        "/*!50003 ",
        "/*M!",
        "/*+",
        "--",
        "-- ",
        "#",
        "\n",
        "\r\n",
        "\r",
        " ",
        ";",
        ";;",
        "//",
        "(",
        ")",
        "a",
        "é",
        "\u{feff}",
        "\0",
        "BEGIN ",
        "END ",
        "END",
        "ATOMIC ",
        "CASE ",
        "IF ",
        "LOOP ",
        "REPEAT ",
        "UNTIL ",
        "WHILE ",
        "DO ",
        "THEN ",
        "ELSE ",
        "CREATE TRIGGER t ",
        "CREATE FUNCTION f() ",
        "CREATE PROCEDURE p() ",
        "FOR EACH ROW ",
        "CREATE EVENT ",
        "COPY t FROM stdin;\n",
        "\\.\n",
        "\n\\i x\n",
        "\nDELIMITER //\n",
        "\nDELIMITER ;\n",
        "\nDELIMITER $$\n",
        "\n-- Up\n",
        "\n-- Down\n",
        "\n-- +goose StatementBegin\n",
        "\n-- +goose StatementEnd\n",
        "\nGO\n",
        "\n/\n",
        "-- dunlin: x\n",
        "DECLARE ",
        "HANDLER ",
        "FOR ",
        "RETURN ",
        ":",
        ".",
        "@",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat())
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![Postgres, MySql, Sqlite])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_joined_are_the_text(dialect in dialect(), text in sql()) {
        for markers in [Markers::Seen, Markers::Ignored] {
            let split = split(dialect, &text, markers);
            joined(&text, &split);
            for fault in &split.faults {
                prop_assert!(text.get(fault.range.clone()).is_some(), "{fault:?} in {text:?}");
            }
        }
    }

    #[test]
    fn any_text_at_all_is_taken_apart(dialect in dialect(), text in any::<String>()) {
        joined(&text, &split(dialect, &text, Markers::Seen));
    }

    #[test]
    fn a_statement_alone_is_one_statement(dialect in dialect(), text in sql()) {
        let whole = split(dialect, &text, Markers::Seen);
        // With faults, after a byte order mark, and after a delimiter was chosen, a statement means something only where it stands.
        let means_more = ["DELIMITER", "goose", "\u{feff}", "\n/"].iter().any(|word| text.contains(word));
        let is_clean = whole.faults.is_empty() && !means_more;
        for piece in whole.pieces.iter().filter(|piece| is_clean && piece.kind == PieceKind::Statement) {
            let statement = &text[piece.range.clone()];
            // To MySQL, `--` is a comment at the end of a text and two signs elsewhere.
            if statement.ends_with("--") {
                continue;
            }
            let alone = split(dialect, statement, Markers::Ignored);
            // At the start of a line it may look like a command of a client program.
            if !alone.faults.is_empty() {
                continue;
            }
            let found = alone.pieces.iter().filter(|piece| piece.kind == PieceKind::Statement).count();
            prop_assert_eq!(found, 1, "{:?}", statement);
            prop_assert_eq!(alone.pieces[0].range.clone(), 0..statement.len());
        }
    }
}
