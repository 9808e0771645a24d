//! The changes of `[[change]]`: each a whole change without downtime, unfolded into steps of all phases and their way
//! back. The steps are ops of [`crate::moves`]; here is only which of them make up a change.

mod encoding;
mod fields;
mod keys;
pub(crate) mod names;

use std::sync::Arc;

use dunlin_core::{Diagnostic, Field, Op, Part, Phase, Span, Undo, suggest};

use crate::moves::decode::Reader;
use crate::moves::{Differing, Form, Life, Look, Move, What};
use crate::pattern::Pattern;

/// The changes there are.
pub(crate) const CHANGES: [&str; 5] =
    ["rename_keys", "change_encoding", "rename_hash_field", "set_ttl", "delete_keys"];

/// Unfolds a change.
pub(crate) fn unfold(change: &Field<'_>) -> Result<Vec<Part>, Vec<Diagnostic>> {
    let (node, span, tag) = (change.value, change.value.span, change.tag);
    match change.name {
        "rename_keys" => Reader::read(node, |reader| names::rename(reader, (span, tag))),
        "change_encoding" => Reader::read(node, |reader| encoding::change(reader, (span, tag))),
        "rename_hash_field" => Reader::read(node, |reader| fields::rename(reader, (span, tag))),
        "set_ttl" => Reader::read(node, |reader| keys::set_ttl(reader, (span, tag))),
        "delete_keys" => Reader::read(node, |reader| keys::delete(reader, (span, tag))),
        other => {
            let unknown = Diagnostic::error("unknown-key", format!("unknown change `{other}`"));
            let help = suggest::help(other, CHANGES);
            Err(vec![unknown.at(span, "not known here").help(help)])
        }
    }
}

/// Which of two values is right that are both there and differ: of which application it is known that it is the one that
/// writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wins {
    Nobody,
    Old,
    New,
}

impl Wins {
    pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Self> {
        reader.choice("wins", &[("old", Self::Old), ("new", Self::New)], Self::Nobody)
    }

    /// What that means for those who go through the old shape.
    pub(crate) fn of_old(self) -> Differing {
        match self {
            Self::Nobody => Differing::Stop,
            Self::Old => Differing::First,
            Self::New => Differing::Second,
        }
    }

    /// And for those who go through the new one, to take it back: what would be lost is listed before they do.
    fn of_new(self) -> Differing {
        match self {
            Self::Nobody | Self::Old => Differing::Second,
            Self::New => Differing::First,
        }
    }
}

/// What all steps of a change have in common.
struct Frame {
    span: Span,
    touches: Vec<String>,
    wins: Wins,
    tag: String,
}

impl Frame {
    fn new((span, tag): (Span, &str), patterns: &[&Pattern], wins: Wins) -> Self {
        let touches = patterns.iter().map(|pattern| pattern.starred()).collect();
        Self { span, touches, wins, tag: tag.to_owned() }
    }

    fn op(&self, what: What) -> Move {
        let life = Life { tag: self.tag.clone(), touches: self.touches.clone(), ..Life::default() };
        Move { what, span: Some(self.span), life }
    }

    /// Takes the new shape away, once what is only there is in the old one, too.
    fn unfill(&self, form: &Form) -> Move {
        let turned = form.turned();
        let look =
            Look::InStep { form: turned.clone(), differing: Differing::Stop, loss: Some(self.tag.clone()) };
        let mut op = self.op(What::Align { form: turned, differing: self.wins.of_new(), is_drop: true });
        op.life.loses = (self.wins != Wins::New).then_some(look);
        (op.life.is_back, op.life.gives_back) = (true, self.wins == Wins::New);
        op
    }

    /// The steps from verify on: compare and catch up, remove; `rebuild` makes the old shape anew.
    fn later(&self, form: &Form, mut rebuild: Move) -> Vec<Part> {
        rebuild.life.is_back = true;
        let differing = self.wins.of_old();
        // Asked again before contract, by whoever holds the lock: that brings in step what was written since.
        let look = Look::InStep { form: form.clone(), differing, loss: None };
        let remove = self.op(What::Align { form: form.clone(), differing, is_drop: true });
        vec![one_way(Phase::Verify, look, "it took nothing away"), part(Phase::Contract, remove, rebuild)]
    }
}

fn part(phase: Phase, op: Move, undo: Move) -> Part {
    Part { phase, op: Arc::new(op), undo: Undo::Op(Arc::new(undo)) }
}

fn one_way(phase: Phase, op: impl Op, reason: &str) -> Part {
    Part { phase, op: Arc::new(op), undo: Undo::Nothing { reason: reason.to_owned() } }
}
