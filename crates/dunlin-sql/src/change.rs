//! `[[change]]`: a whole safe change of a table, unfolded into steps of the four phases.

mod column;
mod decode;
pub(crate) mod index;
pub(crate) mod reshape;
mod rule;
mod table;

use std::sync::Arc;

use dunlin_core::{AnyOp, Checksum, Diagnostic, Field, Part, Phase, Undo};

use crate::dialect::Dialect;
use crate::evolve::{Draw, Evolve};
use crate::moves::decode::Reader;
use crate::op::Name;

/// The changes of SQL stores.
pub(crate) const CHANGES: [&str; 17] = [
    "create_table",
    "drop_table",
    "rename_table",
    "add_column",
    "drop_column",
    "rename_column",
    "change_type",
    "transform",
    "set_not_null",
    "drop_not_null",
    "set_default",
    "add_index",
    "drop_index",
    "add_unique",
    "add_check",
    "add_foreign_key",
    "sql",
];

/// The steps of a change.
pub(crate) fn unfold(dialect: Dialect, field: &Field<'_>) -> Result<Vec<Part>, Vec<Diagnostic>> {
    let tag = field.tag;
    let mut reader = Reader { dialect, faults: Vec::new() };
    let parts = match field.name {
        "sql" => return table::script(dialect, field),
        "create_table" | "drop_table" | "rename_table" => table::read(&mut reader, field, tag),
        "set_not_null" | "drop_not_null" | "set_default" => column::read(&mut reader, field, tag),
        "add_index" | "drop_index" | "add_unique" => index::read(&mut reader, field, tag),
        "add_check" | "add_foreign_key" => rule::read(&mut reader, field, tag),
        _ => reshape::read(&mut reader, field, tag),
    };
    match parts {
        Some(parts) if reader.faults.is_empty() => Ok(parts),
        _ => Err(reader.faults),
    }
}

/// What all steps of one change have in common.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) dialect: Dialect,
    pub(crate) table: Name,
    /// What begins the names of whatever it makes for itself.
    pub(crate) tag: Arc<str>,
    /// The change as it is hashed.
    pub(crate) canonical: String,
    /// What it has in hand until its contract.
    pub(crate) touches: Vec<String>,
    /// What it builds upon meanwhile.
    pub(crate) reads: Vec<String>,
}

impl Frame {
    /// A step of this change. `stage` tells it from the others when it is hashed.
    pub(crate) fn evolve(&self, stage: &str, summary: String, draw: impl Draw + 'static) -> Evolve {
        Evolve {
            dialect: self.dialect,
            summary,
            canonical: format!("{stage} 1 {}", self.canonical),
            table: self.table.clone(),
            other: None,
            touches: self.touches.clone(),
            reads: self.reads.clone(),
            removes: Vec::new(),
            loses: None,
            draw: Arc::new(draw),
        }
    }
}

pub(crate) fn part(phase: Phase, op: impl dunlin_core::Op, undo: Undo) -> Part {
    Part { phase, op: Arc::new(op), undo }
}

pub(crate) fn back(op: impl dunlin_core::Op) -> Undo {
    let op: AnyOp = Arc::new(op);
    Undo::Op(op)
}

pub(crate) fn nothing(reason: &str) -> Undo {
    Undo::Nothing { reason: reason.to_owned() }
}

/// So many bytes every server takes for a name.
const LONGEST: usize = 63;

/// A name of ours. What is longer than servers take is cut, and ends in a sum of the whole: names that begin alike stay
/// apart.
pub(crate) fn own_name(start: &str, rest: &str) -> String {
    let name = format!("{start}_{rest}");
    if name.len() <= LONGEST {
        return name;
    }
    let sum = &Checksum::of([&name]).to_string()[..8];
    let mut end = LONGEST - sum.len() - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{sum}", &name[..end])
}

/// What begins the name of everything that a contract sets aside.
pub(crate) const ARCHIVE: &str = "dunlin_archive_";

/// What a contract keeps of a column or a table until it is purged.
pub(crate) fn archived(tag: &str, what: &str) -> String {
    own_name(&format!("{ARCHIVE}{tag}"), what)
}
