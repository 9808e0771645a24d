//! One loop that runs a plan: read, audit, plan, lock, read and plan again, advance every step until it is done,
//! release. There is no other recovery path: after a crash the same loop continues from what the histories say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dunlin_core::{
    AnyStore, Author, Error, ErrorKind, EventKind, History, Migration, Pace, Result, StoreName, Version,
};
use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Doubts, Finding, Policy, Reaction};
use crate::drive;
use crate::event::{Event, Report, StepLabel};
use crate::foresee;
use crate::lock::{self, Sessions};
use crate::plan::{self, Goal, HeldBack, Item, Plan};
use crate::purge;
use crate::verify::Proof;

/// Connected stores, by name.
pub type Stores = BTreeMap<StoreName, AnyStore>;
/// Migrations, by version.
pub type Migrations = BTreeMap<Version, Arc<dyn Migration>>;
/// Histories, by store.
pub type Histories = BTreeMap<StoreName, History>;

/// What every run needs to know.
#[derive(Debug, Clone)]
pub struct Context {
    /// The stores.
    pub stores: Stores,
    /// Who runs this, in which invocation.
    pub author: Arc<Author>,
    /// How long to wait for locks that others hold.
    pub lock_wait: Duration,
    /// How often a step that failed for a passing reason is tried in all.
    pub tries: u32,
    /// What to do where files and histories disagree.
    pub policy: Policy,
    /// Pauses the run at the next safe point.
    pub cancel: CancellationToken,
    /// When data stops being moved; the run pauses then.
    pub until: Option<Instant>,
    /// How data is moved, store by store; in the usual way where nothing is said.
    pub paces: BTreeMap<StoreName, Pace>,
    /// Why contract removes what is visibly in use, where somebody says that it may.
    pub force: Option<Arc<str>>,
    /// What the histories said a moment ago, where they were just read: whether anything is to do at all is decided by
    /// them. What is done is decided by reading them again under the locks. Shared, since every step has a context.
    pub known: Option<Arc<Histories>>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything planned is done.
    Complete,
    /// Stopped at a safe point because it was asked to; the next run continues.
    Paused,
}

/// What a run did, whether it failed or not.
#[derive(Debug, Default)]
pub struct Summary {
    /// The steps that were completed by this run.
    pub completed: Vec<Item>,
    /// The step it stopped in, if it did.
    pub stopped_in: Option<Item>,
    /// Whether that step goes through records and came past some: where it stopped is kept, and the next run goes on there.
    pub is_midway: bool,
    /// The steps it did not come to.
    pub remaining: Vec<Item>,
    /// The verify step that found what must not be there, if one did.
    pub broken: Option<Proof>,
    /// What files and histories disagreed on, as far as that did not stop it.
    pub warnings: Vec<Finding>,
    /// The migrations that must wait.
    pub held_back: Vec<HeldBack>,
    /// The records of which the journal has to be asked before the plan holds; [`plan()`] does.
    pub doubts: Doubts,
}

/// The histories of all stores, read side by side. Nothing is created.
pub async fn histories(stores: &Stores) -> Result<Histories> {
    let read = |(name, store): (&StoreName, &AnyStore)| {
        let (name, store) = (name.clone(), store.clone());
        async move {
            let history = store.history().await.map_err(|error| error.with("store", &name))?;
            Ok((name, history))
        }
    };
    Ok(try_join_all(stores.iter().map(read)).await?.into_iter().collect())
}

/// Everything on which files and histories disagree, as the journals tell besides.
pub async fn audited(
    stores: &Stores,
    histories: &Histories,
    migrations: &Migrations,
    policy: Policy,
) -> Result<Vec<Finding>> {
    let (findings, doubts) = audit::examine(migrations, histories, policy);
    if doubts.is_empty() {
        return Ok(findings);
    }
    let mut histories = histories.clone();
    recall(stores, &mut histories, &doubts).await?;
    Ok(audit::audit(migrations, &histories, policy))
}

/// Adds to histories in which phases the steps of these records ran, as the journals have it. What a person said since
/// is no step that ran.
async fn recall(stores: &Stores, histories: &mut Histories, doubts: &Doubts) -> Result<()> {
    for (name, version) in doubts {
        let (Some(store), Some(history)) = (stores.get(name), histories.get_mut(name)) else { continue };
        let events =
            store.journal(Some(version), u32::MAX).await.map_err(|error| error.with("store", name))?;
        let (mut phases, mut seen) = (Vec::new(), BTreeSet::new());
        // Newest first.
        for event in events.iter().take_while(|event| event.kind != EventKind::Marked) {
            let is_end = matches!(event.kind, EventKind::StepDone | EventKind::StepUndone);
            if is_end && seen.insert(event.step) && event.kind == EventKind::StepDone {
                phases.resize(phases.len().max(event.step + 1), None);
                phases[event.step] = Some(event.phase);
            }
        }
        history.phases.insert(version.clone(), phases);
    }
    Ok(())
}

/// A plan from these histories, and from what the journals say besides where they leave a doubt.
pub async fn plan(
    planner: Planner<'_>,
    (stores, histories): (&Stores, &Histories),
    summary: &mut Summary,
) -> Result<Plan, Stop> {
    let plan = planner(histories, summary);
    let doubts = std::mem::take(&mut summary.doubts);
    if doubts.is_empty() {
        return plan;
    }
    let mut histories = histories.clone();
    recall(stores, &mut histories, &doubts).await?;
    planner(&histories, summary)
}

/// Why a run did not begin or did not end.
#[derive(Debug)]
pub enum Stop {
    /// The world.
    Failed(Error),
    /// Files and histories disagree in a way the policy refuses.
    Refused(Vec<Finding>),
    /// The migrations cannot be ordered.
    Unordered(Vec<dunlin_core::Diagnostic>),
    /// A verify step found what must not be there; the summary has it.
    Violated,
    /// What contract would remove is visibly in use.
    InUse(Vec<(StoreName, String)>),
    /// The plan that was reviewed is not what would run now.
    Stale,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Refused(findings) => {
                let lines: Vec<&str> = findings.iter().map(|finding| &*finding.message).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Unordered(faults) => {
                let lines: Vec<&str> = faults.iter().map(|fault| &*fault.message).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Violated => f.write_str("a verify step found what must not be there"),
            Self::InUse(uses) => {
                let lines: Vec<String> =
                    uses.iter().map(|(store, words)| format!("`{store}`: {words}")).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Stale => f.write_str("the plan is stale: files or histories changed since it was made"),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What leads from histories to a plan: forward to a goal, or back. Called again once the locks are held.
pub type Planner<'a> = &'a (dyn Fn(&Histories, &mut Summary) -> Result<Plan, Stop> + Sync);

/// A planner for `up`: audits, then plans forward.
pub fn forward<'a>(
    migrations: &'a Migrations,
    policy: Policy,
    goal: &'a Goal,
) -> impl Fn(&Histories, &mut Summary) -> Result<Plan, Stop> + Sync + 'a {
    move |histories, summary| {
        let (findings, doubts) = audit::examine(migrations, histories, policy);
        summary.doubts = doubts;
        let (refused, warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| finding.reaction == Reaction::Refuse);
        if !refused.is_empty() {
            return Err(Stop::Refused(refused));
        }
        summary.warnings = warnings;
        let plan = plan::up(migrations, histories, goal).map_err(Stop::Unordered)?;
        summary.held_back.clone_from(&plan.held_back);
        Ok(plan)
    }
}

/// Runs what `planner` plans. With nothing to do no lock is taken and nothing is created.
pub async fn run(
    context: &Context,
    planner: Planner<'_>,
    report: Report<'_>,
) -> (Summary, Result<Outcome, Stop>) {
    let mut summary = Summary::default();
    let result = attempt(context, planner, &mut summary, report).await;
    (summary, result)
}

async fn attempt(
    context: &Context,
    planner: Planner<'_>,
    summary: &mut Summary,
    report: Report<'_>,
) -> Result<Outcome, Stop> {
    // Of this plan only the stores count: what runs is planned again under the locks.
    let names = match &context.known {
        Some(known) => plan(planner, (&context.stores, known), summary).await?.stores(),
        None => {
            let histories = histories(&context.stores).await?;
            plan(planner, (&context.stores, &histories), summary).await?.stores()
        }
    };
    if names.is_empty() {
        return Ok(Outcome::Complete);
    }
    let (wanted, others): (Stores, Stores) =
        context.stores.clone().into_iter().partition(|(name, _)| names.contains(name));
    let me = lock::me(&context.author.who, &context.author.run);
    let mut sessions = lock::take(&wanted, &me, context.lock_wait, &context.cancel, report).await?;
    let result = under_locks(context, planner, &mut sessions, &others, (summary, report)).await;
    let released = lock::release(sessions).await;
    let outcome = result?;
    released?;
    Ok(outcome)
}

/// Plans again under the locks, and runs that. Another runner may have done all of it meanwhile.
async fn under_locks(
    context: &Context,
    planner: Planner<'_>,
    sessions: &mut Sessions,
    others: &Stores,
    (summary, report): (&mut Summary, Report<'_>),
) -> Result<Outcome, Stop> {
    // The others as well: somebody may have gone back there, and no store may overtake them.
    let mut histories = histories(others).await?;
    for (name, session) in sessions.iter_mut() {
        let history = session.history().await.map_err(|error| error.with("store", name))?;
        histories.insert(name.clone(), history);
    }
    let plan = plan(planner, (&context.stores, &histories), summary).await?;
    if let Some(name) = plan.stores().iter().find(|name| !sessions.contains_key(*name)) {
        let message = format!("the plan changed while waiting for the locks: it now needs `{name}` too");
        return Err(Error::new(ErrorKind::Locked, message).help("run it again").into());
    }
    purge::possible(&context.stores, &histories, &plan).await?;
    for (store, note) in foresee::ask(&context.stores, &plan).await? {
        report(Event::Foreseen { store: &store, note: &note });
    }
    for item in &plan.items {
        if let (Some(op), Some(loss)) = (&item.op, item.loss()) {
            report(Event::Irreversible { step: StepLabel::of(item, &op.summary()), loss: &loss });
        }
    }
    drive::drive(context, plan.items, sessions, &mut histories, (summary, report)).await
}
