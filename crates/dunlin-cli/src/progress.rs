//! A run as people and programs see it: a line for each step, a bar for each store on a terminal, a line now and then
//! elsewhere, JSON lines for programs.

pub(crate) mod json;
mod track;
mod trail;

use std::collections::BTreeMap;
use std::time::Duration;

use dunlin_core::{Doing, Holder, MigrationId, Pulse, StoreName};
use dunlin_engine::Event;
use dunlin_engine::event::StepLabel;
use dunlin_engine::follow::End;
use dunlin_engine::plan::Direction;
use indicatif::MultiProgress;

use crate::render::color::Style;
use crate::render::words::{grouped, rate, rows, span};
use crate::render::{Format, Printer, Volume, complain};
use track::Track;
use trail::Trail;

/// Shows events as they come.
pub(crate) struct Show<'a> {
    printer: &'a Printer,
    bars: Option<MultiProgress>,
    /// The step under way in each store.
    tracks: BTreeMap<StoreName, Track>,
    /// Whoever follows in each store.
    trails: BTreeMap<StoreName, Trail>,
}

impl<'a> Show<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        let wants_bars =
            printer.format == Format::Text && printer.volume > Volume::Quiet && printer.is_terminal();
        Self {
            printer,
            bars: wants_bars.then(MultiProgress::new),
            tracks: BTreeMap::new(),
            trails: BTreeMap::new(),
        }
    }

    /// Takes the bars off the terminal.
    pub(crate) fn end(&mut self) {
        self.tracks.clear();
        self.trails.clear();
    }

    pub(crate) fn event(&mut self, event: &Event<'_>) {
        if self.printer.format == Format::Json {
            if let Event::Followed { id, store, pulse, .. } = event
                && !self.trail(store, id).is_news(pulse)
            {
                return;
            }
            // A reader that went away does not stop a migration.
            let _ = self.printer.data(&format!("{}\n", json::line(event)));
            return;
        }
        if self.printer.volume == Volume::Quiet {
            return;
        }
        match event {
            Event::Started(step) => self.started(*step),
            Event::Advanced { step, changed, seen } => {
                let track = self.tracks.get_mut(step.store);
                let told = track.and_then(|track| track.advanced(*changed, seen.as_ref()));
                self.about(*step, told);
            }
            Event::Throttled { step, reason } => {
                let track = self.tracks.get_mut(step.store);
                let told = track.and_then(|track| track.throttled(reason));
                self.about(*step, told);
            }
            Event::Noted { step, note } => self.about(*step, Some((*note).to_owned())),
            Event::Foreseen { store, note } => self.line(&format!("{store}: {note}")),
            Event::Irreversible { step, loss } => {
                let told = self.printer.err.text(Style::Warning, &loss.to_string());
                self.about(*step, Some(told));
            }
            Event::Retrying { step, error, delay } => {
                let told = format!("{}; tries again in {}", error.message, span(*delay));
                self.about(*step, Some(told));
            }
            Event::Finished { step, changed, compared, elapsed } => {
                self.tracks.remove(step.store);
                self.line(&self.finished(*step, (*changed, *compared), *elapsed));
            }
            Event::Followed { id, store, pulse, heard, mended } => {
                self.followed((store, id), pulse, (*heard, *mended));
            }
            Event::FollowerWaits { id, store, reason } => {
                let told = self.trail(store, id).waits(reason);
                if let Some(told) = told {
                    self.line(&format!("{store} {id}: {told}"));
                }
            }
            Event::FollowerLost { id, store, error, delay } => {
                self.line(&format!("{store} {id}: {}; tries again in {}", error.message, span(*delay)));
            }
            Event::Unfollowed { id, store, end } => {
                self.trails.remove(*store);
                self.line(&format!("{store} {id}: {}", ending(end)));
            }
            other => {
                if let Some(line) = about_lock(other) {
                    self.line(&line);
                }
            }
        }
    }

    fn trail(&mut self, store: &StoreName, id: &MigrationId) -> &mut Trail {
        let bars = self.bars.as_ref();
        self.trails.entry(store.clone()).or_insert_with(|| Trail::new(store, id, bars))
    }

    fn followed(
        &mut self,
        (store, id): (&StoreName, &MigrationId),
        pulse: &Pulse,
        (heard, mended): (u64, u64),
    ) {
        if pulse.doing == Doing::Closed {
            return;
        }
        let trail = self.trail(store, id);
        let told = trail.goes_on(pulse, (heard, mended));
        let left = trail::left(pulse).filter(|_| trail.is_first());
        for line in pulse.notes.iter().chain(&left).chain(&told) {
            self.line(&format!("{store} {id}: {line}"));
        }
    }

    fn started(&mut self, step: StepLabel<'_>) {
        if self.printer.volume == Volume::Verbose {
            self.statements(step);
        }
        if step.is_resumed {
            self.about(step, Some("goes on where an earlier run stopped".to_owned()));
        }
        self.tracks.insert(step.store.clone(), Track::new(step, self.bars.as_ref()));
    }

    /// The statements of a step, before they run.
    fn statements(&self, step: StepLabel<'_>) {
        let head = format!("{} {} {}", step.store, step.id, step.phase);
        self.line(&self.printer.err.text(Style::Frame, &head));
        for line in step.op.iter().flat_map(|op| op.preview()) {
            for text in line.text.lines() {
                self.line(&format!("    {text}"));
            }
        }
    }

    fn finished(&self, step: StepLabel<'_>, (changed, compared): (u64, u64), elapsed: Duration) -> String {
        let paint = self.printer.err;
        let sign = match step.direction {
            Direction::Up => paint.text(Style::Good, "↑"),
            Direction::Down => paint.text(Style::Warning, "↓"),
        };
        let mut facts = vec![span(elapsed)];
        facts.extend((changed > 0).then(|| rows(changed)));
        facts.extend((compared > 0).then(|| format!("{} compared", grouped(compared))));
        let rate = rate(changed.max(compared), elapsed).filter(|rate| *rate > 0);
        facts.extend(rate.map(|rate| format!("{}/s", grouped(rate))));
        let facts = paint.text(Style::Dim, &facts.join(", "));
        format!("{sign} {} {} {}: {} ({facts})", step.store, step.id, step.phase, step.summary)
    }

    fn about(&self, step: StepLabel<'_>, text: Option<String>) {
        if let Some(text) = text {
            self.line(&format!("{} {}: {text}", step.store, step.id));
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| complain(&format!("{text}\n"))),
            None => complain(&format!("{text}\n")),
        }
    }
}

/// Why following ended, in words.
pub(crate) fn ending(end: &End) -> &'static str {
    match end {
        End::Stopped => "stopped",
        End::Until => "stopped by the clock",
        End::InStep => "everything is in step",
        End::Contracted => "the contract removes the old shape, so there is nothing left to follow",
        End::TakenBack => "the new shape is taken back, so there is nothing left to follow",
    }
}

/// What an event says about a lock, if it is about one.
pub(crate) fn about_lock(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Waiting { store, holder } => {
            Some(format!("waits for the migration lock of `{store}`{}", by(*holder)))
        }
        Event::TakenOver { store, holder } => {
            Some(format!("takes over the migration lock of `{store}`{}, which is gone", by(Some(holder))))
        }
        _ => None,
    }
}

fn by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| {
        format!(", held by {} on {}, process {}", holder.who, holder.host, holder.pid)
    })
}
