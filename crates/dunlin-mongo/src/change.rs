//! The changes of `[[change]]`: each is a whole change without downtime, unfolded into steps of all phases and their way
//! back. What the steps do is in [`crate::moves`], [`crate::check`] and, where the way back depends on what there was, in
//! [`keep`].

mod compute;
mod decode;
mod field;
mod index;
pub mod keep;
mod life;
mod pair;
mod path;
mod retype;
mod single;
pub mod staged;
mod validator;
mod whole;

use dunlin_core::{Diagnostic, Field, Part, suggest};

use crate::op::decode::Result;

/// The changes there are.
pub(crate) const CHANGES: [&str; 12] = [
    "rename_field",
    "move_fields",
    "transform",
    "change_type",
    "add_field",
    "drop_field",
    "create_collection",
    "drop_collection",
    "rename_collection",
    "add_index",
    "drop_index",
    "set_validator",
];

/// Unfolds a change.
pub(crate) fn unfold(change: &Field<'_>, tag: &str) -> Result<Vec<Part>> {
    let node = change.value;
    match change.name {
        "rename_field" => field::rename(node, tag),
        "move_fields" => field::moved(node, tag),
        "transform" => compute::transform(node, tag),
        "change_type" => retype::change_type(node, tag),
        "add_field" => single::add(node, tag),
        "drop_field" => single::remove(node, tag),
        "create_collection" => whole::create(node, tag),
        "drop_collection" => whole::remove(node, tag),
        "rename_collection" => whole::rename(node, tag),
        "add_index" => index::add(node, tag),
        "drop_index" => index::remove(node, tag),
        "set_validator" => validator::set(node, tag),
        other => {
            let unknown = Diagnostic::error("unknown-op", format!("unknown change `{other}`"));
            let help = suggest::help(other, CHANGES);
            Err(vec![unknown.at(node.span, "not known here").help(help)])
        }
    }
}
