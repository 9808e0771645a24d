//! SQLite: what fails or does nothing inside a transaction.

use crate::cursor::Cursor;

use super::{Class, refused};

pub(super) fn classify(first: &str, mut cursor: Cursor<'_>) -> Class {
    match first {
        "vacuum" => refused("VACUUM"),
        "attach" => refused("ATTACH"),
        "detach" => refused("DETACH"),
        "pragma" => pragma(&mut cursor),
        _ => Class::Ordinary,
    }
}

fn pragma(cursor: &mut Cursor<'_>) -> Class {
    let name = cursor.name().map(|name| name.name.to_ascii_lowercase()).unwrap_or_default();
    match name.as_str() {
        // Without a value it only asks.
        "foreign_keys" if !cursor.is_at_end() => Class::ForeignKeys,
        "journal_mode"
        | "synchronous"
        | "temp_store"
        | "temp_store_directory"
        | "wal_checkpoint"
        | "locking_mode"
        | "page_size"
        | "auto_vacuum"
        | "encoding"
        | "mmap_size" => refused(&format!("PRAGMA {name}")),
        _ => Class::Ordinary,
    }
}
