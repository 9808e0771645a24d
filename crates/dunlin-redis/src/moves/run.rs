//! One bout of an op that goes through keys.

use std::collections::BTreeMap;

use dunlin_core::position::Start;
use dunlin_core::words::{agree, counted};
use dunlin_core::{Advance, Error, ErrorKind, Phase, Position, Result, Version, Work};
use serde::{Deserialize, Serialize};

use super::task::{Job, Task};
use super::{Differing, Existing, Move, What};
use crate::aside;
use crate::before::{self, Before};
use crate::big::{self, Draft};
use crate::chunk::{Habit, TARGET};
use crate::commit::Entry;
use crate::session::Session;
use crate::survey::Survey;
use crate::tally::Tally;
use crate::walk::Walk;
use crate::{follow, room};

/// Where an op goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// Whether it still looks for what forbids it to begin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_looking: bool,
    walk: Walk,
    tally: Tally,
    /// How often it went through the keys before, where it does so until nothing is left to do.
    #[serde(default, skip_serializing_if = "is_none")]
    passes: u32,
    /// What was done before this time.
    #[serde(default, skip_serializing_if = "is_none")]
    before: u64,
    /// A big key that is half copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draft: Option<Draft>,
}

pub(crate) fn is_none<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

/// How often an op goes through its keys at most that does so until nothing is left to do: where applications write all the
/// time something always is.
const PASSES: u32 = 5;

/// What a session knows of the step under way, and may forget.
#[derive(Debug, Default)]
pub(crate) struct Going {
    sum: String,
    pub(crate) habits: BTreeMap<String, Habit>,
    /// Whether others wait for so long that it should do less.
    pub(crate) rests: bool,
    /// The migration whose followers were shut out.
    closed: Option<Version>,
}

/// What must be looked at before anything is written.
fn look_first(op: &Move, is_back: bool) -> Option<Job<'_>> {
    match &op.what {
        what @ (What::Rename { existing, .. }
        | What::Copy { existing, .. }
        | What::RenameField { existing, .. })
            if *existing == Existing::Fail || (!is_back && before::is_kept(op)) =>
        {
            Some(Job::Collide(what))
        }
        what @ What::Convert { is_lenient: false, is_back: false, .. } => Some(Job::Judge(what)),
        _ => None,
    }
}

/// Goes on for one bout.
pub(crate) async fn advance(session: &mut Session, op: &Move, work: &Work<'_>) -> Result<Advance> {
    session.crew.tidy().await?;
    let survey = Survey::take(&session.store).await?;
    let Start::On(mut position) = Start::of(work)? else {
        return begin(session, op, work, &survey).await;
    };
    let edited = position.adopt(op);
    close(session, work).await?;
    let place: &mut Place = &mut position.place;
    if session.going.sum != position.sum {
        (session.going.sum, session.going.habits) = (position.sum.clone(), BTreeMap::new());
    }
    let job = if place.is_looking { look_first(op, work.is_undo()) } else { None };
    let mut task = Task::new(job.unwrap_or(Job::Move(&op.what)), op.span, &survey.map, &session.store.keys)?;
    task.before = Before::of(&session.store, op, work, job.is_some()).await?;
    let (before, began) = (place.tally.done, std::time::Instant::now());
    let is_over = if place.tally.big.is_empty() {
        let with = (&mut session.crew, &mut session.going.habits);
        place.walk.bout(&task, (&survey, work.pace), with, &mut place.tally).await?
    } else {
        big::bout(&task, (&survey, work.pace), &mut session.crew, &mut place.draft, &mut place.tally).await?;
        false
    };
    if session.going.rests {
        session.going.habits.values_mut().for_each(|habit| habit.sizer.learn(TARGET * 2, TARGET));
        tokio::time::sleep(began.elapsed()).await;
    }
    let changed = place.tally.done - before;
    position.scanned = if place.is_looking { 0 } else { place.tally.seen };
    if is_over && place.is_looking {
        let found = std::mem::take(&mut place.tally);
        (place.walk, place.is_looking) = (Walk::new(&survey), found.troubles() > 0);
        position.is_clean = position.place.is_looking;
        save(session, work, &position, 0).await?;
        if found.troubles() > 0 {
            // By the next time a person may have removed some of them.
            before::forget(op, &survey, (&session.store, &mut session.crew)).await?;
            return Err(refusal(op, &found).at(op.span));
        }
    }
    let mut is_done = is_over && job.is_none() && position.place.tally.big.is_empty();
    if is_done && let What::Align { is_drop, .. } = op.what {
        is_done = !position.place.goes_again(&survey);
        if is_done && is_drop && position.place.tally.troubles() > 0 {
            let found = std::mem::take(&mut position.place.tally);
            position.place = Place { walk: Walk::new(&survey), passes: 0, before: 0, ..position.place };
            save(session, work, &position, changed).await?;
            return Err(refusal(op, &found).at(op.span));
        }
    }
    if !is_done {
        let record = save(session, work, &position, changed).await?;
        return Ok(Advance { notes: edited.into_iter().collect(), ..Advance::partly(record, changed) });
    }
    complete(session, op, work, (&survey, &position.place.tally, changed), edited).await
}

/// Says that it is done.
async fn complete(
    session: &mut Session,
    op: &Move,
    work: &Work<'_>,
    (survey, tally, changed): (&Survey, &Tally, u64),
    edited: Option<String>,
) -> Result<Advance> {
    let done = work.complete(changed);
    let rows = done.rows;
    let detail = aside::words(&op.what, tally.aside, &session.store.keys);
    let entry = Entry { record: Some(done), kind: Some(work.ends_as()), detail };
    let record = session.record(work, entry, rows).await?;
    // The way back from a contract is only a part of the way.
    if work.is_undo() && !matches!(op.what, What::Copy { .. }) {
        before::forget(op, survey, (&session.store, &mut session.crew)).await?;
    }
    let notes = edited.into_iter().chain(notes(&op.what, tally)).collect();
    Ok(Advance { notes, ..Advance::complete(record, changed) })
}

/// Shuts out whoever follows, once the record says that a shape begins to go: none can begin to follow after that.
async fn close(session: &mut Session, work: &Work<'_>) -> Result<()> {
    let is_contract = work.running.phase == Phase::Contract && !work.op.prepares();
    let version = &work.running.id.version;
    if (is_contract || work.is_undo()) && session.going.closed.as_ref() != Some(version) {
        follow::shut(&session.store, version).await?;
        session.going.closed = Some(version.clone());
    }
    Ok(())
}

impl Place {
    /// Starts from the beginning again if this time something was to do.
    fn goes_again(&mut self, survey: &Survey) -> bool {
        if self.tally.done == self.before || self.passes + 1 >= PASSES {
            return false;
        }
        // What was listed is met again.
        self.tally = self.tally.again();
        (self.passes, self.before, self.walk) = (self.passes + 1, self.tally.done, Walk::new(survey));
        true
    }
}

/// Finds out whether it may begin, and says that it does.
async fn begin(session: &mut Session, op: &Move, work: &Work<'_>, survey: &Survey) -> Result<Advance> {
    let is_copy = matches!(op.what, What::Copy { .. } | What::Convert { is_back: false, .. });
    if !work.is_undo() && before::is_kept(op) {
        before::forget(op, survey, (&session.store, &mut session.crew)).await?;
    }
    let task = Task::new(Job::Move(&op.what), op.span, &survey.map, &session.store.keys)?;
    let (estimate, notes) = room::survey(&task, is_copy, survey, &mut session.crew).await?;
    let place = Place {
        is_looking: look_first(op, work.is_undo()).is_some(),
        walk: Walk::new(survey),
        tally: Tally::default(),
        passes: 0,
        before: 0,
        draft: None,
    };
    let position = Position {
        total: (estimate.keys > 0).then_some(estimate.keys),
        is_undo: work.is_undo(),
        is_clean: place.is_looking,
        ..Position::new(op, place)
    };
    let record = work.partly(position.checkpoint(), 0);
    let rows = record.rows;
    let begun = Entry { record: Some(record), kind: Some(dunlin_core::EventKind::Begun), detail: None };
    let record = session.record(work, begun, rows).await?;
    Ok(Advance { notes, ..Advance::partly(record, 0) })
}

/// Keeps how far it got, without a line in the journal.
async fn save(
    session: &mut Session,
    work: &Work<'_>,
    position: &Position<Place>,
    changed: u64,
) -> Result<dunlin_core::Record> {
    let record = work.partly(position.checkpoint(), changed);
    let rows = record.rows;
    session.record(work, Entry { record: Some(record), kind: None, detail: None }, rows).await
}

/// Why it does not begin.
fn refusal(op: &Move, found: &Tally) -> Error {
    let (count, names) = (found.troubles(), found.names());
    let (message, help) = match &op.what {
        What::Convert { .. } => (
            format!("{} cannot be converted: {names}", counted(count, "key")),
            "nothing was written; mend them, or pass them by with `otherwise = \"skip\"`",
        ),
        What::Align { form, differing, .. } => (
            format!(
                "{count} of {} {} not in step, and {}: {names}",
                form.keys().text(),
                agree(count, "is", "are"),
                agree(count, "stays", "stay")
            ),
            if *differing == Differing::Stop {
                "the others are removed; mend these, or say which side is right, `wins = \"old\"` or `wins = \"new\"`, then run it again with `--edited warn`: it continues"
            } else {
                "the others are removed; mend these, or stop whoever writes them, then run it again: it continues"
            },
        ),
        What::RenameField { from, to, .. } => (
            format!(
                "{} {} both {from} and {to}: {names}",
                counted(count, "hash"),
                agree(count, "has", "have")
            ),
            "nothing was written; remove one of the fields, or say `existing = \"skip\"` or `existing = \"replace\"`",
        ),
        _ if !op.life.touches.is_empty() => (
            format!("{} {} taken: {names}", counted(count, "name"), agree(count, "is", "are")),
            "nothing was written; remove those keys, or say which of the two is right: `wins = \"old\"` or `wins = \"new\"`",
        ),
        _ => (
            format!("{} {} taken: {names}", counted(count, "name"), agree(count, "is", "are")),
            "nothing was written; remove those keys, or say `existing = \"skip\"` or `existing = \"replace\"`",
        ),
    };
    Error::new(ErrorKind::Statement, message).help(help)
}

/// What a reader should know at the end.
fn notes(what: &What, tally: &Tally) -> Vec<String> {
    let mut notes = Vec::new();
    if tally.seen == 0 && !matches!(what, What::Align { .. }) {
        notes.push(format!("no key matches {}", what.keys().text()));
    }
    if tally.same > 0 && tally.done == 0 && !matches!(what, What::Align { .. }) {
        notes.push(format!(
            "{} {} already",
            counted(tally.same, "key"),
            agree(tally.same, "was as it should be", "were as they should be")
        ));
    }
    if tally.kept > 0 {
        notes.push(format!(
            "{} {}",
            counted(tally.kept, "key"),
            agree(tally.kept, "was passed by and left as it is", "were passed by and left as they are")
        ));
    }
    if tally.troubles() > 0 {
        notes.push(format!(
            "{} {}: {}",
            counted(tally.troubles(), "key"),
            agree(tally.troubles(), "was left as it is", "were left as they are"),
            tally.names()
        ));
    }
    notes
}
