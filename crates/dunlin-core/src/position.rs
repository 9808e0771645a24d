//! The checkpoint of every op that moves or compares records, in all backends alike, so that whoever reads a history
//! can say how far it got.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::history::{Checkpoint, Record};
use crate::id::Checksum;
use crate::op::Op;
use crate::store::Work;

/// How far an op got through its records. `P` is where it goes on, in its backend's own words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position<P> {
    /// How many records it came past.
    pub scanned: u64,
    /// How many there are, as far as the store could say without counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The sum of the op: a step that was edited half-way is another one.
    pub sum: String,
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
    /// How far along it is, for people: what arrived meanwhile is not counted, and the end is never said to be passed.
    pub fn seen(&self) -> Seen {
        let total = self.total.map(|total| total.max(self.scanned));
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
    /// Where the op of `work` starts.
    pub fn of(work: &Work<'_>) -> Result<Self> {
        let Some(checkpoint) = &work.running.checkpoint else { return Ok(Self::Fresh) };
        if !work.is_undo() {
            return Position::resume(checkpoint, work.op).map(Self::On);
        }
        let is_turning = checkpoint.read::<Position<IgnoredAny>>().is_ok_and(|position| !position.is_undo);
        if is_turning {
            // The way back may be another op than the way there, with other words for a place.
            return Ok(checkpoint.read().map_or(Self::Fresh, Self::Back));
        }
        Position::resume(checkpoint, work.op).map(Self::On)
    }
}

impl<P: for<'a> Deserialize<'a>> Position<P> {
    /// The position a checkpoint holds, which must be one of `op`.
    pub fn resume(checkpoint: &Checkpoint, op: &dyn Op) -> Result<Self> {
        let position: Self = checkpoint.read()?;
        if position.sum == sum_of(op) {
            return Ok(position);
        }
        let error = Error::new(ErrorKind::Integrity, "the step was edited when it was half done");
        Err(error.help("put it back as it was, or take the migration back with `dunlin down` first"))
    }
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
    fn progress_never_passes_the_end() {
        let position = Position {
            scanned: 120,
            total: Some(100),
            sum: String::new(),
            is_undo: false,
            near: String::new(),
            place: 7,
        };
        assert_eq!(position.seen().percent(), Some(100));
        let checkpoint = position.checkpoint();
        assert_eq!(&*checkpoint.0, r#"{"scanned":120,"total":100,"sum":"","place":7}"#);
        assert_eq!(checkpoint.read::<Position<i32>>().unwrap(), position);
        assert!(checkpoint.read::<crate::history::Cursor>().is_err(), "it is told from a list of statements");
    }
}
