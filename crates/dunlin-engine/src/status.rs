//! Where does each store stand? Files and histories side by side; pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_core::{History, Migration, MigrationId, Phase, Record, State, Step, StoreName, Version};

use crate::lane;

/// One migration.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name: the file's, or the history's where there is no file.
    pub id: MigrationId,
    /// What it does, in the author's words.
    pub summary: String,
    /// Whether there is a file of it, or code.
    pub is_known: bool,
    /// Where it stands, store by store.
    pub stores: BTreeMap<StoreName, Standing>,
}

/// Where a migration stands in one store.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What the store remembers, if it was ever run there.
    pub record: Option<Record>,
    /// How many steps it has there.
    pub steps: usize,
    /// How many of them `up` has still to run.
    pub open: usize,
}

impl Standing {
    /// The word for people: a state, or `pending`.
    pub fn word(&self) -> &'static str {
        match &self.record {
            Some(record) if record.state != State::Undone => record.state.word(),
            _ if self.open == 0 && self.steps > 0 => State::Expanded.word(),
            _ => "pending",
        }
    }

    /// Whether anything of `up` is left to do here.
    pub fn is_pending(&self) -> bool {
        let is_under_way = self.record.as_ref().is_some_and(|record| !record.state.is_settled());
        self.open > 0 || is_under_way
    }
}

impl Row {
    /// Whether anything of `up` is left to do.
    pub fn is_pending(&self) -> bool {
        self.is_known && self.stores.values().any(Standing::is_pending)
    }
}

/// All migrations, by version. Stores without an entry in `histories` are left out.
pub fn rows(
    migrations: &BTreeMap<Version, Arc<dyn Migration>>,
    histories: &BTreeMap<StoreName, History>,
) -> Vec<Row> {
    let recorded = histories.values().flat_map(|history| history.records.values());
    let lost = recorded
        .filter(|record| record.state != State::Undone && !migrations.contains_key(&record.id.version));
    let versions: BTreeSet<&Version> =
        migrations.keys().chain(lost.map(|record| &record.id.version)).collect();
    versions.into_iter().map(|version| row(version, migrations.get(version), histories)).collect()
}

fn row(
    version: &Version,
    migration: Option<&Arc<dyn Migration>>,
    histories: &BTreeMap<StoreName, History>,
) -> Row {
    let mut stores = BTreeMap::new();
    for (store, history) in histories {
        let record = history.records.get(version).cloned();
        let steps = migration.map(|migration| lane::steps(&**migration, store)).unwrap_or_default();
        if !steps.is_empty() || record.is_some() {
            let open = open(&steps, history.live(version));
            stores.insert(store.clone(), Standing { record, steps: steps.len(), open });
        }
    }
    let recorded =
        stores.values().find_map(|standing| standing.record.as_ref()).map(|record| record.id.clone());
    let id = migration.map(|migration| migration.id().clone()).or(recorded);
    Row {
        id: id.unwrap_or_else(|| MigrationId { version: version.clone(), slug: "".into() }),
        summary: migration.map(|migration| migration.summary().to_owned()).unwrap_or_default(),
        is_known: migration.is_some(),
        stores,
    }
}

/// How many steps before contract are still to run.
fn open(steps: &[&Step], record: Option<&Record>) -> usize {
    let complete = match record {
        Some(record) if record.state == State::Done => steps.len(),
        Some(record) => record.steps.len(),
        None => 0,
    };
    steps.iter().skip(complete).filter(|step| step.phase != Phase::Contract).count()
}

/// The stores a migration still has to run in, for a sentence about it.
pub fn pending(rows: &[Row]) -> Vec<&Row> {
    rows.iter().filter(|row| row.is_pending()).collect()
}
