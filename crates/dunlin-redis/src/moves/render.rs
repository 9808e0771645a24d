//! Ops that go through keys, in words and commands.

mod commands;
mod form;
mod kept;
mod look;
mod settings;

use std::sync::Arc;

use dunlin_core::{AnyOp, Line, Op as CoreOp};

use super::{Differing, Existing, Form, Life, Look, Move, Pair, Shape, What};
use crate::before;
use crate::pattern::{inverts, is_one_slot, may_overlap};
use crate::quote::quote;
use commands::commands;
use settings::{canonical, settings};

fn scan(glob: &[u8], note: &str, span: Option<dunlin_core::Span>) -> Line {
    let text = format!("SCAN <cursor> MATCH {} COUNT <count>", quote(glob));
    Line { text, note: Some(note.to_owned()), span }
}

/// What an op sends to a cluster, whose slots part keys from their other names.
pub(crate) fn in_cluster(op: &dyn CoreOp) -> Vec<Line> {
    let parts = |pair: &Pair| !is_one_slot(&pair.from, &pair.to);
    if let Some(op) = op.kind::<Move>() {
        let is_crossing = match &op.what {
            What::Rename { pair, .. }
            | What::Copy { pair, .. }
            | What::Align { form: Form::Name(pair), .. } => parts(pair),
            _ => false,
        };
        return op.lines(is_crossing);
    }
    match op.kind::<Look>() {
        Some(look @ Look::InStep { form: Form::Name(pair), .. }) => look.lines(parts(pair)),
        _ => op.preview(),
    }
}

impl CoreOp for Move {
    fn summary(&self) -> String {
        match &self.what {
            What::Rename { pair, .. } => format!("rename {} to {}", pair.from.text(), pair.to.text()),
            What::Copy { pair, .. } => format!("copy {} to {}", pair.from.text(), pair.to.text()),
            What::Delete { keys, if_same_as: None, .. } => format!("delete {}", keys.text()),
            What::Delete { keys, if_same_as: Some(other), is_copy: true } => {
                format!("delete {}, the copies of {}", keys.text(), other.text())
            }
            What::Delete { keys, if_same_as: Some(other), .. } => {
                format!("delete {} where {} is the same", keys.text(), other.text())
            }
            What::Expire { keys, ttl: Some(_), .. } => format!("expire {}", keys.text()),
            What::Expire { keys, ttl: None, .. } => format!("keep {} for good", keys.text()),
            What::Convert { pair, is_back: true, .. } => {
                format!("delete {} made of {}", pair.to.text(), pair.from.text())
            }
            What::Convert { pair, into: Shape::Hash, .. } => {
                format!("write {} as hashes {}", pair.from.text(), pair.to.text())
            }
            What::Convert { pair, into: Shape::Text, .. } => {
                format!("write {} as JSON {}", pair.from.text(), pair.to.text())
            }
            What::RenameField { keys, from, to, .. } => {
                format!("rename field {from} of {} to {to}", keys.text())
            }
            What::Align { form, is_drop: false, .. } => {
                let (first, second) = form.words();
                format!("bring {second} in step with {first}")
            }
            What::Align { form, is_drop: true, .. } => {
                let (first, second) = form.words();
                format!("remove {first} where {second} is in step")
            }
            What::Archive { .. } | What::End { .. } | What::Restore { .. } => kept::summary(&self.what),
        }
    }

    fn preview(&self) -> Vec<Line> {
        self.lines(false)
    }

    fn canonical(&self) -> String {
        let (name, settings) = settings(&self.what);
        canonical(name, &settings)
    }

    fn course(&self) -> String {
        let what = match self.what.clone() {
            What::Rename { pair, .. } => What::Rename { pair, existing: Existing::Fail },
            What::Copy { pair, .. } => What::Copy { pair, existing: Existing::Fail, is_at_once: false },
            What::Convert { pair, into, is_back, .. } => {
                What::Convert { pair, into, is_lenient: false, is_back }
            }
            What::RenameField { keys, from, to, .. } => {
                What::RenameField { keys, from, to, existing: Existing::Fail }
            }
            What::Align { form, is_drop, .. } => What::Align { form, differing: Differing::Stop, is_drop },
            what => what,
        };
        let (name, settings) = settings(&what);
        canonical(name, &settings)
    }

    fn removes(&self) -> Vec<String> {
        let replaced = |pair: &Pair| vec![format!("what keys {} hold where they exist", pair.to.text())];
        match &self.what {
            // What would be lost is asked record by record.
            _ if self.life.loses.is_some() || self.life.gives_back => Vec::new(),
            What::Delete { keys, .. } => vec![format!("keys {}", keys.text())],
            What::Align { form, is_drop: true, .. } => vec![form.removes()],
            What::Archive { keys, keep, .. } => {
                vec![format!("keys {}; the archive has them for {} days", keys.text(), keep / 86_400_000)]
            }
            What::Rename { pair, existing: Existing::Replace }
            | What::Copy { pair, existing: Existing::Replace, .. } => replaced(pair),
            What::RenameField { keys, from, to, existing: Existing::Replace } => {
                vec![format!("field {to} of {} where {from} is there", keys.text())]
            }
            _ => Vec::new(),
        }
    }

    fn moves(&self) -> bool {
        true
    }

    fn undo(&self) -> Option<AnyOp> {
        let mut life = Life { tag: self.life.tag.clone(), is_back: true, ..Life::default() };
        let what = match &self.what {
            What::Rename { pair: Pair { from, to }, existing: Existing::Fail | Existing::Skip } => {
                let is_sound = inverts(to, from) && !may_overlap(to, from);
                let pair = Pair { from: to.clone(), to: from.clone() };
                is_sound.then_some(What::Rename { pair, existing: Existing::Skip })?
            }
            What::Copy { pair: Pair { from, to }, existing: Existing::Fail | Existing::Skip, .. } => {
                let form = Form::Name(Pair { from: to.clone(), to: from.clone() });
                let loss = Some(life.tag.clone());
                life.loses = Some(Look::InStep { form, differing: Differing::Stop, loss });
                What::Delete { keys: to.clone(), if_same_as: Some(from.clone()), is_copy: true }
            }
            What::Convert { pair, into, is_lenient, is_back: false } => {
                What::Convert { pair: pair.clone(), into: *into, is_lenient: *is_lenient, is_back: true }
            }
            What::RenameField { keys, from, to, existing: Existing::Fail | Existing::Skip } => {
                let (from, to) = (to.clone(), from.clone());
                What::RenameField { keys: keys.clone(), from, to, existing: Existing::Skip }
            }
            _ => return None,
        };
        Some(Arc::new(Self { what, span: self.span, life }))
    }

    fn touches(&self) -> Vec<String> {
        self.life.touches.clone()
    }

    fn loses(&self) -> Option<AnyOp> {
        self.life.loses.clone().map(|look| Arc::new(look) as AnyOp)
    }
}

impl Move {
    /// What it looks for before it writes anything.
    fn first(&self) -> Option<Line> {
        let (keys, existing, listed) = match &self.what {
            What::Rename { pair, existing } | What::Copy { pair, existing, .. } => {
                (&pair.to, existing, "first: names that are taken are listed, and nothing is written")
            }
            What::RenameField { keys, existing, .. } => {
                (keys, existing, "first: hashes that have both are listed, and nothing is written")
            }
            _ => return None,
        };
        let is_kept = !self.life.is_back && before::is_kept(self);
        let note = match existing {
            Existing::Fail => listed,
            _ if is_kept => "first: what is there already is remembered, for the way back to leave it alone",
            _ => return None,
        };
        Some(scan(&keys.glob(), note, self.span))
    }

    /// What it sends, where other names may live in other slots.
    fn lines(&self, is_crossing: bool) -> Vec<Line> {
        let mut lines: Vec<Line> = self.first().into_iter().collect();
        let glob = match &self.what {
            What::Restore { tag, .. } => format!("{{dunlin-*}}:archive:{tag}:*").into_bytes(),
            what => what.keys().glob(),
        };
        lines.push(scan(&glob, "on every primary, about 1 ms a page", self.span));
        let note = "for each key, many at once";
        lines.extend(commands(&self.what, is_crossing).into_iter().map(|text| Line {
            text,
            note: Some(note.to_owned()),
            span: self.span,
        }));
        lines
    }
}
