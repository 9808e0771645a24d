//! Files held against histories: what was edited, renamed, lost, or arrives late. Pure; what to do about a finding is
//! the policy's word.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_core::{
    Checksum, History, Migration, MigrationId, Origin, Phase, Record, State, Step, StoreName, Version,
};

use crate::lane;
use crate::plan::{self, Places};

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

/// Records of which the journal has to be asked in which phases their steps ran.
pub type Doubts = Vec<(StoreName, Version)>;

/// Everything on which files and histories disagree, by version.
pub fn audit(migrations: &Migrations, histories: &Histories, policy: Policy) -> Vec<Finding> {
    examine(migrations, histories, policy).0
}

/// The same, as far as the histories tell, and of what the journals have to be asked: where a verify step of the file stands
/// in the place of a step that ran, that may have been another verify step.
pub fn examine(migrations: &Migrations, histories: &Histories, policy: Policy) -> (Vec<Finding>, Doubts) {
    let (mut findings, mut doubts) = (Vec::new(), Vec::new());
    let fresh = fresh(migrations, histories);
    for (store, history) in histories {
        for record in history.records.values().filter(|record| record.state != State::Undone) {
            let version = &record.id.version;
            match migrations.get(version) {
                Some(migration) => {
                    let phases = history.phases.get(version).map(Vec::as_slice);
                    findings.extend(compare(&**migration, store, (record, phases), policy, &mut doubts));
                }
                None if record.origin == Origin::Baseline => {}
                None => findings.push(missing(store, record, &fresh, policy)),
            }
        }
    }
    findings.extend(late(migrations, histories, policy));
    findings.sort_by(|left, right| {
        (&left.id, left.kind, &left.store).cmp(&(&right.id, right.kind, &right.store))
    });
    findings.retain(|finding| finding.reaction != Reaction::Accept);
    (findings, doubts)
}

fn compare(
    migration: &dyn Migration,
    store: &StoreName,
    (record, phases): (&Record, Option<&[Option<Phase>]>),
    policy: Policy,
    doubts: &mut Doubts,
) -> Option<Finding> {
    let steps = lane::steps(migration, store);
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
        let is_unchanged = lane::is_unchanged(record, migration, store);
        let is_other_length =
            record.state.is_settled() && lane::state_at(&steps, record.steps.len()) != record.state;
        // The same text says the same steps.
        let ran_as_written = is_unchanged || is_as_written((record, phases.unwrap_or_default()), &steps);
        if ran_as_written
            && !is_unchanged
            && phases.is_none()
            && !lane::is_prefix(record, &lane::sums(&steps))
        {
            doubts.push((store.clone(), record.id.version.clone()));
        }
        if !ran_as_written || is_other_length {
            return edited(record, &lane::sums(&steps), policy, finding);
        }
        if !is_unchanged && record.state.is_settled() && record.text != lane::text_sum(migration, store) {
            let message = format!(
                "{} was reformatted, or its way back, its verify or its contract steps changed, after it ran in `{store}`",
                migration.id()
            );
            return finding(
                FindingKind::Reformatted,
                Reaction::Warn,
                message,
                "what ran of it is the same; nothing needs to be done",
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

/// Whether the steps that ran are the first ones of the file. What only looks is asked anew before anything is removed,
/// and may be corrected, where it was another one that only looked.
fn is_as_written((record, phases): (&Record, &[Option<Phase>]), steps: &[&Step]) -> bool {
    let looked = |at: usize| phases.get(at).copied().flatten().is_none_or(|phase| phase == Phase::Verify);
    let is_same = |(at, (ran, step)): (usize, (&Checksum, &&Step))| {
        *ran == step.checksum() || step.phase == Phase::Verify && looked(at)
    };
    record.steps.len() <= steps.len() && record.steps.iter().zip(steps).enumerate().all(is_same)
}

fn edited(
    record: &Record,
    sums: &[Checksum],
    policy: Policy,
    finding: impl Fn(FindingKind, Reaction, String, &str) -> Option<Finding>,
) -> Option<Finding> {
    let id = &record.id;
    let same = record.steps.iter().zip(sums).take_while(|(ran, written)| ran == written).count();
    let what = if same < record.steps.len().min(sums.len()) {
        format!("its step {} is not the one that ran", same + 1)
    } else if same < record.steps.len() {
        format!("its step {} is gone", same + 1)
    } else if record.state == State::Expanded {
        "steps before contract were added to it, or its contract steps are gone".to_owned()
    } else {
        "steps were added to it".to_owned()
    };
    if record.state == State::Expanded {
        let message = format!("{id} was edited between its expand and its contract: {what}");
        let help = "put the file back as it was (`dunlin history VERSION --text` shows it); \
                    or take it back with `dunlin down`, which goes by the text that ran, and apply the file as it is now with `dunlin up`";
        finding(FindingKind::Edited, policy.edited, message, &help.replace("VERSION", id.version.as_str()))
    } else if record.state.is_settled() {
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

/// The migrations that no store knows.
fn fresh<'a>(migrations: &'a Migrations, histories: &Histories) -> Vec<&'a dyn Migration> {
    let is_fresh = |migration: &&Arc<dyn Migration>| {
        histories.values().all(|history| history.live(&migration.id().version).is_none())
    };
    migrations.values().filter(is_fresh).map(|migration| &**migration).collect()
}

fn missing(store: &StoreName, record: &Record, fresh: &[&dyn Migration], policy: Policy) -> Finding {
    let is_same = |migration: &&&dyn Migration| {
        !record.steps.is_empty() && lane::sums(&lane::steps(**migration, store)) == record.steps
    };
    let (old, store) = (&record.id, Some(store.clone()));
    if let Some(migration) = fresh.iter().find(is_same) {
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

/// Pending migrations, and parts of migrations, that a later one overtook in the same store. Steps of contract come when
/// they are asked for, and are never late.
fn late(migrations: &Migrations, histories: &Histories, policy: Policy) -> Vec<Finding> {
    let places = plan::places(migrations);
    let newest: BTreeMap<&StoreName, &MigrationId> =
        histories.iter().filter_map(|(store, history)| Some((store, newest(history, &places)?))).collect();
    let find = |migration: &Arc<dyn Migration>| {
        let id = migration.id();
        let is_absent = |step: &&Step| {
            step.phase != Phase::Contract
                && histories.get(&step.store).is_some_and(|history| history.live(&id.version).is_none())
        };
        let is_behind = |newest: &&&MigrationId| places.of(&id.version) < places.of(&newest.version);
        let mut absent = migration.steps().iter().filter(is_absent).map(|step| &step.store);
        let (store, newest) = absent.find_map(|store| Some((store, newest.get(store).filter(is_behind)?)))?;
        let is_elsewhere = histories.values().any(|history| history.live(&id.version).is_some());
        Some(out_of_order(id, store, newest, is_elsewhere, policy))
    };
    migrations.values().filter_map(find).collect()
}

fn out_of_order(
    id: &MigrationId,
    store: &StoreName,
    newest: &MigrationId,
    is_elsewhere: bool,
    policy: Policy,
) -> Finding {
    let (message, way_out) = if is_elsewhere {
        let message = format!("{id} has yet to run in `{store}`, where the later {newest} already ran");
        (message, "write these steps as a migration of their own")
    } else {
        let message = format!("{id} comes before {newest}, which already ran in `{store}`");
        (message, "give it a new version (`dunlin new NAME` finds the next one)")
    };
    Finding {
        kind: FindingKind::OutOfOrder,
        id: id.clone(),
        store: is_elsewhere.then(|| store.clone()),
        message,
        help: format!("{way_out}, or let it run late: `--out-of-order apply`"),
        reaction: policy.out_of_order,
    }
}

/// The last of the migrations that ran, in the order in which they run.
fn newest<'a>(history: &'a History, places: &Places<'_>) -> Option<&'a MigrationId> {
    let live = history.records.values().filter(|record| record.state != State::Undone);
    live.map(|record| &record.id)
        .max_by(|left, right| places.of(&left.version).cmp(&places.of(&right.version)))
}
