//! How many documents the next chunk has: steered by the time the last one took, and by what went wrong.

use std::time::Duration;

use dunlin_core::pace::{Pace, Sizer};
use dunlin_core::{Checksum, Op as _};

use super::Bout;
use crate::moves::Move;
use crate::session::Session;

/// How long a chunk should take where nobody says.
const TARGET: Duration = Duration::from_millis(50);
const START: u32 = 1000;
const LEAST: u32 = 100;
const MOST: u32 = 10_000;
/// What a transaction, and what the server keeps of it in memory, should not go far beyond.
const BYTES: u64 = 16 << 20;

/// The size of the chunks of one step.
#[derive(Debug)]
pub(in crate::session) struct Stride {
    /// Which step this is.
    of: Checksum,
    sizer: Sizer,
    /// What chunks were found not to go beyond. Halved by each that fails, it grows slowly with each that does not.
    ceiling: u32,
    most: u32,
    took: Duration,
}

impl Stride {
    /// For documents of an average size.
    pub(super) fn new(op: &Move, is_undo: bool, average: u64) -> Self {
        let most = u32::try_from(BYTES / average.max(1)).unwrap_or(MOST).clamp(1, MOST);
        let sizer = Sizer::new(START.min(most), LEAST.min(most), most);
        Self { of: sum(op, is_undo), sizer, ceiling: most, most, took: Duration::ZERO }
    }

    /// How many documents come next, where a bout came past so many already.
    pub(super) fn size(&self, pace: &Pace, scanned: u64) -> u32 {
        let left = pace.most().saturating_sub(scanned);
        self.sizer.size().min(self.ceiling).min(u32::try_from(left).unwrap_or(u32::MAX)).max(1)
    }

    /// Whether the bout ends with the next chunk.
    pub(super) fn is_last(&self, pace: &Pace, bout: &Bout<'_>) -> bool {
        let is_late = bout.began.elapsed() + self.took >= pace.bout;
        let size = u64::from(self.size(pace, bout.scanned));
        is_late || bout.scanned.saturating_add(size) >= pace.most()
    }

    /// Learns from a chunk that was done.
    pub(super) fn learn(&mut self, pace: &Pace, size: u32, count: u64, took: Duration) {
        self.took = took;
        if size == self.sizer.size() && count == u64::from(size) {
            self.sizer.learn(took, pace.target.unwrap_or(TARGET));
        }
        self.ceiling = (self.ceiling + self.ceiling / 8 + 1).min(self.most);
    }

    /// Learns from a chunk that failed.
    pub(super) fn shrink(&mut self, count: u64) {
        self.ceiling = u32::try_from(count / 2).unwrap_or(self.ceiling).max(1);
    }
}

fn sum(op: &Move, is_undo: bool) -> Checksum {
    Checksum::of([op.canonical().as_str(), if is_undo { "undo" } else { "" }])
}

impl Session {
    /// The stride of the step under way.
    pub(super) fn stride(&mut self) -> &mut Stride {
        self.stride.as_mut().expect("a walk starts with its stride")
    }

    /// Whether the stride is that of this step.
    pub(super) fn has_stride(&self, op: &Move, is_undo: bool) -> bool {
        self.stride.as_ref().is_some_and(|stride| stride.of == sum(op, is_undo))
    }
}
