//! The text of `dunlin.toml` as a tree of values, each with its place, and every fault of the text at once.

use dunlin_core::node::{Key, Value};
use dunlin_core::{Diagnostic, Node, Source};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a whole document. What could be read is returned even where there are faults.
pub(super) fn parse(source: &Source) -> (Node, Vec<Diagnostic>) {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let mut faults: Vec<Diagnostic> = errors
        .iter()
        .map(|error| {
            let range = error.span().unwrap_or(0..0);
            let message = error.message().lines().next().unwrap_or("this is not TOML");
            Diagnostic::error("bad-toml", message).at(source.span(range.start, range.end), "here")
        })
        .collect();
    let value = table(document.get_ref(), source, &mut faults);
    (Node { span: source.whole(), value }, faults)
}

fn table(entries: &DeTable<'_>, source: &Source, faults: &mut Vec<Diagnostic>) -> Value {
    let mut read = Vec::new();
    for (key, value) in entries {
        let range = key.span();
        let name = key.get_ref().to_string();
        read.push((Key { name, span: source.span(range.start, range.end) }, node(value, source, faults)));
    }
    Value::Table(read)
}

fn node(value: &Spanned<DeValue<'_>>, source: &Source, faults: &mut Vec<Diagnostic>) -> Node {
    let range = value.span();
    let span = source.span(range.start, range.end);
    let value = match value.get_ref() {
        DeValue::String(text) => {
            let written = source.slice(span);
            // Four or five bytes of quotes mean a multi-line string without its quotes; anything longer has escapes.
            let verbatim = written
                .find(text.as_ref())
                .filter(|offset| *offset <= 4 && written.len() - text.len() <= 8)
                .map(|offset| span.slice(offset, offset + text.len()));
            Value::String { text: text.to_string(), verbatim }
        }
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).unwrap_or_else(|_| {
                let fault = Diagnostic::error("bad-toml", "a whole number has at most 64 bits");
                faults.push(fault.at(span, "too large"));
                0
            }),
        ),
        DeValue::Float(number) => Value::Float(number.as_str().replace('_', "").parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(fact) => Value::Bool(*fact),
        DeValue::Datetime(moment) => Value::Datetime(moment.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| node(item, source, faults)).collect()),
        DeValue::Table(entries) => table(entries, source, faults),
    };
    Node { span, value }
}
