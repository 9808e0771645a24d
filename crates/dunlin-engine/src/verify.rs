//! Asks whether what migrations promised holds now. Reads only: no lock is taken and nothing is recorded.

use std::sync::Arc;
use std::time::Instant;

use dunlin_core::{
    AnyStore, Check, Checked, History, Migration, MigrationId, Pace, Phase, Result, Seen, Span, Step,
    StoreName, Violation,
};

use crate::event::{Event, Report, StepLabel};
use crate::lane;
use crate::plan::Direction;
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
    let until = steps.iter().filter(|step| step.phase <= Phase::Verify).count();
    if before == until {
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

/// Runs the verify steps of a migration in all stores of the context. Nothing comes back where the run was cancelled.
pub async fn verify(
    context: &Context,
    migration: &Arc<dyn Migration>,
    report: Report<'_>,
) -> Result<Option<Vec<Proof>>> {
    let mut proofs = Vec::new();
    for (name, store) in &context.stores {
        let steps = lane::steps(&**migration, name);
        for step in steps.into_iter().filter(|step| step.phase == Phase::Verify) {
            let asked = ask(context, migration, (name, store), step, report).await;
            let asked = asked
                .map_err(|error| error.at(step.span).with("store", name).with("migration", migration.id()))?;
            let Some(proof) = asked else { return Ok(None) };
            proofs.push(proof);
        }
    }
    Ok(Some(proofs))
}

async fn ask(
    context: &Context,
    migration: &Arc<dyn Migration>,
    (name, store): (&StoreName, &AnyStore),
    step: &Step,
    report: Report<'_>,
) -> Result<Option<Proof>> {
    let (began, usual, summary) = (Instant::now(), Pace::default(), step.op.summary());
    let pace = context.paces.get(name).unwrap_or(&usual);
    let label = StepLabel {
        id: migration.id(),
        store: name,
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
        match store.verify(&check).await? {
            Checked::Partly(checkpoint) => {
                let seen = Seen::at(&checkpoint);
                report(Event::Advanced { step: label, changed: 0, seen });
                from = Some(checkpoint);
            }
            Checked::Wholly { violations, unlisted, scanned: compared } => {
                if violations.is_empty() {
                    report(Event::Finished { step: label, changed: 0, compared, elapsed: began.elapsed() });
                }
                let (id, store, span) = (migration.id().clone(), name.clone(), step.span);
                return Ok(Some(Proof { id, store, summary, span, compared, violations, unlisted }));
            }
        }
    }
}
