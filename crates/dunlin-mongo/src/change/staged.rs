//! A step of a change: an op of ours, and what is to be known about it beyond what it does.

use dunlin_core::{AnyOp, Line, Op as CoreOp, Span};

use super::carry::Heir;
use super::keep::Keep;
use crate::moves::Move;
use crate::op::Op;

/// A step of a change.
#[derive(Debug, Clone)]
pub struct Staged {
    /// What it does.
    pub task: Task,
    /// A few words.
    pub summary: String,
    /// The paths it changes or builds upon.
    pub touches: Vec<String>,
    /// What it takes away.
    pub removes: Vec<String>,
    /// Whether it only prepares a contract.
    pub prepares: bool,
    /// What finds the documents that it would make poorer.
    pub loses: Option<AnyOp>,
    /// What must be so for it to run.
    pub needs: Option<Need>,
}

/// What must be so for a step to run, and can be seen before.
#[derive(Debug, Clone)]
pub enum Need {
    /// This is a collection, and no view.
    Collection(String, Option<Span>),
    /// The collection's validator takes documents without these fields.
    Release {
        /// The collection.
        collection: String,
        /// The fields.
        fields: Vec<String>,
        /// Where it was written.
        span: Option<Span>,
    },
    /// What is unique stays so.
    Unique(Exchange),
}

/// An exchange of the indexes over fields that leave, or the way back from it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The collection.
    pub collection: String,
    /// The fields.
    pub heirs: Vec<Heir>,
    /// Whether it is the way back.
    pub is_back: bool,
    /// Under what it is remembered.
    pub tag: String,
    /// Where the values are that nothing takes the place of.
    pub archive: String,
    /// Where it was written.
    pub span: Option<Span>,
}

/// What a step of a change does.
#[derive(Debug, Clone)]
pub enum Task {
    /// Goes through documents.
    Walk(Move),
    /// Sends commands.
    Commands(Op),
    /// Changes the shape of a collection, and remembers what it was.
    Keep(Keep),
}

impl Staged {
    /// A step of which nothing more is to be known.
    pub(super) fn new(task: Task, summary: String) -> Self {
        Self {
            task,
            summary,
            touches: Vec::new(),
            removes: Vec::new(),
            prepares: false,
            loses: None,
            needs: None,
        }
    }

    fn op(&self) -> &dyn CoreOp {
        match &self.task {
            Task::Walk(walk) => walk,
            Task::Commands(commands) => commands,
            Task::Keep(keep) => keep,
        }
    }
}

impl CoreOp for Staged {
    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn preview(&self) -> Vec<Line> {
        self.op().preview()
    }

    fn canonical(&self) -> String {
        self.op().canonical()
    }

    fn removes(&self) -> Vec<String> {
        self.removes.clone()
    }

    fn moves(&self) -> bool {
        self.op().moves()
    }

    fn prepares(&self) -> bool {
        self.prepares
    }

    fn touches(&self) -> Vec<String> {
        self.touches.clone()
    }

    fn loses(&self) -> Option<AnyOp> {
        self.loses.clone()
    }
}

/// What must be so for an op to run.
pub(crate) fn need(op: &dyn CoreOp) -> Option<&Need> {
    op.kind::<Staged>()?.needs.as_ref()
}

/// The walk that an op is, by itself or as a step of a change.
pub(crate) fn walk(op: &dyn CoreOp) -> Option<&Move> {
    match op.kind::<Staged>() {
        Some(Staged { task: Task::Walk(walk), .. }) => Some(walk),
        Some(_) => None,
        None => op.kind(),
    }
}

/// The commands that an op is, by itself or as a step of a change.
pub(crate) fn commands(op: &dyn CoreOp) -> dunlin_core::Result<&Op> {
    match op.kind::<Staged>() {
        Some(Staged { task: Task::Commands(commands), .. }) => Ok(commands),
        _ => op.own(),
    }
}

/// The change of a shape that an op is.
pub(crate) fn keep(op: &dyn CoreOp) -> Option<&Keep> {
    match op.kind::<Staged>() {
        Some(Staged { task: Task::Keep(keep), .. }) => Some(keep),
        _ => None,
    }
}
