//! Ops that go through records: `sweep NAME` adds one to each, `level NAME VALUE` asks whether each has that value. A
//! store with transactions writes a chunk and its position in one; in one without, the chunk comes first and is such
//! that doing it again changes nothing.

use std::sync::Arc;

use dunlin_core::position::Start;
use dunlin_core::{
    Advance, AnyOp, Check, Checked, Error, ErrorKind, Line, Op, Position, Result, Violation, Work,
};
use serde::{Deserialize, Serialize};

use super::session::MemorySession;

/// How many records one chunk has.
const CHUNK: usize = 10;

/// Adds one to each record, or takes it away again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    pub(super) name: String,
    pub(super) is_back: bool,
}

/// The records from `at` to `to` are still to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Range {
    at: usize,
    to: usize,
}

impl Op for Sweep {
    fn summary(&self) -> String {
        format!("{} {}", if self.is_back { "unsweep" } else { "sweep" }, self.name)
    }

    fn preview(&self) -> Vec<Line> {
        vec![Line::new(self.summary())]
    }

    fn canonical(&self) -> String {
        self.summary()
    }

    fn moves(&self) -> bool {
        true
    }

    fn undo(&self) -> Option<AnyOp> {
        Some(Arc::new(Self { is_back: !self.is_back, ..self.clone() }))
    }
}

/// Asks whether each record has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    pub(super) name: String,
    pub(super) value: u64,
}

/// What a check found so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Found {
    at: usize,
    violations: Vec<Violation>,
}

impl Op for Level {
    fn summary(&self) -> String {
        format!("level {} {}", self.name, self.value)
    }

    fn preview(&self) -> Vec<Line> {
        vec![Line::new(self.summary())]
    }

    fn canonical(&self) -> String {
        self.summary()
    }

    fn moves(&self) -> bool {
        true
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl MemorySession {
    /// Moves one chunk.
    pub(super) fn sweep(&self, op: &Sweep, work: &Work<'_>) -> Result<Advance> {
        let mut position = self.start(op, work)?;
        let Range { at, to } = position.place;
        let end = (at + CHUNK).min(to);
        let mut data = self.fenced()?;
        let records = data.records.get_mut(&op.name).ok_or_else(|| missing(&op.name))?;
        for record in &mut records[at..end] {
            *record = match (self.is_transactional(), op.is_back) {
                (true, false) => *record + 1,
                (true, true) => *record - 1,
                (false, is_back) => u64::from(!is_back),
            };
        }
        if !self.is_transactional() {
            data.call(true)?;
            drop(data);
            data = self.fenced()?;
        }
        position.place.at = end;
        position.near = format!("record {end}");
        position.scanned += count(end - at);
        let (changed, is_done) = (count(end - at), end == to);
        let record =
            if is_done { work.complete(changed) } else { work.partly(position.checkpoint(), changed) };
        let record = if is_done {
            data.put(&record, work.files, work.ends_as(), None)
        } else {
            data.keep(&record, work.files)
        };
        data.call(true)?;
        Ok(Advance { is_done, ..Advance::partly(record, changed) })
    }

    fn start(&self, op: &Sweep, work: &Work<'_>) -> Result<Position<Range>> {
        let all = self.fenced()?.records.get(&op.name).map(Vec::len).ok_or_else(|| missing(&op.name))?;
        let whole = |to| {
            let place = Range { at: 0, to };
            Position { total: Some(count(to)), is_undo: work.is_undo(), ..Position::new(op, place) }
        };
        Ok(match Start::of(work)? {
            Start::Fresh => whole(all),
            Start::On(position) => position,
            // Without transactions some may have been moved beyond what was recorded.
            Start::Back(Position { place: Range { at, .. }, .. }) => {
                whole(if self.is_transactional() { at } else { all })
            }
        })
    }

    /// Looks at one chunk.
    pub(super) fn level(&self, op: &Level, check: &Check<'_>) -> Result<Checked> {
        let data = self.fenced()?;
        let records = data.records.get(&op.name).ok_or_else(|| missing(&op.name))?;
        let fresh = || {
            let place = Found { at: 0, violations: Vec::new() };
            Position { total: Some(count(records.len())), ..Position::new(op, place) }
        };
        let from = check.from.and_then(|checkpoint| Position::looked(checkpoint, op));
        let mut position: Position<Found> = from.unwrap_or_else(fresh);
        let found = &mut position.place;
        let end = (found.at + CHUNK).min(records.len());
        for (index, value) in records.iter().enumerate().take(end).skip(found.at) {
            if *value != op.value {
                found
                    .violations
                    .push(Violation { record: index.to_string(), values: Some(value.to_string()) });
            }
        }
        position.scanned += count(end - found.at);
        found.at = end;
        if end < records.len() {
            return Ok(Checked::Partly(position.checkpoint()));
        }
        let Position { scanned, place: Found { violations, .. }, .. } = position;
        Ok(Checked::Wholly { violations, unlisted: 0, scanned })
    }
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::Statement, format!("there are no records called {name}"))
}
