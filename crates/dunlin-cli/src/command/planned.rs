//! A plan as text and as JSON.

use std::fmt::Write as _;

use dunlin_core::SourceMap;
use dunlin_engine::plan::Direction;
use dunlin_engine::{Item, Plan};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::answer::Answer;
use crate::progress::json::direction;
use crate::render::color::{Paint, Style};

/// The steps under their migrations, with the exact statements.
fn text(plan: &Plan, paint: Paint) -> String {
    let mut out = String::new();
    let mut migration = None;
    for item in &plan.items {
        let id = item.migration.id();
        if migration != Some(id) {
            let gap = if migration.is_some() { "\n" } else { "" };
            let _ = writeln!(out, "{gap}{}", paint.text(Style::Bold, &id.to_string()));
            if !item.migration.summary().is_empty() {
                let _ = writeln!(out, "{}", paint.text(Style::Dim, item.migration.summary()));
            }
            migration = Some(id);
        }
        step(&mut out, item, paint);
    }
    out
}

fn step(out: &mut String, item: &Item, paint: Paint) {
    let sign = if item.direction == Direction::Up { "↑" } else { "↓" };
    let begun = if item.is_begun { ", begun by an earlier run" } else { "" };
    let head = format!("{sign} {} · {}{begun}", item.store, item.phase);
    let _ = writeln!(out, "  {}", paint.text(Style::Frame, &head));
    let Some(op) = &item.op else {
        let _ = writeln!(out, "    {}", paint.text(Style::Dim, "nothing to undo"));
        return;
    };
    let lines = op.preview();
    if lines.is_empty() {
        let _ = writeln!(out, "    {}", paint.text(Style::Dim, "nothing to do"));
    }
    let mut noted = None;
    for line in &lines {
        let note = line.note.as_deref().filter(|note| noted != Some(*note));
        if let Some(note) = note {
            let note = if op.moves() { note.to_owned() } else { format!("alone: {note}") };
            let _ = writeln!(out, "    {}", paint.text(Style::Dim, &note));
        }
        // Said once for all the statements of a chunk; each statement that stands alone says why.
        noted = line.note.as_deref().filter(|_| op.moves());
        for text in line.text.lines() {
            let _ = writeln!(out, "    {text}");
        }
    }
    for lost in op.removes() {
        let _ = writeln!(out, "    {}", paint.text(Style::Warning, &format!("takes away {lost}")));
    }
}

/// A plan as an answer; only the form that is asked for is made.
pub(crate) fn answer(plan: &Plan, empty: &str, stage: &Stage, paint: Paint) -> Answer {
    if stage.is_json {
        return Answer::done(data(plan, &stage.loaded.sources), String::new());
    }
    Answer::done(Value::Null, if plan.items.is_empty() { format!("{empty}\n") } else { text(plan, paint) })
}

/// The same for programs.
fn data(plan: &Plan, sources: &SourceMap) -> Value {
    let items: Vec<Value> = plan.items.iter().map(|item| of_item(item, sources)).collect();
    json!({ "fingerprint": plan.fingerprint().to_string(), "steps": items })
}

fn of_item(item: &Item, sources: &SourceMap) -> Value {
    let lines = item.op.as_ref().map(|op| op.preview()).unwrap_or_default();
    let statements: Vec<Value> = lines
        .iter()
        .map(|line| {
            let place = line.span.and_then(|span| sources.locate(span));
            json!({
                "text": line.text,
                "note": line.note,
                "file": place.as_ref().map(|place| place.file.to_string()),
                "line": place.as_ref().map(|place| place.line),
            })
        })
        .collect();
    json!({
        "version": item.migration.id().version.as_str(),
        "slug": &*item.migration.id().slug,
        "store": item.store.as_str(),
        "phase": item.phase.word(),
        "direction": direction(item.direction),
        "index": item.index,
        "begun": item.is_begun,
        "statements": statements,
        "takes_away": item.op.as_ref().map(|op| op.removes()).unwrap_or_default(),
    })
}
