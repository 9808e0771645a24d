//! One step, advanced until it is done. Every advance is a resume from the record that the store holds.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dunlin_core::{
    Advance, Author, Check, Checked, Checkpoint, Cursor, Error, ErrorKind, EventKind, History, Op, Origin,
    Pace, Phase, Record, Result, Seen, Session, State, StoredFile, Violation, Work,
};

use crate::event::{Event, Report, StepLabel};
use crate::lane;
use crate::lock::jitter;
use crate::pace::Watch;
use crate::plan::{Direction, Item};
use crate::run::Context;

/// How a step ended, if it did not fail.
pub(crate) enum End {
    Complete,
    /// Stopped at a safe point.
    Paused {
        /// Among records, with the position written down.
        is_midway: bool,
    },
    /// A verify step found something.
    Violated {
        violations: Vec<Violation>,
        unlisted: u64,
    },
}

pub(crate) async fn run(
    context: &Context,
    item: &Item,
    session: &mut Box<dyn Session>,
    history: &mut History,
    report: Report<'_>,
) -> Result<End> {
    let words = item.op.as_ref().map_or_else(|| nothing(item.direction).to_owned(), |op| op.summary());
    let label = StepLabel::of(item, &words);
    let began = Instant::now();
    report(Event::Started(label));
    let usual = Pace::default();
    let pace = context.paces.get(&item.store).unwrap_or(&usual);
    let mut step = Step {
        context,
        pace,
        files: item.migration.files(&item.store),
        item,
        label,
        changed: 0,
        compared: 0,
        records: records(item, history, &context.author),
        is_ours: false,
    };
    let end = step.advance_to_the_end(session, report).await;
    // What the store holds now is what the next step of this lane goes on from.
    history.put(step.records.now);
    if matches!(end, Ok(End::Complete)) {
        let Step { changed, compared, .. } = step;
        report(Event::Finished { step: label, changed, compared, elapsed: began.elapsed() });
    }
    end.map_err(|error| error.at(item.span).with("store", &item.store).with("migration", label.id))
}

/// What a step without an op does, in words.
pub fn nothing(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "complete, since its file ends here now",
        Direction::Down => "nothing to undo",
    }
}

struct Step<'a> {
    context: &'a Context,
    pace: &'a Pace,
    files: Vec<StoredFile>,
    item: &'a Item,
    label: StepLabel<'a>,
    changed: u64,
    /// Records a verify step looked at.
    compared: u64,
    records: Records,
    /// Whether the record is what the last advance of this run led to, and nothing was tried since.
    is_ours: bool,
}

/// The records of a step: as the store has it, and as it will be.
struct Records {
    now: Record,
    done: Record,
}

impl Step<'_> {
    async fn advance_to_the_end(
        &mut self,
        session: &mut Box<dyn Session>,
        report: Report<'_>,
    ) -> Result<End> {
        let mut tries = 0;
        let mut stuck_at = None;
        let mut watch = Watch::new(self.pace, &self.context.cancel, self.context.until);
        loop {
            if self.moves() && !watch.is_over() {
                watch.ease(session, self.label, report).await?;
            }
            if watch.is_over() {
                self.withdraw(session).await?;
                let is_midway = self.moves() && Seen::of(&self.records.now).is_some();
                return Ok(End::Paused { is_midway });
            }
            let (before, began) = (self.scanned(), Instant::now());
            match self.advance(session).await {
                Ok(ControlFlow::Break(end)) => return Ok(end),
                Ok(ControlFlow::Continue(advance)) => {
                    for note in &advance.notes {
                        report(Event::Noted { step: self.label, note });
                    }
                    self.changed += advance.changed;
                    self.records.now = advance.record;
                    self.is_ours = true;
                    if advance.is_done {
                        return Ok(End::Complete);
                    }
                    // To announce a statement again is no progress: only what leads past the failure counts.
                    if self.records.now.checkpoint != stuck_at {
                        tries = 0;
                    }
                    let seen = Seen::of(&self.records.now);
                    report(Event::Advanced { step: self.label, changed: self.changed, seen });
                    watch.slow(self.scanned().saturating_sub(before), began.elapsed()).await;
                }
                Err(error) => {
                    tries += 1;
                    self.is_ours = false;
                    stuck_at.clone_from(&self.records.now.checkpoint);
                    if self.recover(session, error, tries, report).await? {
                        return Ok(End::Complete);
                    }
                }
            }
        }
    }

    /// Whether this step goes through records of the store.
    fn moves(&self) -> bool {
        self.item.op.as_ref().is_some_and(|op| op.moves())
    }

    /// How many records it came past so far.
    fn scanned(&self) -> u64 {
        Seen::of(&self.records.now).map_or(0, |seen| seen.scanned)
    }

    /// Takes back the announcement of a statement that was not sent, so that nobody has to ask whether it took effect.
    async fn withdraw(&mut self, session: &mut Box<dyn Session>) -> Result<()> {
        let Ok(cursor) = Cursor::of(&self.records.now) else { return Ok(()) };
        if self.is_ours && cursor.open {
            let closed = Checkpoint::of(&lane::closed(cursor));
            self.records.now.checkpoint = Some(closed);
            session.write(&self.records.now, &self.files, EventKind::Begun).await?;
        }
        Ok(())
    }

    async fn advance(&mut self, session: &mut Box<dyn Session>) -> Result<ControlFlow<End, Advance>> {
        let Records { now, done } = &self.records;
        let Some(op) = &self.item.op else {
            let kind = match self.item.direction {
                Direction::Up => EventKind::StepDone,
                Direction::Down => EventKind::StepUndone,
            };
            session.write(done, &self.files, kind).await?;
            return Ok(ControlFlow::Continue(Advance::complete(done.clone(), 0)));
        };
        if self.item.phase == Phase::Verify && self.item.direction == Direction::Up {
            return self.verify(session, &**op).await;
        }
        let work = Work {
            op: &**op,
            running: now,
            done,
            files: &self.files,
            pace: self.pace,
            lock_timeout: self.item.lock_timeout,
            is_followed: self.item.is_followed,
        };
        session.advance(&work).await.map(ControlFlow::Continue)
    }

    /// Asks on, and records how far the answer goes. A step that found something starts anew the next time: by then
    /// somebody may have mended it.
    async fn verify(
        &mut self,
        session: &mut Box<dyn Session>,
        op: &dyn Op,
    ) -> Result<ControlFlow<End, Advance>> {
        let Records { now, done } = &self.records;
        let check = Check { op, from: now.checkpoint.as_ref(), pace: self.pace };
        match session.verify(&check).await? {
            Checked::Partly(checkpoint) => {
                let record = Record { checkpoint: Some(checkpoint), ..now.clone() };
                session.save(&record, &self.files).await?;
                Ok(ControlFlow::Continue(Advance::partly(record, 0)))
            }
            Checked::Wholly { violations, scanned, .. } if violations.is_empty() => {
                self.compared = scanned;
                session.write(done, &self.files, EventKind::StepDone).await?;
                Ok(ControlFlow::Continue(Advance::complete(done.clone(), 0)))
            }
            Checked::Wholly { violations, unlisted, .. } => {
                if now.checkpoint.is_some() {
                    session.save(&Record { checkpoint: None, ..now.clone() }, &self.files).await?;
                }
                Ok(ControlFlow::Break(End::Violated { violations, unlisted }))
            }
        }
    }

    async fn wait(&self, error: &Error, tries: u32, report: Report<'_>) {
        let delay = jitter(Duration::from_millis(100 * u64::from(tries.min(20))));
        report(Event::Retrying { step: self.label, error, delay });
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.context.cancel.cancelled() => {}
        }
    }

    /// Waits before another try if the failure is a passing one; else records it and gives it back. Says whether the
    /// step turns out to be complete.
    async fn recover(
        &mut self,
        session: &mut Box<dyn Session>,
        error: Error,
        tries: u32,
        report: Report<'_>,
    ) -> Result<bool> {
        if !error.temporary || tries >= self.context.tries {
            if !matches!(error.kind, ErrorKind::Connect | ErrorKind::LeaseLost) {
                // The failure itself is what the caller must see; that it could not be noted adds nothing to it.
                let _ = session.note(&self.records.now, EventKind::Failed, &error.message).await;
            }
            return Err(error);
        }
        self.wait(&error, tries, report).await;
        // The failed call may have moved the record on, or even completed the step; the store knows.
        let mut asked = tries;
        let history = loop {
            match session.history().await {
                Err(error) if error.temporary && asked < self.context.tries => {
                    asked += 1;
                    self.wait(&error, asked, report).await;
                }
                history => break history?,
            }
        };
        let Records { now, done } = &mut self.records;
        let written = history.records.get(&self.label.id.version);
        let Some(record) = written.filter(|record| record.author.run == self.context.author.run) else {
            return Ok(false);
        };
        let is_complete =
            record.state == done.state && record.steps == done.steps && record.checkpoint.is_none();
        if is_complete || record.state == now.state && record.steps == now.steps {
            self.changed += record.rows.saturating_sub(now.rows);
            *now = Record::clone(record);
        }
        Ok(is_complete)
    }
}

/// The record while the step is under way, and once it is complete.
fn records(item: &Item, history: &History, author: &Arc<Author>) -> Records {
    let id = item.migration.id();
    let known = history.live(&id.version);
    let mut now = known.cloned().unwrap_or_else(|| Record {
        id: id.clone(),
        state: State::Applying,
        phase: item.phase,
        origin: Origin::Run,
        steps: Vec::new(),
        checkpoint: None,
        text: lane::text_sum(&*item.migration, &item.store),
        author: author.clone(),
        started: None,
        finished: None,
        rows: 0,
        note: None,
    });
    let under_way = if item.direction == Direction::Up { State::Applying } else { State::Undoing };
    if now.state != under_way {
        // Turning round: a position in the other direction means nothing in this one, but what was begun is there.
        if now.state == State::Applying && now.checkpoint.is_some() && now.steps.len() == item.index {
            now.steps.push(item.sum);
        }
        // Among records it does: those that were come past are the ones to go back over.
        if Seen::of(&now).is_none() || item.op.as_ref().is_none_or(|op| !op.moves()) {
            now.checkpoint = None;
        }
    }
    if item.direction == Direction::Up {
        now.id = id.clone();
        now.text = lane::text_sum(&*item.migration, &item.store);
    }
    now = Record {
        state: under_way,
        phase: item.phase,
        author: author.clone(),
        note: None,
        finished: None,
        ..now
    };
    let mut done = Record { state: item.leads_to, checkpoint: None, ..now.clone() };
    match item.direction {
        Direction::Up if item.op.is_some() => {
            // Thousands of these are kept, and most have one.
            done.steps.reserve_exact(1);
            done.steps.push(item.sum);
        }
        // What is complete already is said to be all there is.
        Direction::Up => {}
        Direction::Down => {
            done.steps.pop();
        }
    }
    Records { now, done }
}
