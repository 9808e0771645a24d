//! A plan as text and as JSON.

use std::fmt::Write as _;

use dunlin_core::{Ahead, Cursor, Error, ErrorKind, Line, SourceMap, Span};
use dunlin_engine::foresee;
use dunlin_engine::plan::Direction;
use dunlin_engine::run::Histories;
use dunlin_engine::step::nothing;
use dunlin_engine::{Item, Plan, Stores};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::answer::Answer;
use crate::progress::json::direction;
use crate::render::color::{Paint, Style};

/// A plan, and the statements of each of its steps as the store would run them now.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    lines: Vec<Vec<Line>>,
    /// What speaks against it, or is to be known besides.
    foreseen: Vec<(String, Option<Span>)>,
}

impl Planned {
    /// Asks the stores, of which these are the histories.
    pub(crate) async fn ask(plan: Plan, stores: &Stores, histories: &Histories) -> Result<Self, Error> {
        let shown = |item: &Item| item.op.as_ref().map(|op| op.preview()).unwrap_or_default();
        let mut lines: Vec<Vec<Line>> = plan.items.iter().map(shown).collect();
        for (name, store) in stores {
            let of_store = |(_, item): &(usize, &Item)| item.store == *name;
            let steps = plan.items.iter().enumerate().filter(of_store).filter_map(|(at, item)| {
                let (op, version) = (item.op.as_deref()?, &item.migration.id().version);
                let is_undo = item.direction == Direction::Down;
                Some((at, Ahead { op, version, index: item.index, is_undo, is_begun: item.is_begun }))
            });
            let (places, steps): (Vec<usize>, Vec<Ahead<'_>>) = steps.unzip();
            if steps.is_empty() {
                continue;
            }
            let asked = store.previews(&steps).await.map_err(|error| error.with("store", name))?;
            for (at, found) in places.into_iter().zip(asked) {
                lines[at] = found;
            }
        }
        for (item, lines) in plan.items.iter().zip(&mut lines).filter(|(item, _)| item.is_begun) {
            lines.drain(..ran(item, lines, histories));
        }
        let foreseen = match foresee::ask(stores, &plan).await {
            Ok(told) => told.into_iter().map(|(store, words)| (format!("{store}: {words}"), None)).collect(),
            Err(error) if matches!(error.kind, ErrorKind::Statement | ErrorKind::Unsupported) => {
                vec![(format!("would be refused: {error}"), error.span)]
            }
            Err(error) => return Err(error),
        };
        Ok(Self { plan, lines, foreseen })
    }

    /// Each step with its statements.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&Item, &[Line])> {
        self.plan.items.iter().zip(self.lines.iter().map(Vec::as_slice))
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.plan.items.is_empty()
    }
}

/// How many of a begun step's statements ran already and will not run again. A change draws those that are left anew.
fn ran(item: &Item, lines: &[Line], histories: &Histories) -> usize {
    let Some(op) = item.op.as_ref().filter(|op| !op.moves()) else { return 0 };
    let record = histories.get(&item.store).and_then(|history| history.live(&item.migration.id().version));
    let cursor = record.and_then(|record| Cursor::of(record).ok()).unwrap_or_default();
    let is_script = cursor.at <= lines.len()
        && op.preview().iter().map(|line| &line.text).eq(lines.iter().map(|line| &line.text));
    if is_script { cursor.at } else { 0 }
}

/// The steps under their migrations, with the exact statements.
fn text(planned: &Planned, sources: &SourceMap, paint: Paint) -> String {
    let mut out = String::new();
    let mut migration = None;
    for (item, lines) in planned.steps() {
        let id = item.migration.id();
        if migration != Some(id) {
            let gap = if migration.is_some() { "\n" } else { "" };
            let _ = writeln!(out, "{gap}{}", paint.text(Style::Bold, &id.to_string()));
            if !item.migration.summary().is_empty() {
                let _ = writeln!(out, "{}", paint.text(Style::Dim, item.migration.summary()));
            }
            migration = Some(id);
        }
        step(&mut out, (item, lines), paint);
    }
    for words in foreseen(planned, sources) {
        let _ = writeln!(out, "\n{}", paint.text(Style::Warning, &words));
    }
    out
}

fn step(out: &mut String, (item, lines): (&Item, &[Line]), paint: Paint) {
    let sign = if item.direction == Direction::Up { "↑" } else { "↓" };
    let begun = if item.is_begun { ", begun by an earlier run" } else { "" };
    let head = format!("{sign} {} · {}{begun}", item.store, item.phase);
    let _ = writeln!(out, "  {}", paint.text(Style::Frame, &head));
    let Some(op) = &item.op else {
        let _ = writeln!(out, "    {}", paint.text(Style::Dim, nothing(item.direction)));
        return;
    };
    if lines.is_empty() {
        let _ = writeln!(out, "    {}", paint.text(Style::Dim, "nothing to do"));
    }
    let mut noted = None;
    for line in lines {
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
    let lost = match item.loss() {
        Some(loss) => vec![loss.to_string()],
        None => op.removes().iter().map(|lost| format!("takes away {lost}")).collect(),
    };
    for lost in lost {
        let _ = writeln!(out, "    {}", paint.text(Style::Warning, &lost));
    }
}

/// What speaks against it, with its place in the files.
fn foreseen(planned: &Planned, sources: &SourceMap) -> Vec<String> {
    let words = |(words, span): &(String, Option<Span>)| match span.and_then(|span| sources.locate(span)) {
        Some(place) => format!("{}:{}:{}: {words}", place.file, place.line, place.column),
        None => words.clone(),
    };
    planned.foreseen.iter().map(words).collect()
}

/// A plan as an answer; only the form that is asked for is made.
pub(crate) fn answer(planned: &Planned, empty: &str, stage: &Stage, paint: Paint) -> Answer {
    if stage.is_json {
        return Answer::done(data(planned, &stage.loaded.sources), String::new());
    }
    Answer::done(
        Value::Null,
        if planned.is_empty() { format!("{empty}\n") } else { text(planned, &stage.loaded.sources, paint) },
    )
}

/// The same for programs.
fn data(planned: &Planned, sources: &SourceMap) -> Value {
    let items: Vec<Value> = planned.steps().map(|(item, lines)| of_item(item, lines, sources)).collect();
    json!({ "fingerprint": planned.plan.fingerprint().to_string(), "steps": items, "foreseen": foreseen(planned, sources) })
}

fn of_item(item: &Item, lines: &[Line], sources: &SourceMap) -> Value {
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
        "irreversible": item.loss().is_some(),
    })
}
