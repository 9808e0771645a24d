//! A SQL dialect as a backend.

use std::sync::Arc;

use dunlin_core::{
    AnyOp, AnyStore, Backend, Diagnostic, Field, Native, Part, Phase, Result, Source, Target, async_trait,
};

use crate::dialect::Dialect;
use crate::store::Store;
use crate::{change, moves, none, same};

/// The backend of one dialect.
///
/// # Changes
///
/// Each is a whole change without downtime: old and new clients live side by side until contract.
///
/// | Change | Keys | Does |
/// |---|---|---|
/// | `create_table` | `table`, `columns`; `options` | makes it; done after `up` |
/// | `drop_table` | `table` | contract renames it aside |
/// | `rename_table` | `table`, `to` | the new name is a view until contract, with the grants and the policies of the table (not on SQLite, which cannot write through one) |
/// | `add_column` | `table`, `column`, `type`; `default`, `backfill`, `not_null` | with `backfill`, an expression over the row, a trigger fills it where nobody says it until contract |
/// | `drop_column` | `table`, `column`; `down` | new clients may leave it out; contract renames it aside. `down` is what it is then |
/// | `rename_column` | `table`, `from`, `to` | both columns until contract, with their indexes, statistics, checks, foreign keys and defaults |
/// | `change_type` | `table`, `column`, `type`, `up`, `down` | another column behind it until contract, which gives it the name |
/// | `transform` | `table`, `up = { new = { type, as, not_null? } }`, `down = { old = expr }` | new columns out of old ones, and back |
/// | `set_not_null` | `table`, `column`; `fill` | `fill` takes the place of NULLs until contract forbids them |
/// | `drop_not_null` | `table`, `column`; `fill` | done after `up`, and NULL may be written; `fill` takes its place on the way back |
/// | `set_default` | `table`, `column`; `default`, `down` | done after `up`; `down` is the one before |
/// | `add_index` | `table`, `columns`; `name`, `unique`, `where` | built beside the writers; a unique one by contract, once no duplicate is found; no `where` on MySQL |
/// | `drop_index` | `table`, `name`; `columns`, `unique`, `where` | hidden where the server can, dropped by contract, brought back as it was; the rest says how where the journal is gone; no index of a constraint |
/// | `add_unique` | `table`, `columns`; `name` | duplicates are listed first, contract makes the rule |
/// | `add_check` | `table`, `check`; `name` | rows that break it are listed first, contract makes the rule |
/// | `add_foreign_key` | `table`, `column`, `references`, `to`; `name`, `on_delete` | orphans are listed first, contract makes the rule |
/// | `sql` | `up`, `down` | statements of your own |
///
/// **In step.** A row is in step if its new columns are what its old ones lead to, or its old ones what its new ones lead
/// back to. Where an insert or an update leaves it out of step, triggers let the side that was not written follow; a client
/// that writes both is left alone. An expression that fails gives NULL, so that no writer fails by it, and verify lists
/// the row; so does `down`, which leaves NULL there once that loss is allowed. SQLite's triggers catch nothing: what reads
/// JSON there must ask `json_valid` first, and is refused otherwise. On SQLite, whose triggers come after the row, a user's own UPDATE triggers see that as a second update.
///
/// **Contract** renames what leaves aside, to `dunlin_archive_<version>_<n>_<name>`, at no cost; `dunlin purge` drops it. The
/// way back renames it back, after the rows written meanwhile were filled. Columns of a primary key, columns that others
/// point at, and computed columns are refused; so is what would take the only key from under rows that are still gone
/// through.
///
/// The statements are drawn for the table as it is when a step runs; `dunlin plan` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sql(pub Dialect);

#[async_trait]
impl Backend for Sql {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn schemes(&self) -> &'static [&'static str] {
        match self.0 {
            Dialect::Postgres => &["postgres", "postgresql"],
            Dialect::MySql => &["mysql", "mariadb"],
            Dialect::Sqlite => &["sqlite"],
        }
    }

    fn extension(&self) -> &'static str {
        "sql"
    }

    fn ops(&self) -> &'static [&'static str] {
        &["sql", "update", "insert_select", "delete", "none", "same"]
    }

    fn read(&self, file: &Source, down: Option<&Source>) -> Native {
        crate::read(self.0, file, down)
    }

    fn decode(&self, phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
        match field.name {
            "update" | "insert_select" | "delete" => moves::decode::decode(self.0, phase, field),
            "none" => none::decode(self.0, phase, field),
            "same" => same::decode(self.0, phase, field),
            _ => crate::decode(self.0, phase, field),
        }
    }

    fn waits_for_locks(&self) -> bool {
        true
    }

    fn changes(&self) -> &'static [&'static str] {
        &change::CHANGES
    }

    fn unfold(&self, change: &Field<'_>) -> Result<Vec<Part>, Vec<Diagnostic>> {
        change::unfold(self.0, change)
    }

    fn template(&self) -> &'static str {
        "-- Up\n\n\n-- Down\n\n"
    }

    async fn connect(&self, target: &Target) -> Result<AnyStore> {
        Ok(Arc::new(Store::connect(self.0, target).await?))
    }
}
