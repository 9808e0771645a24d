use super::*;
use Dialect::{MySql, Postgres, Sqlite};

mod mysql;
mod postgres;
mod properties;
mod refusals;
mod sqlite;

/// The statements of a text without faults, and the proof that nothing was lost.
fn statements(dialect: Dialect, text: &str) -> Vec<&str> {
    let split = split(dialect, text, Markers::Seen);
    assert_eq!(split.faults, [], "{text}");
    joined(text, &split);
    let statements = split.pieces.iter().filter(|piece| piece.kind == PieceKind::Statement);
    statements.map(|piece| &text[piece.range.clone()]).collect()
}

fn joined(text: &str, split: &Split) {
    let mut at = 0;
    for piece in &split.pieces {
        assert_eq!(piece.range.start, at, "a gap or an overlap in {text:?}: {:?}", split.pieces);
        assert!(text.is_char_boundary(piece.range.end), "{text:?}: {piece:?}");
        at = piece.range.end;
    }
    assert_eq!(at, text.len(), "{text:?}: {:?}", split.pieces);
}

/// The codes of the faults, each with the text it points at.
fn faults(dialect: Dialect, text: &str) -> Vec<(&'static str, &str)> {
    let split = split(dialect, text, Markers::Seen);
    joined(text, &split);
    split.faults.iter().map(|fault| (fault.code, &text[fault.range.clone()])).collect()
}

/// Checks that each of the texts is one statement, and that two of them are two.
fn each_is_one(dialect: Dialect, texts: &[&str]) {
    for text in texts {
        assert_eq!(statements(dialect, text), [*text]);
        let twice = format!("{text};\n{text} ;");
        assert_eq!(statements(dialect, &twice), [*text, *text]);
    }
}
