//! The common `Migration` trait, and the steps a migration is made of.

use std::fmt;
use std::time::Duration;

use crate::history::StoredFile;
use crate::id::{Checksum, MigrationId, StoreName, Version};
use crate::op::AnyOp;
use crate::source::Span;

/// The part of a migration's life a step belongs to. No store starts a phase before every store has finished the one
/// before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Adds the new shape beside the old one.
    Expand,
    /// Moves data into the new shape.
    Backfill,
    /// Proves that the new shape holds what the old one held.
    Verify,
    /// Removes the old shape; runs only when asked for.
    Contract,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Expand, Self::Backfill, Self::Verify, Self::Contract];

    /// The word in files, histories and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Backfill => "backfill",
            Self::Verify => "verify",
            Self::Contract => "contract",
        }
    }

    /// The phase of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The way back from a step.
#[derive(Debug, Clone)]
pub enum Undo {
    /// Runs this.
    Op(AnyOp),
    /// Nothing needs to be done, and the file says why.
    Nothing {
        /// The author's words.
        reason: String,
    },
    /// There is none, and the file says why.
    Irreversible {
        /// The author's words.
        reason: String,
    },
    /// None was written.
    Unwritten,
}

/// One operation of a migration, in one phase, on one store.
#[derive(Debug, Clone)]
pub struct Step {
    /// The part of the migration's life.
    pub phase: Phase,
    /// Where it runs.
    pub store: StoreName,
    /// What it does.
    pub op: AnyOp,
    /// The way back.
    pub undo: Undo,
    /// How long its statements wait for locks of the database before they give way, where that is not what holds for the
    /// store. No part of its sum: how long to wait is no matter of what it does.
    pub lock_timeout: Option<Duration>,
    /// Where it was written, if it was.
    pub span: Option<Span>,
}

impl Step {
    /// A step written in Rust, whose way back is still to be given.
    pub fn new(phase: Phase, store: impl Into<StoreName>, op: AnyOp) -> Self {
        Self { phase, store: store.into(), op, undo: Undo::Unwritten, lock_timeout: None, span: None }
    }

    /// The same, undone by `op`.
    pub fn undo(mut self, op: AnyOp) -> Self {
        self.undo = Undo::Op(op);
        self
    }

    /// The sum under which histories know this step: what it does and when, not how it is formatted or undone.
    pub fn checksum(&self) -> Checksum {
        Checksum::of([self.phase.word(), &self.op.canonical()])
    }
}

/// One intended change, over one or several stores. Migrations from files and migrations written in Rust implement
/// this alike, and are planned and run side by side by the same engine.
///
/// Steps are listed in the order in which they are meant to run; the engine groups them by phase and, within a phase,
/// by store.
pub trait Migration: fmt::Debug + Send + Sync {
    /// Version and name.
    fn id(&self) -> &MigrationId;

    /// What it does, in a line for people.
    fn summary(&self) -> &str {
        ""
    }

    /// Versions that must be complete before this one starts, besides all the lower ones.
    fn needs(&self) -> &[Version] {
        &[]
    }

    /// What it does.
    fn steps(&self) -> &[Step];

    /// The files that say what it does in `store`, kept in that store's history so that the way back works without a
    /// checkout. A migration written in Rust has none.
    fn files(&self, store: &StoreName) -> Vec<StoredFile> {
        let _ = store;
        Vec::new()
    }
}
