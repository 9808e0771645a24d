//! Trials of changes without downtime over all stores at once: applications of the old and of the new shape work at every
//! station, whatever happens to the runs in between, and what they read is compared with a model.
#![allow(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

mod crash;
mod place;
mod play;
mod schedule;
mod schedules;
mod town;

use std::fmt;

/// Where a migration stands, as somebody knows who watched its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing of it is there: it never ran, or was wholly taken back.
    Before,
    /// A run forward has begun and is not at its end.
    Forth,
    /// Both shapes live.
    Expanded,
    /// A way back from no further than that has begun and is not at its end.
    Back,
    /// The removal of the old shape has begun and is not at its end.
    Contracting,
    /// The old shape is gone.
    Contracted,
    /// Something between the two was begun and is not at its end, a way back from there or all of the way there at once: no
    /// application is at work.
    Amid,
}

/// An application, by the shape it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Old,
    New,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "old",
            Self::New => "new",
        })
    }
}
