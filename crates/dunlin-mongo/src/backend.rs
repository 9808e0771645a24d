//! The backend: what the engine knows MongoDB by.

use dunlin_core::{
    AnyOp, AnyStore, Backend, Diagnostic, Field, Native, Part, Phase, Result, Source, Target, async_trait,
};

use crate::{change, connect, op, read};

/// MongoDB: replica sets, sharded clusters, and single servers without a replica set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mongo;

#[async_trait]
impl Backend for Mongo {
    fn name(&self) -> &'static str {
        "MongoDB"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["mongodb", "mongodb+srv"]
    }

    fn extension(&self) -> &'static str {
        "js"
    }

    fn ops(&self) -> &'static [&'static str] {
        &op::decode::OPS
    }

    fn read(&self, file: &Source, down: Option<&Source>) -> Native {
        read::read(file, down)
    }

    fn decode(&self, phase: Phase, field: &Field<'_>) -> Result<AnyOp, Vec<Diagnostic>> {
        op::decode::decode(phase, field)
    }

    fn waits_for_locks(&self) -> bool {
        true
    }

    fn changes(&self) -> &'static [&'static str] {
        &change::CHANGES
    }

    fn unfold(&self, change: &Field<'_>) -> Result<Vec<Part>, Vec<Diagnostic>> {
        change::unfold(change)
    }

    fn template(&self) -> &'static str {
        read::TEMPLATE
    }

    async fn connect(&self, target: &Target) -> Result<AnyStore> {
        connect::connect(target).await
    }
}
