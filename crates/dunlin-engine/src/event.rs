//! What happens during a run, as values. Who prints, draws bars or streams JSON listens to these.

use std::time::Duration;

use dunlin_core::{AnyOp, Holder, MigrationId, Phase, Pulse, Seen, StoreName};

use crate::follow::End;
use crate::plan::{Direction, Item, Loss};

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another run holds a store's lock; we wait.
    Waiting {
        /// The store.
        store: &'a StoreName,
        /// Who holds it, where that is known.
        holder: Option<&'a Holder>,
    },
    /// The holder is dead, as this machine can tell; its lock is taken over.
    TakenOver {
        /// The store.
        store: &'a StoreName,
        /// Who held it.
        holder: &'a Holder,
    },
    /// A step begins, or goes on.
    Started(StepLabel<'a>),
    /// A step got further.
    Advanced {
        /// Which step.
        step: StepLabel<'a>,
        /// Rows, documents or keys changed by it in this run so far.
        changed: u64,
        /// How far it got through its records, if it goes through any.
        seen: Option<Seen>,
    },
    /// A step waits, because moving data on would harm the store.
    Throttled {
        /// Which step.
        step: StepLabel<'a>,
        /// Why.
        reason: &'a str,
    },
    /// Something about a step that its reader should know.
    Noted {
        /// Which step.
        step: StepLabel<'a>,
        /// What.
        note: &'a str,
    },
    /// Something about what is to come that its reader should know.
    Foreseen {
        /// Where.
        store: &'a StoreName,
        /// What.
        note: &'a str,
    },
    /// A step that is to run will take something away for good; said of all such steps before any step begins.
    Irreversible {
        /// Which step.
        step: StepLabel<'a>,
        /// What.
        loss: &'a Loss,
    },
    /// A step did not succeed and is tried again.
    Retrying {
        /// Which step.
        step: StepLabel<'a>,
        /// Why.
        error: &'a dunlin_core::Error,
        /// In how long.
        delay: Duration,
    },
    /// A step is complete.
    Finished {
        /// Which step.
        step: StepLabel<'a>,
        /// Rows, documents or keys changed by it in this run.
        changed: u64,
        /// Records that a verify step looked at, where it counted them.
        compared: u64,
        /// How long it took in this run.
        elapsed: Duration,
    },
    /// A follower went on for a moment.
    Followed {
        /// The migration.
        id: &'a MigrationId,
        /// Where.
        store: &'a StoreName,
        /// What it did.
        pulse: &'a Pulse,
        /// What was heard there in this run so far.
        heard: u64,
        /// What was brought in step there in this run so far.
        mended: u64,
    },
    /// A follower cannot begin yet.
    FollowerWaits {
        /// The migration.
        id: &'a MigrationId,
        /// Where.
        store: &'a StoreName,
        /// Why.
        reason: &'a str,
    },
    /// A follower broke off and begins again.
    FollowerLost {
        /// The migration.
        id: &'a MigrationId,
        /// Where.
        store: &'a StoreName,
        /// Why.
        error: &'a dunlin_core::Error,
        /// In how long.
        delay: Duration,
    },
    /// A follower is at its end.
    Unfollowed {
        /// The migration.
        id: &'a MigrationId,
        /// Where.
        store: &'a StoreName,
        /// Why.
        end: &'a End,
    },
}

/// Which step an event is about.
#[derive(Debug, Clone, Copy)]
pub struct StepLabel<'a> {
    /// The migration.
    pub id: &'a MigrationId,
    /// The store.
    pub store: &'a StoreName,
    /// The phase.
    pub phase: Phase,
    /// Forward or back.
    pub direction: Direction,
    /// What the step does, in a few words.
    pub summary: &'a str,
    /// What is run; nothing where the way back needs nothing.
    pub op: Option<&'a AnyOp>,
    /// Whether an earlier run began it.
    pub is_resumed: bool,
}

impl<'a> StepLabel<'a> {
    /// Of a planned step, in these words.
    pub(crate) fn of(item: &'a Item, summary: &'a str) -> Self {
        Self {
            id: item.migration.id(),
            store: &item.store,
            phase: item.phase,
            direction: item.direction,
            summary,
            op: item.op.as_ref(),
            is_resumed: item.is_begun,
        }
    }
}

/// Who listens.
pub type Report<'a> = &'a mut (dyn FnMut(Event<'_>) + Send);
