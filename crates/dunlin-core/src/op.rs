//! An operation of one backend, as a value: shown before it runs, hashed, stored, and given to a session to advance.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::source::Span;

/// What one step does. Effects are data before they happen: an op that cannot be previewed does not exist.
pub trait Op: Any + fmt::Debug + Send + Sync {
    /// A few words: `create table users`.
    fn summary(&self) -> String;

    /// The exact statements, in order, as far as they are known without a store; [`crate::Store::preview`] knows more.
    fn preview(&self) -> Vec<Line>;

    /// The text that is hashed into the history: the same for two spellings that differ in formatting only. What this
    /// returns for an op must never change, or every history would report its migrations as edited.
    fn canonical(&self) -> String;

    /// The part of that text that must stay as it is for the op to go on where it was left half done: what it goes through,
    /// by what, and to which end. The rest holds for what is still to come, and may be edited.
    fn course(&self) -> String {
        self.canonical()
    }

    /// What running it takes away for good, in words: `table users`, `column users.email`. Said before it runs.
    fn removes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether it goes through records of the store, however many there are: it runs in chunks then, and waits while the
    /// store is under strain.
    fn moves(&self) -> bool {
        false
    }

    /// The way back, where the op itself knows it. What the author writes goes before this.
    fn undo(&self) -> Option<AnyOp> {
        None
    }

    /// Whether, in the contract phase, it takes nothing away: it catches up or keeps something aside, and runs before
    /// the proof that everything else there waits for.
    fn prepares(&self) -> bool {
        false
    }

    /// Whether, in the verify phase, it brings in step what applications write while both shapes are there, and nothing in
    /// the store does that by itself.
    fn follows(&self) -> bool {
        false
    }

    /// What it changes or builds upon, as paths: `users.email`. While a migration waits for its contract, no other one
    /// may touch what it touches, or a part of that, or what that is a part of.
    fn touches(&self) -> Vec<String> {
        Vec::new()
    }

    /// What it reads and leaves as it is, as paths like those of [`Op::touches`]. Others may read it, too; none may touch
    /// it meanwhile.
    fn reads(&self) -> Vec<String> {
        Vec::new()
    }

    /// What helps where this finds what must not be there, beside mending that: what its step, or the change it is a part of,
    /// may say in addition.
    fn remedy(&self) -> Option<String> {
        None
    }

    /// A verify op that finds the records that would lose something if this ran as a way back.
    fn loses(&self) -> Option<AnyOp> {
        None
    }

    /// Whether there is nothing to do: an empty file, a section of comments.
    fn is_empty(&self) -> bool {
        false
    }
}

/// An op of whatever backend.
pub type AnyOp = Arc<dyn Op>;

impl dyn Op {
    /// This op, if it is of that kind.
    pub fn kind<T: Op>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }

    /// This op as the type of the backend that must run it.
    pub fn own<T: Op>(&self) -> Result<&T> {
        self.kind().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("`{}` belongs to another kind of store", self.summary()),
            )
        })
    }
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The statement as it is sent.
    pub text: String,
    /// What is special about it: `runs outside a transaction`.
    pub note: Option<String>,
    /// Where it was written.
    pub span: Option<Span>,
}

impl Line {
    /// A statement with nothing special about it.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), note: None, span: None }
    }
}
