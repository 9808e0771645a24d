//! The op of a `.toml` step: `redis = "SET a 1"`, a text of several lines, a list of lines, or a list of lists of words.

use std::sync::{Arc, LazyLock};

use dunlin_core::node::Value;
use dunlin_core::{AnyOp, Diagnostic, Field, Node, Phase, Span, suggest};

use crate::directive::{self, Word};
use crate::lines::{Home, Lines};
use crate::moves;
use crate::moves::decode::{LOOKS, MOVES};

/// The ops there are.
pub(crate) static OPS: LazyLock<Vec<&str>> =
    LazyLock::new(|| ["redis"].into_iter().chain(MOVES).chain(LOOKS).collect());

/// Reads an op.
pub(crate) fn decode(phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
    if let Some(op) = moves::decode::decode(phase, field) {
        return op;
    }
    if field.name != "redis" {
        let fault = Diagnostic::error("unknown-key", format!("unknown op `{}`", field.name));
        return Err(vec![
            fault.at(field.value.span, "not known here").help(suggest::help(field.name, OPS.iter().copied())),
        ]);
    }
    let mut lines = Lines::new(phase == Phase::Verify);
    match &field.value.value {
        Value::String { .. } => text(field.value, &mut lines),
        Value::Array(items) => items.iter().for_each(|item| match &item.value {
            Value::Array(words) => command(item, words, &mut lines),
            _ => text(item, &mut lines),
        }),
        _ => lines.fault(wrong(field.value, "a command or a list of commands")),
    }
    let (op, faults) = lines.finish();
    if faults.iter().any(Diagnostic::is_error) { Err(faults) } else { Ok(Arc::new(op)) }
}

fn text(node: &Node, lines: &mut Lines) {
    lines.within(Home::Text);
    let text = match node.text() {
        Ok(text) => text,
        Err(fault) => return lines.fault(fault),
    };
    let mut offset = 0;
    for full in text.split_inclusive('\n') {
        let line = full.trim_end_matches(['\n', '\r']);
        let content = line.trim_start();
        let start = offset + (line.len() - content.len());
        offset += full.len();
        let place = |from: usize, to: usize| node.inside(start + from, start + to);
        if content.trim().is_empty() {
            continue;
        }
        if !content.starts_with('#') {
            lines.line(content, &place);
            continue;
        }
        match directive::read(content, &place) {
            Some(Ok(directive::Directive { word: Word::Allow(name), span, .. })) => lines.allow(name, span),
            Some(Ok(directive)) => lines.fault(
                Diagnostic::error("bad-directive", "this directive belongs into a .redis file")
                    .at(directive.span, "a step says it with `undo`"),
            ),
            Some(Err(fault)) => lines.fault(fault),
            None => {}
        }
    }
}

/// Takes a command whose words are written one by one, as they are.
fn command(node: &Node, words: &[Node], lines: &mut Lines) {
    lines.within(Home::Words);
    let mut args = Vec::new();
    for word in words {
        match &word.value {
            Value::String { text, .. } => args.push(text.clone().into_bytes()),
            Value::Integer(number) => args.push(number.to_string().into_bytes()),
            _ => lines.fault(wrong(word, "a text or a whole number")),
        }
    }
    if words.is_empty() {
        lines.fault(Diagnostic::error("missing-command", "an empty command").at(node.span, "has no words"));
    } else if args.len() == words.len() {
        let places: Vec<Span> = words.iter().map(|word| word.span).collect();
        lines.words(args, node.span, &places);
    }
}

fn wrong(node: &Node, wanted: &str) -> Diagnostic {
    Diagnostic::error("wrong-type", format!("expected {wanted}, found {}", node.kind()))
        .at(node.span, format!("not {wanted}"))
}
