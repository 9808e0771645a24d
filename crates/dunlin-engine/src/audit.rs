//! Files held against histories: what was edited, renamed, lost, or arrives late. Pure; what to do about a finding is
//! the policy's word.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_core::{Checksum, History, Migration, MigrationId, Origin, Record, State, StoreName, Version};

use crate::lane;

/// One disagreement between files and histories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// Which migration.
    pub id: MigrationId,
    /// In which store, where it is one.
    pub store: Option<StoreName>,
    /// What was found, in words.
    pub message: String,
    /// The way out.
    pub help: String,
    /// What the policy makes of it.
    pub reaction: Reaction,
}

/// The ways in which files and histories disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// Steps that ran were changed in the file.
    Edited,
    /// The same steps, written differently; or only the way back was changed.
    Reformatted,
    /// It ran, and there is no file of it.
    Missing,
    /// It ran under another name.
    Renamed,
    /// It is pending although a later one ran.
    OutOfOrder,
}

impl FindingKind {
    /// The code under which `dunlin explain` has the long form.
    pub fn code(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Reformatted => "reformatted",
            Self::Missing => "missing",
            Self::Renamed => "renamed",
            Self::OutOfOrder => "out-of-order",
        }
    }
}

/// What to do about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaction {
    /// Say nothing.
    Accept,
    /// Say it and go on.
    Warn,
    /// Refuse to write anything.
    Refuse,
}

/// What to do about each kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Pending although a later one ran.
    pub out_of_order: Reaction,
    /// Changed after it ran.
    pub edited: Reaction,
    /// No file of it any more.
    pub missing: Reaction,
}

impl Default for Policy {
    fn default() -> Self {
        Self { out_of_order: Reaction::Refuse, edited: Reaction::Refuse, missing: Reaction::Refuse }
    }
}

type Migrations = BTreeMap<Version, Arc<dyn Migration>>;
type Histories = BTreeMap<StoreName, History>;

/// Everything on which files and histories disagree, by version.
pub fn audit(migrations: &Migrations, histories: &Histories, policy: Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (store, history) in histories {
        for record in history.records.values().filter(|record| record.state != State::Undone) {
            match migrations.get(&record.id.version) {
                Some(migration) => findings.extend(compare(&**migration, store, record, policy)),
                None if record.origin == Origin::Baseline => {}
                None => findings.push(missing(store, record, migrations, histories, policy)),
            }
        }
    }
    findings.extend(late(migrations, histories, policy));
    findings.sort_by(|left, right| {
        (&left.id, left.kind, &left.store).cmp(&(&right.id, right.kind, &right.store))
    });
    findings.retain(|finding| finding.reaction != Reaction::Accept);
    findings
}

fn compare(migration: &dyn Migration, store: &StoreName, record: &Record, policy: Policy) -> Option<Finding> {
    let steps = lane::steps(migration, store);
    let sums = lane::sums(&steps);
    let finding = |kind, reaction, message: String, help: &str| {
        Some(Finding {
            kind,
            id: record.id.clone(),
            store: Some(store.clone()),
            message,
            help: help.to_owned(),
            reaction,
        })
    };
    if !record.steps.is_empty() || record.origin == Origin::Run {
        let position = record.steps.len();
        let grown = record.state.is_settled() && lane::state_at(&steps, position) != record.state;
        if !lane::is_prefix(record, &sums) || grown {
            return edited(record, &sums, grown, policy, finding);
        }
        if record.text != lane::text_sum(migration, store) && record.state.is_settled() {
            let message = format!(
                "{} was reformatted, or its way back changed, after it ran in `{store}`",
                migration.id()
            );
            return finding(
                FindingKind::Reformatted,
                Reaction::Warn,
                message,
                "what it does is the same; nothing needs to be done",
            );
        }
    }
    if record.id.slug != migration.id().slug {
        let message = format!("{} ran in `{store}` under the name {}", migration.id(), record.id);
        return finding(
            FindingKind::Renamed,
            Reaction::Warn,
            message,
            "its version and its steps are the same; nothing needs to be done",
        );
    }
    None
}

fn edited(
    record: &Record,
    sums: &[Checksum],
    grown: bool,
    policy: Policy,
    finding: impl Fn(FindingKind, Reaction, String, &str) -> Option<Finding>,
) -> Option<Finding> {
    let id = &record.id;
    let differs = record.steps.iter().zip(sums).take_while(|(ran, written)| ran == written).count();
    let what = if grown {
        "steps were added to it".to_owned()
    } else {
        format!("its step {} is not the one that ran", differs + 1)
    };
    if record.state.is_settled() {
        let message = format!("{id} was edited after it ran: {what}");
        let help = "put the file back as it was (`dunlin history VERSION --text` shows it) and write the change as a new migration; \
                    or accept the file as it is now: `dunlin mark VERSION done --reason …`";
        finding(FindingKind::Edited, policy.edited, message, &help.replace("VERSION", id.version.as_str()))
    } else {
        let message = format!("{id} is half applied and {what}");
        let help = "put the steps that ran back as they were; the ones after them may be edited freely";
        finding(FindingKind::Edited, Reaction::Refuse, message, help)
    }
}

fn missing(
    store: &StoreName,
    record: &Record,
    migrations: &Migrations,
    histories: &Histories,
    policy: Policy,
) -> Finding {
    let is_new = |migration: &&Arc<dyn Migration>| {
        histories.values().all(|history| history.live(&migration.id().version).is_none())
            && lane::sums(&lane::steps(&***migration, store)) == record.steps
            && !record.steps.is_empty()
    };
    let (old, store) = (&record.id, Some(store.clone()));
    if let Some(migration) = migrations.values().find(is_new) {
        let new = migration.id();
        let message =
            format!("{old} seems to be called {new} now: the steps are the same, the version is not");
        let help = format!(
            "give the file its old version back; or tell the history: `dunlin mark {} done --reason renamed` and `dunlin mark {} undone --reason renamed`",
            new.version, old.version
        );
        return Finding {
            kind: FindingKind::Renamed,
            id: old.clone(),
            store,
            message,
            help,
            reaction: policy.missing,
        };
    }
    let message = format!("{old} ran, and there is no file of it");
    let help = format!(
        "bring the file back (`dunlin history {0} --text` prints it), undo it from the stored text with `dunlin down`, or set `missing = \"warn\"` under [policy]",
        old.version
    );
    Finding { kind: FindingKind::Missing, id: old.clone(), store, message, help, reaction: policy.missing }
}

/// Pending migrations, and parts of migrations, that a later one overtook.
fn late(migrations: &Migrations, histories: &Histories, policy: Policy) -> Vec<Finding> {
    let newest = histories
        .values()
        .filter_map(|history| history.records.values().rev().find(|record| record.state != State::Undone));
    let Some(newest) = newest.map(|record| &record.id).max().cloned() else { return Vec::new() };
    let mut findings = Vec::new();
    for migration in migrations.range(..&newest.version).map(|(_, migration)| migration) {
        let id = migration.id();
        let stores = lane::stores(&**migration);
        let absent = |store: &&StoreName| {
            histories.get(store).is_some_and(|history| history.live(&id.version).is_none())
        };
        let absent: Vec<&StoreName> = stores.iter().filter(absent).collect();
        if absent.is_empty() {
            continue;
        }
        if absent.len() == stores.iter().filter(|store| histories.contains_key(store)).count() {
            let message = format!("{id} is older than {newest}, which already ran");
            let help =
                "give it a new version (`dunlin new` prints one), or let it run late: `--out-of-order apply`";
            let reaction = policy.out_of_order;
            findings.push(Finding {
                kind: FindingKind::OutOfOrder,
                id: id.clone(),
                store: None,
                message,
                help: help.to_owned(),
                reaction,
            });
        } else if let Some(store) = absent.first() {
            let message =
                format!("{id} got steps for `{store}` after it ran elsewhere, and {newest} ran since");
            let help = "write the new steps as a migration of their own, or let them run late: `--out-of-order apply`";
            let (store, reaction) = (Some((*store).clone()), policy.out_of_order);
            findings.push(Finding {
                kind: FindingKind::OutOfOrder,
                id: id.clone(),
                store,
                message,
                help: help.to_owned(),
                reaction,
            });
        }
    }
    findings
}
