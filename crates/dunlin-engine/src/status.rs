//! Where does each store stand? Files and histories side by side; pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_core::{History, Migration, MigrationId, Phase, Record, State, Step, StoreName, Version};

use crate::lane;
use crate::plan::{self, Goal};

/// One migration.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// Its name: the file's, or the history's where there is no file.
    pub id: &'a MigrationId,
    /// What it does, in the author's words.
    pub summary: &'a str,
    /// Whether there is a file of it, or code.
    pub is_known: bool,
    /// Where it stands, store by store. A list: most have one or two, and there are thousands of rows.
    pub stores: Vec<(&'a StoreName, Standing<'a>)>,
}

/// Where a migration stands in one store.
#[derive(Debug, Clone)]
pub struct Standing<'a> {
    /// What the store remembers, if it was ever run there.
    pub record: Option<&'a Record>,
    /// How many steps it has there.
    pub steps: usize,
    /// How many of them `up` has still to run.
    pub open: usize,
    /// Whether nothing may be done here yet, though `up` itself has no step to run.
    pub waits: bool,
}

impl Standing<'_> {
    /// The word for people: a state, or `pending`.
    pub fn word(&self) -> &'static str {
        match self.record {
            Some(record) if record.state != State::Undone => record.state.word(),
            _ if self.open == 0 && self.steps > 0 && !self.waits => State::Expanded.word(),
            _ => "pending",
        }
    }

    /// Whether anything of `up` is left to do here.
    pub fn is_pending(&self) -> bool {
        let is_under_way = self.record.is_some_and(|record| !record.state.is_settled());
        self.open > 0 || self.waits || is_under_way
    }
}

impl<'a> Row<'a> {
    /// Where it stands in one store.
    pub fn in_store(&self, store: &StoreName) -> Option<&Standing<'a>> {
        self.stores.iter().find(|(name, _)| *name == store).map(|(_, standing)| standing)
    }

    /// Whether anything of `up` is left to do.
    pub fn is_pending(&self) -> bool {
        self.is_known && self.stores.iter().any(|(_, standing)| standing.is_pending())
    }

    /// Whether it never began, and has no steps before its contract.
    fn removes_alone(&self) -> bool {
        let is_new = |standing: &Standing<'_>| {
            standing.record.is_none_or(|record| record.state == State::Undone) && standing.open == 0
        };
        self.is_known && self.stores.iter().all(|(_, standing)| standing.steps > 0 && is_new(standing))
    }
}

/// All migrations, by version; those without a file that are `kept` have steps all the same. Stores without an entry in
/// `histories` are left out.
pub fn rows<'a>(
    migrations: &'a BTreeMap<Version, Arc<dyn Migration>>,
    kept: &'a BTreeMap<Version, Arc<dyn Migration>>,
    histories: &'a BTreeMap<StoreName, History>,
) -> Vec<Row<'a>> {
    let recorded = histories.values().flat_map(|history| history.records.values());
    let lost = recorded
        .filter(|record| record.state != State::Undone && !migrations.contains_key(&record.id.version))
        .map(|record| (&record.id.version, &record.id));
    let known = migrations.iter().map(|(version, migration)| (version, migration.id()));
    // A name that a file says comes last, and stays.
    let ids: BTreeMap<&Version, &MigrationId> = lost.chain(known).collect();
    let row = |(version, id)| {
        let mut row = row(id, [migrations, kept].map(|all| all.get(version)), histories);
        if row.removes_alone() && is_held_back(version, migrations, histories) {
            row.stores.iter_mut().for_each(|(_, standing)| standing.waits = true);
        }
        row
    };
    ids.into_iter().map(row).collect()
}

/// Whether even a contract of this migration would be held back.
fn is_held_back(
    version: &Version,
    migrations: &BTreeMap<Version, Arc<dyn Migration>>,
    histories: &BTreeMap<StoreName, History>,
) -> bool {
    let goal = Goal { only: Some(version.clone()), contract: true, to: None };
    plan::up(migrations, histories, &goal).is_ok_and(|plan| !plan.held_back.is_empty())
}

fn row<'a>(
    id: &'a MigrationId,
    [migration, kept]: [Option<&'a Arc<dyn Migration>>; 2],
    histories: &'a BTreeMap<StoreName, History>,
) -> Row<'a> {
    let mut stores = Vec::with_capacity(histories.len());
    for (store, history) in histories {
        let record = history.record(&id.version);
        let text = migration.or(kept);
        let steps = text.map(|migration| lane::steps(&**migration, store)).unwrap_or_default();
        if !steps.is_empty() || record.is_some() {
            let open = open(&steps, record.filter(|record| record.state != State::Undone));
            stores.push((store, Standing { record, steps: steps.len(), open, waits: false }));
        }
    }
    let summary = migration.map(|migration| migration.summary()).unwrap_or_default();
    Row { id, summary, is_known: migration.is_some(), stores }
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
pub fn pending<'r, 'a>(rows: &'r [Row<'a>]) -> Vec<&'r Row<'a>> {
    rows.iter().filter(|row| row.is_pending()).collect()
}
