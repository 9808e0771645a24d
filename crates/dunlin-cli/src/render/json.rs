//! The one JSON object every command answers with: `{schema, ok, data, diagnostics}`, the same shape on failure.

use dunlin_core::{Diagnostic, Error, SourceMap, Span};
use serde_json::{Map, Value, json};

use super::error::{causes, code, facts};
use crate::answer::Fault;

/// The whole answer. `schema` names the command and the version of the shape of its `data`.
pub fn envelope(command: &str, is_ok: bool, data: &Value, faults: &[Fault], sources: &SourceMap) -> String {
    let diagnostics: Vec<Value> = faults.iter().map(|fault| of_fault(fault, sources)).collect();
    let object = json!({
        "schema": format!("dunlin.{command}/1"),
        "ok": is_ok,
        "data": data,
        "diagnostics": diagnostics,
    });
    format!("{object}\n")
}

fn of_fault(fault: &Fault, sources: &SourceMap) -> Value {
    match fault {
        Fault::Diagnostic(diagnostic) => of_diagnostic(diagnostic, sources),
        Fault::Error(error) => of_error(error, sources),
    }
}

/// A finding.
pub fn of_diagnostic(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let mut object = head(diagnostic.code, diagnostic.severity.word(), &diagnostic.message);
    object.extend(place(diagnostic.span(), sources));
    let labels = diagnostic.labels.iter().map(|(span, text)| {
        let mut label = place(Some(*span), sources);
        label.insert("message".to_owned(), json!(text));
        Value::Object(label)
    });
    object.insert("labels".to_owned(), labels.collect());
    object.insert("help".to_owned(), json!(diagnostic.help));
    object.insert("causes".to_owned(), json!([]));
    object.insert("facts".to_owned(), json!({}));
    Value::Object(object)
}

/// A failure.
pub fn of_error(error: &Error, sources: &SourceMap) -> Value {
    let mut object = head(code(error), "error", &error.message);
    object.extend(place(error.span, sources));
    let facts: Map<String, Value> =
        facts(error).map(|(name, value)| (name.to_owned(), json!(value))).collect();
    object.insert("labels".to_owned(), json!([]));
    object.insert("help".to_owned(), json!(error.help));
    object.insert("causes".to_owned(), json!(causes(error)));
    object.insert("facts".to_owned(), Value::Object(facts));
    Value::Object(object)
}

fn head(code: &str, severity: &str, message: &str) -> Map<String, Value> {
    let pairs = [("code", code), ("severity", severity), ("message", message)];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// File, line and column, all null where there is no place.
fn place(span: Option<Span>, sources: &SourceMap) -> Map<String, Value> {
    let start = span.and_then(|span| sources.locate(span));
    let end = span.and_then(|span| sources.locate(Span { start: span.end, ..span }));
    let pairs = [
        ("file", json!(start.as_ref().map(|place| place.file.to_string()))),
        ("line", json!(start.as_ref().map(|place| place.line))),
        ("column", json!(start.as_ref().map(|place| place.column))),
        ("end_line", json!(end.as_ref().map(|place| place.line))),
        ("end_column", json!(end.as_ref().map(|place| place.column))),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use dunlin_core::ErrorKind;

    use super::*;

    #[test]
    fn findings_and_failures_have_the_same_keys() {
        let mut sources = SourceMap::default();
        let source = sources.add("a.sql", "one\ntwo");
        let finding = Diagnostic::warning("code", "message").at(source.span(4, 7), "here").help("do");
        let failure = Error::new(ErrorKind::Connect, "message").with("store", "app");
        let (finding, failure) = (of_diagnostic(&finding, &sources), of_error(&failure, &sources));
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&finding), keys(&failure));
        assert_eq!(
            (&finding["line"], &finding["end_column"], &finding["labels"][0]["message"]),
            (&json!(2), &json!(4), &json!("here"))
        );
        assert_eq!((&failure["file"], &failure["facts"]["store"]), (&Value::Null, &json!("app")));
    }
}
