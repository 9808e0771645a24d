//! The checkpoint of every op that moves or compares records, in all backends alike, so that whoever reads a history
//! can say how far it got.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::history::{Checkpoint, Cursor, Record};
use crate::id::Checksum;
use crate::op::Op;
use crate::store::Work;
use crate::words::counted;

/// How far an op got through its records. `P` is where it goes on, in its backend's own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position<P> {
    /// How many records it came past.
    pub scanned: u64,
    /// How many there are, as far as the store could say without counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The sum of the op, as it was when this was written.
    pub sum: String,
    /// The sum of its [course](Op::course): as long as that is the same, the op may be edited half-way.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub course: String,
    /// Whether nothing was written on the way here, for certain: it only looked, or has only begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_clean: bool,
    /// Whether this is the way back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_undo: bool,
    /// Where that is, in words for people: `id 4711`. May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub near: String,
    /// Where it goes on.
    pub place: P,
}

impl<P> Position<P> {
    /// The beginning of an op.
    pub fn new(op: &dyn Op, place: P) -> Self {
        let (sum, course) = (sum_of(op), course_of(op));
        let course = if course == sum { String::new() } else { course };
        Self {
            scanned: 0,
            total: None,
            sum,
            course,
            is_clean: false,
            is_undo: false,
            near: String::new(),
            place,
        }
    }

    /// Takes over the op as it is now. What is to be said of that, where it was edited since.
    pub fn adopt(&mut self, op: &dyn Op) -> Option<String> {
        let sum = sum_of(op);
        if self.sum == sum {
            return None;
        }
        self.sum = sum;
        Some(format!(
            "the step was edited half-way: {} were come past with its former text, the others are with the new one",
            counted(self.scanned, "record")
        ))
    }

    /// How far along it is, for people. How many records there are was an estimate; once it is passed, nobody knows.
    pub fn seen(&self) -> Seen {
        let total = self.total.filter(|total| *total > self.scanned);
        Seen { scanned: self.scanned, total, near: self.near.clone() }
    }
}

/// Where an op that goes through records starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Start<P> {
    /// At the beginning.
    Fresh,
    /// Where it was left.
    On(Position<P>),
    /// At the beginning of the way back from a step that only came so far. Where a chunk and its position are one
    /// transaction, nothing beyond is to be gone back over; elsewhere the way back goes over everything, and is such that
    /// it passes by what was not moved.
    Back(Position<P>),
}

impl<P: for<'a> Deserialize<'a>> Start<P> {
    /// Where the op of `work` starts. One that was edited starts at the beginning if nothing was written yet, and goes on
    /// where it was if it goes the same course.
    pub fn of(work: &Work<'_>) -> Result<Self> {
        let Some(checkpoint) = &work.running.checkpoint else { return Ok(Self::Fresh) };
        let known = Known::of(checkpoint);
        if work.is_undo() && known.as_ref().is_some_and(|position| !position.is_undo) {
            // The way back may be another op than the way there, with other words for a place.
            return Ok(checkpoint.read().map_or(Self::Fresh, Self::Back));
        }
        let is_same = known.as_ref().is_some_and(|position| position.sum == sum_of(work.op));
        if !is_same && is_untouched(checkpoint) {
            return Ok(Self::Fresh);
        }
        let goes_on = |position: &Known| is_same || position.course == course_of(work.op);
        match &known {
            Some(position) if goes_on(position) => checkpoint.read().map(Self::On),
            None if checkpoint.read::<Cursor>().is_err() => checkpoint.read().map(Self::On),
            _ => Err(edited()),
        }
    }
}

impl<P: for<'a> Deserialize<'a>> Position<P> {
    /// The position of a verify op; none where the checkpoint is not one of this op, which then looks from the beginning.
    pub fn looked(checkpoint: &Checkpoint, op: &dyn Op) -> Option<Self> {
        checkpoint.read().ok().filter(|position: &Self| position.sum == sum_of(op))
    }
}

/// A position of whatever backend.
type Known = Position<IgnoredAny>;

impl Known {
    fn of(checkpoint: &Checkpoint) -> Option<Self> {
        checkpoint.read().ok()
    }
}

/// Whether nothing was written yet of the step that a checkpoint stands in, for certain.
pub fn is_untouched(checkpoint: &Checkpoint) -> bool {
    if let Some(position) = Known::of(checkpoint) {
        return position.is_clean;
    }
    let cursor = checkpoint.read::<Cursor>();
    cursor.is_ok_and(|cursor| cursor.at == 0 && !cursor.open && cursor.before.is_none())
}

/// Where a list of statements starts, that may have been another kind of op when it was begun.
pub fn cursor(record: &Record) -> Result<Cursor> {
    match &record.checkpoint {
        Some(checkpoint) if Known::of(checkpoint).is_some() => {
            if is_untouched(checkpoint) {
                Ok(Cursor::default())
            } else {
                Err(edited())
            }
        }
        _ => Cursor::of(record),
    }
}

fn edited() -> Error {
    Error::new(ErrorKind::Integrity, "the step was edited half-way, and goes another course now")
        .with("code", "edited-halfway")
        .help(
            "put back what it does and what it goes through, and by what: the table, the collection, the key, the patterns; \
             conditions, new values and what becomes of conflicts may be edited. Or put all of it back, and take it back with `dunlin down`",
        )
}

/// The sum of what must stay as it is while an op is half done.
fn course_of(op: &dyn Op) -> String {
    Checksum::of([op.course()]).to_string()
}

/// The sum under which a position knows its op.
pub fn sum_of(op: &dyn Op) -> String {
    Checksum::of([op.canonical()]).to_string()
}

impl<P: Serialize> Position<P> {
    /// The checkpoint that holds this.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::of(self)
    }
}

/// How far along an op is, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// How many records it came past.
    pub scanned: u64,
    /// About how many there are.
    pub total: Option<u64>,
    /// Where it is, in words; may be empty.
    pub near: String,
}

impl Seen {
    /// How far the step under way in a record got through its records, if it goes through any.
    pub fn of(record: &Record) -> Option<Self> {
        Self::at(record.checkpoint.as_ref()?)
    }

    /// The same of a checkpoint.
    pub fn at(checkpoint: &Checkpoint) -> Option<Self> {
        let position: Position<IgnoredAny> = checkpoint.read().ok()?;
        Some(position.seen())
    }

    /// In hundredths, where the total is known.
    pub fn percent(&self) -> Option<u64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some(self.scanned.saturating_mul(100) / total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_says_that_it_is_at_the_end_before_it_is() {
        let position = Position {
            scanned: 120,
            total: Some(100),
            sum: String::new(),
            course: String::new(),
            is_clean: false,
            is_undo: false,
            near: String::new(),
            place: 7,
        };
        assert_eq!(position.seen().percent(), None);
        let checkpoint = position.checkpoint();
        assert_eq!(&*checkpoint.0, r#"{"scanned":120,"total":100,"sum":"","place":7}"#);
        assert_eq!(checkpoint.read::<Position<i32>>().unwrap(), position);
        assert!(checkpoint.read::<crate::history::Cursor>().is_err(), "it is told from a list of statements");
    }
}
