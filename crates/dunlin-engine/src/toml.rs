//! TOML text as the neutral value tree of `dunlin_core::node`, with the place of every value and every fault at once.

use std::ops::Range;

use dunlin_core::node::{Key, Value};
use dunlin_core::{Diagnostic, Node, Source};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads a whole document. What could be read is returned even where there are faults.
pub fn parse(source: &Source) -> (Node, Vec<Diagnostic>) {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let faults = errors.iter().map(|error| {
        let range = error.span().unwrap_or(0..0);
        Diagnostic::error("bad-toml", error.message().lines().next().unwrap_or("not valid TOML").to_owned())
            .at(source.span(range.start, range.end), "here")
    });
    let mut faults: Vec<Diagnostic> = faults.collect();
    let value = table(document.get_ref(), source, &mut faults);
    (Node { span: source.whole(), value }, faults)
}

fn table(entries: &DeTable<'_>, source: &Source, faults: &mut Vec<Diagnostic>) -> Value {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let Range { start, end } = key.span();
        let key = Key { name: AsRef::<str>::as_ref(key.get_ref()).to_owned(), span: source.span(start, end) };
        (key, node(value, source, faults))
    };
    Value::Table(entries.iter().map(entry).collect())
}

fn node(value: &Spanned<DeValue<'_>>, source: &Source, faults: &mut Vec<Diagnostic>) -> Node {
    let range = value.span();
    let span = source.span(range.start, range.end);
    let value = match value.get_ref() {
        DeValue::String(text) => {
            Value::String { text: text.to_string(), verbatim: verbatim(text, &range, source) }
        }
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            Value::Integer(i64::from_str_radix(&digits, number.radix()).unwrap_or_else(|_| {
                let fault = Diagnostic::error("bad-toml", "a whole number has at most 64 bits");
                faults.push(fault.at(span, "too large").help("write it as a text, in quotes"));
                0
            }))
        }
        DeValue::Float(number) => Value::Float(number.as_str().replace('_', "").parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(fact) => Value::Bool(*fact),
        DeValue::Datetime(moment) => Value::Datetime(moment.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| node(item, source, faults)).collect()),
        DeValue::Table(entries) => table(entries, source, faults),
    };
    Node { span, value }
}

/// Where a string's letters stand one by one in the file, if no escape, trimmed newline or line ending moved them.
fn verbatim(text: &str, range: &Range<usize>, source: &Source) -> Option<dunlin_core::Span> {
    let written = source.text.get(range.clone())?;
    let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| written.starts_with(quotes))?;
    let inner = written.strip_prefix(quotes)?.strip_suffix(quotes)?;
    let trimmed = if quotes.len() == 3 { inner.strip_prefix('\n').unwrap_or(inner) } else { inner };
    let start = range.start + quotes.len() + (inner.len() - trimmed.len());
    (trimmed == text).then(|| source.span(start, start + text.len()))
}

#[cfg(test)]
mod tests {
    use dunlin_core::SourceMap;

    use super::*;

    #[test]
    fn values_keep_their_places() {
        let mut map = SourceMap::default();
        let source = map.add("a.toml", "a = 0x10\nsql = '''\nselect 1'''\nx = { y = [1.5, true] }\n");
        let (document, faults) = parse(&source);
        assert!(faults.is_empty());
        let mut table = document.table().unwrap();
        assert_eq!(table.take("a").unwrap().value, Value::Integer(16));
        let sql = table.take("sql").unwrap();
        assert_eq!(source.slice(sql.inside(0, 6)), "select");
        assert_eq!(table.finish(&["a", "sql"]).len(), 1);
    }

    #[test]
    fn every_fault_is_reported() {
        let mut map = SourceMap::default();
        let source = map.add("a.toml", "a = \nb = 2\nc = ]\n");
        assert_eq!(parse(&source).1.len(), 2);
    }
}
