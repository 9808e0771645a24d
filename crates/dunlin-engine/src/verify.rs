//! Asks whether what migrations promised holds now. Reads only: no lock is taken and nothing is recorded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use dunlin_core::{
    AnyStore, Check, Checked, History, Migration, MigrationId, Pace, Phase, Result, Seen, Session, Span,
    Step, StoreName, Violation,
};

use crate::event::{Event, Report, StepLabel};
use crate::lane::{self, Rank};
use crate::lock::Sessions;
use crate::plan::{Direction, Item, Plan};
use crate::run::{Context, Histories};

/// What came of one verify step.
#[derive(Debug)]
pub struct Proof {
    /// Its migration.
    pub id: MigrationId,
    /// Where.
    pub store: StoreName,
    /// What it asks, in a few words.
    pub summary: String,
    /// Where it was written.
    pub span: Option<Span>,
    /// How many records were looked at, where they were counted.
    pub compared: u64,
    /// What must not be there.
    pub violations: Vec<Violation>,
    /// How much more of it there is.
    pub unlisted: u64,
    /// What its author may say in addition, where somebody waits for it to pass.
    pub remedy: Option<String>,
}

impl Proof {
    /// Of a step that found something.
    pub(crate) fn of(item: &Item, violations: Vec<Violation>, unlisted: u64) -> Self {
        Self {
            id: item.migration.id().clone(),
            store: item.store.clone(),
            summary: item.op.as_ref().map(|op| op.summary()).unwrap_or_default(),
            span: item.span,
            compared: 0,
            violations,
            unlisted,
            remedy: item.op.as_ref().and_then(|op| op.remedy()),
        }
    }
}

/// Where a migration stands with regard to its verify steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It has none.
    Nothing,
    /// Every step before them is complete, and none after them has begun.
    Ready,
    /// The old shape they compare with is gone, or is being removed.
    Contracted,
    /// Steps before them are still to run.
    Unfinished,
}

/// Where a migration stands in the stores that were read; the furthest from ready counts.
pub fn standing(migration: &dyn Migration, histories: &Histories) -> Standing {
    let stores = lane::stores(migration).into_iter().filter_map(|store| Some((store, histories.get(store)?)));
    stores.map(|(store, history)| standing_in(migration, store, history)).max().unwrap_or(Standing::Nothing)
}

fn standing_in(migration: &dyn Migration, store: &StoreName, history: &History) -> Standing {
    let steps = lane::steps(migration, store);
    let before = steps.iter().filter(|step| step.phase < Phase::Verify).count();
    let until = steps.iter().filter(|step| Rank::of(step) < Rank::REMOVAL).count();
    if !steps.iter().any(|step| step.phase == Phase::Verify) {
        return Standing::Nothing;
    }
    match history.live(&migration.id().version) {
        Some(record) if record.steps.len() < before => Standing::Unfinished,
        Some(record) if record.steps.len() > until => Standing::Contracted,
        Some(record) if record.steps.len() == until && record.checkpoint.is_some() => Standing::Contracted,
        Some(_) => Standing::Ready,
        None if before == 0 => Standing::Ready,
        None => Standing::Unfinished,
    }
}

/// Runs the verify steps of a migration in all stores of the context: by the sessions that are held, else by reading
/// beside whoever holds them. Nothing comes back where the run was cancelled.
pub async fn verify(
    context: &Context,
    migration: &Arc<dyn Migration>,
    sessions: &mut Sessions,
    report: Report<'_>,
) -> Result<Option<Vec<Proof>>> {
    let mut proofs = Vec::new();
    for (name, store) in &context.stores {
        let steps = lane::steps(&**migration, name);
        for step in steps.into_iter().filter(|step| step.phase == Phase::Verify) {
            let place = match sessions.get_mut(name) {
                Some(session) => Place::Session(session),
                None => Place::Store(store),
            };
            let is_awaited = matches!(place, Place::Session(_));
            let asked = ask(context, migration, (step, place), report).await;
            let asked = asked
                .map_err(|error| error.at(step.span).with("store", name).with("migration", migration.id()))?;
            let Some(proof) = asked else { return Ok(None) };
            let remedy = is_awaited.then(|| step.op.remedy()).flatten();
            proofs.push(Proof { remedy, ..proof });
        }
    }
    Ok(Some(proofs))
}

/// What would lose something if the steps of a plan ran. Reads only.
pub async fn losses(context: &Context, plan: &Plan, report: Report<'_>) -> Result<Option<Vec<Proof>>> {
    let (mut proofs, mut asked) = (Vec::new(), BTreeSet::new());
    for item in &plan.items {
        // A second one in the same store is about a shape that is there only once the first has run.
        let Some(op) = item.op.as_ref().and_then(|op| op.loses()) else { continue };
        let Some(store) = context.stores.get(&item.store) else { continue };
        // One that has begun may have brought the other shape back already.
        if !asked.insert((item.migration.id(), &item.store, item.span)) || item.is_begun {
            continue;
        }
        let step = Step { span: item.span, ..Step::new(item.phase, item.store.clone(), op) };
        let asked = ask(context, &item.migration, (&step, Place::Store(store)), report).await;
        let asked = asked.map_err(|error| {
            error.at(item.span).with("store", &item.store).with("migration", item.migration.id())
        })?;
        let Some(proof) = asked else { return Ok(None) };
        proofs.push(proof);
    }
    proofs.retain(|proof| !proof.violations.is_empty());
    Ok(Some(proofs))
}

/// Where a question is put.
enum Place<'a> {
    Store(&'a AnyStore),
    Session(&'a mut Box<dyn Session>),
}

impl Place<'_> {
    async fn verify(&mut self, check: &Check<'_>) -> Result<Checked> {
        match self {
            Self::Store(store) => store.verify(check).await,
            Self::Session(session) => session.verify(check).await,
        }
    }
}

async fn ask(
    context: &Context,
    migration: &Arc<dyn Migration>,
    (step, mut source): (&Step, Place<'_>),
    report: Report<'_>,
) -> Result<Option<Proof>> {
    let (began, usual, summary) = (Instant::now(), Pace::default(), step.op.summary());
    let pace = context.paces.get(&step.store).unwrap_or(&usual);
    let label = StepLabel {
        id: migration.id(),
        store: &step.store,
        phase: step.phase,
        direction: Direction::Up,
        summary: &summary,
        op: Some(&step.op),
        is_resumed: false,
    };
    report(Event::Started(label));
    let mut from = None;
    loop {
        if context.cancel.is_cancelled() {
            return Ok(None);
        }
        let check = Check { op: &*step.op, from: from.as_ref(), pace };
        match source.verify(&check).await? {
            Checked::Partly(checkpoint) => {
                let seen = Seen::at(&checkpoint);
                report(Event::Advanced { step: label, changed: 0, seen });
                from = Some(checkpoint);
            }
            Checked::Wholly { violations, unlisted, scanned: compared } => {
                if violations.is_empty() {
                    report(Event::Finished { step: label, changed: 0, compared, elapsed: began.elapsed() });
                }
                let (id, store, span) = (migration.id().clone(), step.store.clone(), step.span);
                return Ok(Some(Proof {
                    id,
                    store,
                    summary,
                    span,
                    compared,
                    violations,
                    unlisted,
                    remedy: None,
                }));
            }
        }
    }
}
