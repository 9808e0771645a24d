use dunlin_core::node::Key;
use dunlin_core::{Source, SourceMap};

use super::*;
use crate::dialect::Dialect::{Postgres, Sqlite};

fn source() -> Source {
    SourceMap::default().add("a.toml", "sql = 'select 1; select 2'")
}

fn text(source: &Source, text: &str) -> Node {
    let verbatim = source.text.find(text).map(|at| source.span(at, at + text.len()));
    Node { span: source.whole(), value: Value::String { text: text.to_owned(), verbatim } }
}

fn table(source: &Source, entries: Vec<(&str, Value)>) -> Node {
    let span = source.whole();
    let entry = |(name, value): (&str, Value)| (Key { name: name.to_owned(), span }, Node { span, value });
    Node { span, value: Value::Table(entries.into_iter().map(entry).collect()) }
}

fn decoded(dialect: Dialect, phase: Phase, value: &Node) -> Result<Op, Vec<&'static str>> {
    let source = source();
    match decode(dialect, phase, &Field { name: "sql", value, source: &source, tag: "1" }) {
        Ok(op) => Ok(op.own::<Op>().unwrap().clone()),
        Err(findings) => Err(findings.iter().map(|finding| finding.code).collect()),
    }
}

#[test]
fn a_text_is_a_script_that_knows_its_places() {
    let source = source();
    let op = decoded(Postgres, Phase::Expand, &text(&source, "select 1; select 2")).unwrap();
    let spans: Vec<&str> =
        op.statements().filter_map(|next| next.span).map(|span| source.slice(span)).collect();
    assert_eq!(spans, ["select 1", "select 2"]);
}

#[test]
fn a_text_with_escapes_is_shown_as_a_whole() {
    let source = source();
    let op = decoded(Postgres, Phase::Expand, &text(&source, "select\t1")).unwrap();
    assert_eq!(op.units[0].statements[0].span, Some(source.whole()));
}

#[test]
fn a_table_has_settings_and_several_texts() {
    let source = source();
    let list = Value::Array(vec![text(&source, "select 1"), text(&source, "select 2; select 3")]);
    let op = decoded(Sqlite, Phase::Expand, &table(&source, vec![("statements", list.clone())])).unwrap();
    assert_eq!((op.units.len(), op.statements().count()), (1, 3));
    let keys = Value::String { text: "as-written".to_owned(), verbatim: None };
    let entries = vec![("statements", list), ("transaction", Value::Bool(false)), ("foreign_keys", keys)];
    let op = decoded(Sqlite, Phase::Expand, &table(&source, entries)).unwrap();
    assert_eq!((op.units.len(), op.foreign_keys), (3, ForeignKeys::AsWritten));
}

#[test]
fn what_cannot_be_meant_is_reported() {
    let source = source();
    let word = |word: &str| Value::String { text: word.to_owned(), verbatim: None };
    let of = |phase, value: &Node| decoded(Postgres, phase, value).unwrap_err();
    assert_eq!(of(Phase::Expand, &text(&source, "-- nothing")), ["empty-step"]);
    assert_eq!(of(Phase::Verify, &text(&source, "delete from t")), ["not-a-query"]);
    assert_eq!(
        of(Phase::Expand, &table(&source, vec![("statement", word("select 1"))])),
        ["missing-key", "unknown-key"]
    );
    let entries =
        vec![("statements", Value::Integer(1)), ("transaction", word("no")), ("foreign_keys", word("off"))];
    assert_eq!(
        of(Phase::Expand, &table(&source, entries)),
        ["wrong-type", "misplaced-directive", "wrong-type"]
    );
    assert_eq!(of(Phase::Expand, &Node { span: source.whole(), value: Value::Bool(true) }), ["wrong-type"]);
    assert_eq!(of(Phase::Expand, &text(&source, "select 'a")), ["unterminated-string"]);
}
