//! One step, advanced until it is done. Every advance is a resume from the record that the store holds.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use dunlin_core::{
    Author, Error, ErrorKind, EventKind, History, Origin, Phase, Record, Result, Session, State, Violation,
    Work,
};

use crate::event::{Event, Report, StepLabel};
use crate::lane;
use crate::lock::jitter;
use crate::plan::{Direction, Item};
use crate::run::Context;

/// How a step ended, if it did not fail.
pub(crate) enum End {
    Complete,
    /// Stopped at a safe point.
    Paused,
    /// A verify step found something.
    Violated(Vec<Violation>),
}

pub(crate) async fn run(
    context: &Context,
    item: &Item,
    session: &mut Box<dyn Session>,
    history: &mut History,
    report: Report<'_>,
) -> Result<End> {
    let words = item.op.as_ref().map_or_else(|| "nothing to undo".to_owned(), |op| op.summary());
    let label = StepLabel {
        id: item.migration.id(),
        store: &item.store,
        phase: item.phase,
        direction: item.direction,
        summary: &words,
        is_resumed: item.is_begun,
    };
    let began = Instant::now();
    report(Event::Started(label));
    let mut step =
        Step { context, item, label, changed: 0, records: records(item, history, &context.author) };
    let end = step.advance_to_the_end(session, report).await;
    // What the store holds now is what the next step of this lane goes on from.
    history.records.insert(label.id.version.clone(), step.records.now);
    if matches!(end, Ok(End::Complete)) {
        report(Event::Finished { step: label, changed: step.changed, elapsed: began.elapsed() });
    }
    end.map_err(|error| error.at(item.span).with("store", &item.store).with("migration", label.id))
}

struct Step<'a> {
    context: &'a Context,
    item: &'a Item,
    label: StepLabel<'a>,
    changed: u64,
    records: Records,
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
        let files = self.item.migration.files(&self.item.store);
        let mut tries = 0;
        loop {
            if self.context.cancel.is_cancelled() {
                return Ok(End::Paused);
            }
            let Some(op) = &self.item.op else {
                session.write(&self.records.done, &files, EventKind::StepUndone).await?;
                self.records.now = self.records.done.clone();
                return Ok(End::Complete);
            };
            let is_verify = self.item.phase == Phase::Verify && self.item.direction == Direction::Up;
            let limit = NonZeroU32::new(1000).expect("a thousand is not zero");
            let work = Work {
                op: &**op,
                running: &self.records.now,
                done: &self.records.done,
                files: &files,
                is_verify,
                limit,
            };
            match session.advance(&work).await {
                Ok(advance) => {
                    tries = 0;
                    for note in &advance.notes {
                        report(Event::Noted { step: self.label, note });
                    }
                    if !advance.violations.is_empty() {
                        return Ok(End::Violated(advance.violations));
                    }
                    self.changed += advance.changed;
                    self.records.now = advance.record;
                    if advance.is_done {
                        return Ok(End::Complete);
                    }
                    report(Event::Advanced { step: self.label, changed: self.changed });
                }
                Err(error) => {
                    tries += 1;
                    self.recover(session, error, tries, report).await?;
                }
            }
        }
    }

    /// Waits before another try if the failure is a passing one; else records it and gives it back.
    async fn recover(
        &mut self,
        session: &mut Box<dyn Session>,
        error: Error,
        tries: u32,
        report: Report<'_>,
    ) -> Result<()> {
        if !error.temporary || tries >= self.context.tries {
            if !matches!(error.kind, ErrorKind::Connect | ErrorKind::LeaseLost) {
                // The failure itself is what the caller must see; that it could not be noted adds nothing to it.
                let _ = session.note(&self.records.now, EventKind::Failed, &error.message).await;
            }
            return Err(error);
        }
        let delay = jitter(Duration::from_millis(100 * u64::from(tries.min(20))));
        report(Event::Retrying { step: self.label, error: &error, delay });
        tokio::time::sleep(delay).await;
        // The failed call may have moved the record on; the store knows.
        let history = session.history().await?;
        if let Some(record) = history.records.get(&self.label.id.version)
            && record.author.run == self.context.author.run
            && record.steps == self.records.now.steps
        {
            self.records.now = record.clone();
        }
        Ok(())
    }
}

/// The record while the step is under way, and once it is complete.
fn records(item: &Item, history: &History, author: &Author) -> Records {
    let id = item.migration.id();
    let known = history.records.get(&id.version).filter(|record| record.state != State::Undone);
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
            now.steps.push(item.sum.clone());
        }
        now.checkpoint = None;
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
        Direction::Up => done.steps.push(item.sum.clone()),
        Direction::Down => {
            done.steps.pop();
        }
    }
    Records { now, done }
}
