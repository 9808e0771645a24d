//! Migrations written in Rust, and histories as their steps would leave them.

use std::sync::Arc;

use dunlin_core::{History, Migration, MigrationId, Origin, Phase, Record, State, Step, StoreName, Version};
use dunlin_engine::run::{Histories, Migrations};
use dunlin_engine::{Direction, Goal, Item, Plan, lane, plan};

use super::world::{author, version};
use crate::memory::Script;

/// A migration written in Rust.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) id: MigrationId,
    pub(super) needs: Vec<Version>,
    pub(super) steps: Vec<Step>,
}

impl Migration for Plain {
    fn id(&self) -> &MigrationId {
        &self.id
    }

    fn needs(&self) -> &[Version] {
        &self.needs
    }

    fn steps(&self) -> &[Step] {
        &self.steps
    }
}

pub(super) fn script(text: String) -> Arc<Script> {
    Arc::new(Script(vec![text]))
}

pub(super) fn plain(number: usize, needs: &[usize], steps: &[(&str, Phase)]) -> Plain {
    let step = |(index, (store, phase)): (usize, &(&str, Phase))| {
        Step::new(*phase, *store, script(format!("add {number}-{index}")))
            .undo(script(format!("drop {number}-{index}")))
    };
    Plain {
        id: MigrationId { version: version(&number.to_string()), slug: "m".into() },
        needs: needs.iter().map(|number| version(&number.to_string())).collect(),
        steps: steps.iter().enumerate().map(step).collect(),
    }
}

pub(super) fn collected(all: impl IntoIterator<Item = Plain>) -> Migrations {
    all.into_iter().map(|one| (one.id.version.clone(), Arc::new(one) as Arc<dyn Migration>)).collect()
}

pub(super) fn empty(stores: &[&str]) -> Histories {
    stores.iter().map(|store| (StoreName::from(*store), History::default())).collect()
}

pub(super) fn label(item: &Item) -> (String, String, usize) {
    (item.migration.id().version.to_string(), item.store.to_string(), item.index)
}

pub(super) fn labels(plan: &Plan) -> Vec<(String, String, usize)> {
    plan.items.iter().map(label).collect()
}

pub(super) fn versions(plan: &Plan) -> Vec<String> {
    let mut versions: Vec<String> =
        plan.items.iter().map(|item| item.migration.id().version.to_string()).collect();
    versions.dedup();
    versions
}

pub(super) fn up(migrations: &Migrations, histories: &Histories, goal: &Goal) -> Plan {
    plan::up(migrations, histories, goal).unwrap()
}

/// What the histories say once an item is complete.
pub(super) fn complete(histories: &mut Histories, item: &Item) {
    let records = &mut histories.get_mut(&item.store).unwrap().records;
    let id = item.migration.id();
    let fresh = || Record {
        id: id.clone(),
        state: State::Applying,
        phase: item.phase,
        origin: Origin::Run,
        steps: Vec::new(),
        checkpoint: None,
        text: lane::text_sum(&*item.migration, &item.store),
        author: author("plan"),
        started: None,
        finished: None,
        rows: 0,
        note: None,
    };
    let record = records.entry(id.version.clone()).or_insert_with(|| Box::new(fresh()));
    assert_eq!(record.steps.len(), item.index + usize::from(item.direction == Direction::Down));
    match item.direction {
        Direction::Up => record.steps.push(item.sum),
        Direction::Down => drop(record.steps.pop()),
    }
    record.state = item.leads_to;
}

pub(super) fn run_all(migrations: &Migrations, histories: &mut Histories, goal: &Goal) {
    for item in &up(migrations, histories, goal).items {
        complete(histories, item);
    }
}
