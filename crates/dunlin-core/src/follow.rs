//! Keeping two shapes in step while applications write both: what a follower is told, what it says of itself, and when it
//! may write at all.
//!
//! Stores that have no triggers report what was written: MongoDB in its change streams, Redis in keyspace notifications. A
//! follower listens, and brings in step what it hears of, by the rule that the verify step of the change goes by. What it
//! hears is a hint and no more: the record is read anew, and what was not heard is found by the next pass.
//!
//! A follower holds no lock. What keeps it from writing once the old shape is being removed, or the new one taken back, is
//! the store itself: a follower is *open* there only while the record stands within the [`Window`], it writes only while it
//! is open, and the step that removes closes it before it removes anything. How, each backend says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::history::{Author, Record, State, Timestamp};
use crate::id::{MigrationId, Version};
use crate::op::AnyOp;
use crate::pace::Pace;
use crate::position::Seen;
use crate::store::Violation;

/// What is to be followed: one migration in one store.
#[derive(Debug, Clone, Copy)]
pub struct Follow<'a> {
    /// The migration.
    pub id: &'a MigrationId,
    /// Its verify ops that follow, see [`crate::Op::follows`].
    pub ops: &'a [AnyOp],
    /// When it may be followed.
    pub window: Window,
    /// Who follows.
    pub author: &'a Author,
    /// How to go about a pass.
    pub pace: &'a Pace,
    /// Whether a setting of the server that is in the way may be changed.
    pub configures: bool,
}

/// The part of a migration's steps in one store while both shapes are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many steps come before the first that compares the shapes.
    pub from: usize,
    /// How many come before the first that removes one.
    pub to: usize,
}

/// Where a record is with regard to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// The second shape is not whole yet.
    Before,
    /// Both are there.
    Within,
    /// The first is being removed, or is gone.
    Contracted,
    /// The second is being taken back, or is gone; or it was never there.
    Back,
}

impl Window {
    /// Where a record is.
    pub fn stand(self, record: Option<&Record>) -> Stand {
        match record {
            Some(record) if record.state == State::Done => Stand::Contracted,
            Some(record) if matches!(record.state, State::Undoing | State::Undone) => Stand::Back,
            Some(record) if record.steps.len() < self.from => Stand::Before,
            Some(record) if record.steps.len() < self.to => Stand::Within,
            Some(record) if record.steps.len() == self.to && record.checkpoint.is_none() => Stand::Within,
            Some(_) => Stand::Contracted,
            None => Stand::Back,
        }
    }
}

/// A migration that is being followed in one store.
#[async_trait]
pub trait Follower: fmt::Debug + Send {
    /// Goes on for a moment: a bout of a pass, or what was heard; less than a second while nothing is.
    async fn advance(&mut self) -> Result<Pulse>;

    /// Why a pass should wait for a while, if for anything: a replica that is behind, clients that wait.
    async fn strain(&mut self) -> Result<Option<String>>;

    /// Ends it. What it knows is kept for the next one, unless nothing is left to be followed.
    async fn close(self: Box<Self>, is_over: bool) -> Result<()>;
}

/// What a follower did in one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// What it is doing.
    pub doing: Doing,
    /// What it heard of.
    pub heard: u64,
    /// Records it brought in step.
    pub mended: u64,
    /// Records that it could not bring in step, as many as are shown.
    pub left: Vec<Violation>,
    /// How long the oldest thing it heard of waited until it was seen to; nothing while there is none.
    pub lag: Duration,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Pulse {
    /// Nothing was heard.
    pub fn of(doing: Doing) -> Self {
        Self { doing, heard: 0, mended: 0, left: Vec::new(), lag: Duration::ZERO, notes: Vec::new() }
    }
}

/// What a follower is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// It goes through all records, since something may have been missed; so far.
    Pass(Option<Seen>),
    /// It listens.
    Live,
    /// It was closed: the history says why.
    Closed,
    /// There is nothing left to follow: what was followed is gone, in words.
    Lost(String),
}

/// What a store knows of whoever follows a migration, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The migration.
    pub version: Version,
    /// The user.
    pub who: Arc<str>,
    /// The machine.
    pub host: Arc<str>,
    /// When it last said something.
    pub at: Timestamp,
    /// How long ago that is, by the clock of the store, where that is known.
    pub silent: Option<Duration>,
    /// What it did then.
    pub activity: Activity,
    /// How far it was behind then.
    pub lag: Duration,
    /// How much was heard since somebody first followed.
    pub heard: u64,
    /// How many records were brought in step since.
    pub mended: u64,
}

/// What a follower said last of what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It went through all records.
    Pass,
    /// It listened.
    Live,
    /// It ended.
    Stopped,
}

impl Activity {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Live => "live",
            Self::Stopped => "stopped",
        }
    }

    /// What a stored word says; whoever wrote another one is not followed by us.
    pub fn of(word: &str) -> Self {
        [Self::Pass, Self::Live].into_iter().find(|known| known.word() == word).unwrap_or(Self::Stopped)
    }
}

/// How long a follower may say nothing before it is taken to be gone.
pub const SILENT: Duration = Duration::from_secs(15);

impl Followed {
    /// Whether somebody follows now, as far as the store can tell.
    pub fn is_alive(&self) -> bool {
        self.activity != Activity::Stopped && self.silent.is_none_or(|silent| silent < SILENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Checkpoint, Origin};
    use crate::id::{Checksum, RunId};
    use crate::migration::Phase;

    fn record(state: State, steps: usize, is_begun: bool) -> Record {
        let author = Author { run: RunId("r".into()), who: "w".into(), host: "h".into(), tool: "t".into() };
        let version = Version::parse("1").unwrap();
        Record {
            id: MigrationId { version, slug: "s".into() },
            state,
            phase: Phase::Verify,
            origin: Origin::Run,
            steps: vec![Checksum::of(["x"]); steps],
            checkpoint: is_begun.then(|| Checkpoint("{}".into())),
            text: Checksum::of(["x"]),
            author: author.into(),
            started: None,
            finished: None,
            rows: 0,
            note: None,
        }
    }

    #[test]
    fn only_while_both_shapes_are_there() {
        let window = Window { from: 1, to: 3 };
        let stand = |state, steps, is_begun| window.stand(Some(&record(state, steps, is_begun)));
        assert_eq!(stand(State::Applying, 0, true), Stand::Before);
        for (steps, is_begun) in [(1, false), (1, true), (2, true), (3, false)] {
            assert_eq!(stand(State::Applying, steps, is_begun), Stand::Within, "{steps} {is_begun}");
        }
        assert_eq!(stand(State::Expanded, 2, false), Stand::Within);
        assert_eq!(stand(State::Applying, 3, true), Stand::Contracted);
        assert_eq!(stand(State::Applying, 4, false), Stand::Contracted);
        assert_eq!(stand(State::Done, 4, false), Stand::Contracted);
        for state in [State::Undoing, State::Undone] {
            assert_eq!(stand(state, 2, false), Stand::Back);
        }
        assert_eq!(window.stand(None), Stand::Back);
    }
}
