//! The changes of `[[change]]`: each is a whole change without downtime, unfolded into steps of all phases and their way
//! back. What the steps do is in [`crate::moves`], [`crate::check`] and, where the way back depends on what there was, in
//! [`keep`].
//!
//! # The changes
//!
//! | Change | Keys | Until the contract | The contract |
//! |---|---|---|---|
//! | `rename_field` | `collection`, `from`, `to`, … | both fields; nested (`a.b`), and in the elements of lists (`items.price` to `items.cost`), but not of lists in lists | takes the old one away |
//! | `move_fields` | `collection`, `fields = { "a.b" = "c" }`, … | both places; not out of lists or into them | takes the old ones away, and what held nothing else |
//! | `transform` | `collection`, `up = { new = expr }`, `down = { old = expr }` or `from = ["old"]`, `archive?`, … | both | archives the old ones, takes them away |
//! | `change_type` | `collection`, `field`, `to`, `as`, `was?`, `on_error?`, … | `as` beside `field` | archives `field`, takes it away |
//! | `change_type` | the same without `as` | `field` as it was: new clients read both types | archives and converts it in its place |
//! | `add_field` | `collection`, `field`, `default` or `expr`, … | the field; done after `up` | |
//! | `drop_field` | `collection`, `field`, … | the field | archives it, takes it away |
//! | `create_collection` | `collection`, `options?`, `validator?`, `indexes?` | the collection; done after `up` | |
//! | `drop_collection` | `collection` | the collection | renames it to `dunlin_archive_<version>_<n>_<name>` |
//! | `rename_collection` | `from`, `to` | `to` is a view: read it, and write `from` | drops the view, renames the collection |
//! | `add_index` | `collection`, `keys`, `unique?`, `name?`, `options?` | duplicates are listed, then it is built; done after `up` | |
//! | `drop_index` | `collection`, `name` or `keys` | the index is hidden | drops it |
//! | `set_validator` | `collection`, `validator` or `schema` | warns, for valid documents (`moderate`) | refuses (`strict`), once no document breaks it |
//!
//! "…" are the keys of every change of fields: `filter` (only these documents), `schema_version = n` (a document that gets the
//! new shape gets `schema_version: n`; the way back gives `n - 1`, and takes the field away where that is 1), and `differing`.
//! `on_error` is `fail` (such values are listed before anything is changed), `keep`, `null`, or `quarantine` (in its place
//! only: the documents are moved into `dunlin_archive_<version>_<n>_quarantine`). `was` is the type that what was written
//! since gets on the way back.
//! Text is compared byte by byte, in `filter` too, whatever the collation of the collection.
//!
//! # Which side counts
//!
//! MongoDB has no triggers, so nothing but the applications and dunlin writes the second shape. The rule is that *the old
//! field leads until the contract*:
//!
//! - Old clients read and write the old field, and know of nothing.
//! - New clients read the old field where the document has it and the new one where it does not, and write both. They go on
//!   writing both until the contract is done; from then on they write the new one alone.
//!
//! Then both see every write at once, whenever dunlin comes by. Where both fields are there and differ, an old client wrote
//! last: the new one is made anew from the old one, by the verify step, by the catch-up that the contract begins with, and
//! by the removal itself. A new client that writes the new field alone breaks the rule, and what it wrote is lost to the old
//! value; `dunlin verify`, which changes nothing, lists such documents. `differing = "stop"` makes them stop the contract
//! instead of deciding for the old side: then whatever an old client updated after the backfill stops it as well.
//!
//! In step is a document whose new fields are what the old ones lead to, or whose old ones are what the new ones lead back
//! to. The removal takes the old fields of a document away in one atomic update that looks whether it is in step, so what
//! an old client writes meanwhile is copied, or stays. What is written after that as an old field, by an old client or by a
//! new one that still writes both, is left over, and nobody takes it away: see that no old client runs any more, contract,
//! then deploy the client that knows the new field alone.
//!
//! # The way back
//!
//! Before the contract, documents that only have the new fields get the old ones, and the new ones go; `dunlin down` lists
//! beforehand the documents whose new value the old shape cannot say. After it the old fields are made of the new ones, from
//! the archive where what it holds still leads to the new value, by `down` elsewhere, and what was written since is
//! included. A document that has an old field by then keeps it; where that is not what the new one leads back to, `dunlin
//! down` lists it beforehand. Without `down` nothing leads back but the archive.
//!
//! Indexes over a field that leaves are exchanged at the contract, before the field goes: each gets its like over the new
//! field (`rename_field`, `move_fields`, `change_type` with `as`) and is dropped; where no one field takes the old one's
//! place, it is only dropped. `down` makes them again. Validators are not changed by changes of fields: of one that asks for
//! the old field `plan` and `up` say so, and it refuses the contract, before anything of that runs, until `set_validator` lets
//! it take the new shape.
//!
//! What is remembered of indexes and validators is in `dunlin_shape`. A renamed collection is gone under both names for the
//! moment between the two commands of the contract: a client that reads then finds nothing. Fields in lists need MongoDB 5.0,
//! archives of fields a replica set.

pub(crate) mod carry;
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
pub(crate) fn unfold(change: &Field<'_>) -> Result<Vec<Part>> {
    let (node, tag) = (change.value, change.tag);
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
