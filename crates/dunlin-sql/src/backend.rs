//! A SQL dialect as a backend.

use std::sync::Arc;

use dunlin_core::{
    AnyOp, AnyStore, Backend, Diagnostic, Field, Native, Part, Phase, Result, Source, Target, async_trait,
};

use crate::dialect::Dialect;
use crate::store::Store;
use crate::{change, moves, none, same};

/// The backend of one dialect.
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

    fn unfold(&self, change: &Field<'_>, tag: &str) -> Result<Vec<Part>, Vec<Diagnostic>> {
        change::unfold(self.0, change, tag)
    }

    fn template(&self) -> &'static str {
        "-- Up\n\n\n-- Down\n\n"
    }

    async fn connect(&self, target: &Target) -> Result<AnyStore> {
        Ok(Arc::new(Store::connect(self.0, target).await?))
    }
}
