//! A run as people and programs see it: a line for each step, a bar on a terminal, JSON lines for programs; and the
//! signals that stop it.

use std::time::Duration;

use dunlin_core::Holder;
use dunlin_engine::event::StepLabel;
use dunlin_engine::plan::Direction;
use dunlin_engine::run::{Planner, Stop, run};
use dunlin_engine::{Context, Event, Outcome, Summary};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::render::color::Style;
use crate::render::{Format, Printer, Volume, complain};

/// How a run ended.
pub(crate) struct Ended {
    /// What it did, as far as that is known.
    pub(crate) summary: Summary,
    /// What the engine says; nothing where a second signal did not let it finish.
    pub(crate) result: Option<Result<Outcome, Stop>>,
    /// By which signal, if by one.
    pub(crate) stopped_by: Option<Exit>,
}

/// Runs a plan.
pub(crate) async fn watched(context: &Context, planner: Planner<'_>, printer: &Printer) -> Ended {
    let mut show = Show::new(printer);
    let mut stopped_by = None;
    let result = {
        let mut report = |event: Event<'_>| show.event(&event);
        let running = run(context, planner, &mut report);
        tokio::pin!(running);
        loop {
            tokio::select! {
                result = &mut running => break Some(result),
                exit = stop_signal() => {
                    if stopped_by.replace(exit).is_some() {
                        break None;
                    }
                    context.cancel.cancel();
                    complain("\nstopping at the next safe point; once more stops at once\n");
                }
            }
        }
    };
    show.end();
    // The second signal drops the connections where they stand; the histories say how far it got.
    match result {
        Some((summary, result)) => Ended { summary, result: Some(result), stopped_by },
        None => Ended { summary: Summary::default(), result: None, stopped_by },
    }
}

async fn stop_signal() -> Exit {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    }
}

/// Shows events as they come.
struct Show<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
}

impl<'a> Show<'a> {
    fn new(printer: &'a Printer) -> Self {
        let wants_bar =
            printer.format == Format::Text && printer.volume > Volume::Quiet && printer.is_terminal();
        let bar = wants_bar.then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { printer, bar }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        if self.printer.format == Format::Json {
            // A reader that went away does not stop a migration.
            let _ = self.printer.data(&format!("{}\n", as_json(event)));
            return;
        }
        if self.printer.volume == Volume::Quiet {
            return;
        }
        match event {
            Event::Started(step) => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("{} {} {} {}", step.store, step.id, step.phase, step.summary));
                }
                if self.printer.volume == Volume::Verbose {
                    self.statements(*step);
                }
                if step.is_resumed {
                    self.line(&format!("{} {}: goes on where an earlier run stopped", step.store, step.id));
                }
            }
            Event::Advanced { step, changed, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!(
                        "{} {} {} {} · {}",
                        step.store,
                        step.id,
                        step.phase,
                        step.summary,
                        rows(*changed)
                    ));
                }
            }
            Event::Noted { step, note } => self.line(&format!("{} {}: {note}", step.store, step.id)),
            Event::Retrying { step, error, delay } => {
                self.line(&format!(
                    "{} {}: {}; tries again in {}",
                    step.store,
                    step.id,
                    error.message,
                    span(*delay)
                ));
            }
            Event::Finished { step, changed, elapsed } => {
                self.line(&self.finished(*step, *changed, *elapsed));
            }
            other => {
                if let Some(line) = about_lock(other) {
                    self.line(&line);
                }
            }
        }
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

    fn finished(&self, step: StepLabel<'_>, changed: u64, elapsed: Duration) -> String {
        let paint = self.printer.err;
        let sign = match step.direction {
            Direction::Up => paint.text(Style::Good, "↑"),
            Direction::Down => paint.text(Style::Warning, "↓"),
        };
        let rows = if changed > 0 { format!(", {}", rows(changed)) } else { String::new() };
        let facts = paint.text(Style::Dim, &format!("{}{rows}", span(elapsed)));
        format!("{sign} {} {} {}: {} ({facts})", step.store, step.id, step.phase, step.summary)
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| complain(&format!("{text}\n"))),
            None => complain(&format!("{text}\n")),
        }
    }
}

/// What an event says about a lock, if it is about one.
pub(super) fn about_lock(event: &Event<'_>) -> Option<String> {
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

fn rows(changed: u64) -> String {
    if changed == 1 { "1 row".to_owned() } else { format!("{changed} rows") }
}

/// A length of time for people.
pub(crate) fn span(time: Duration) -> String {
    match time.as_millis() {
        0..1000 => format!("{} ms", time.as_millis()),
        1000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

fn of_step(event: &str, step: StepLabel<'_>) -> Value {
    json!({
        "schema": "dunlin.event/1",
        "event": event,
        "store": step.store.as_str(),
        "version": step.id.version.as_str(),
        "slug": &*step.id.slug,
        "phase": step.phase.word(),
        "direction": direction(step.direction),
        "summary": step.summary,
    })
}

/// The word for a direction.
pub(crate) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

fn as_json(event: &Event<'_>) -> Value {
    let with = |mut object: Value, name: &str, value: Value| {
        object[name] = value;
        object
    };
    let holder = |event: &str, store: &dunlin_core::StoreName, holder: Option<&Holder>| {
        let holder = holder.map(|holder| json!({ "who": &*holder.who, "host": &*holder.host, "pid": holder.pid, "run": &*holder.run.0 }));
        json!({ "schema": "dunlin.event/1", "event": event, "store": store.as_str(), "holder": holder })
    };
    let millis = |time: &Duration| json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    match event {
        Event::Waiting { store, holder: who } => holder("waiting", store, *who),
        Event::TakenOver { store, holder: who } => holder("taken-over", store, Some(who)),
        Event::Started(step) => with(of_step("started", *step), "resumed", json!(step.is_resumed)),
        Event::Advanced { step, changed, seen } => {
            with(with(of_step("advanced", *step), "rows", json!(changed)), "seen", json!(seen))
        }
        Event::Throttled { step, reason } => with(of_step("throttled", *step), "reason", json!(reason)),
        Event::Noted { step, note } => with(of_step("noted", *step), "note", json!(note)),
        Event::Retrying { step, error, delay } => {
            with(with(of_step("retrying", *step), "message", json!(error.message)), "delay_ms", millis(delay))
        }
        Event::Finished { step, changed, elapsed } => {
            with(with(of_step("finished", *step), "rows", json!(changed)), "elapsed_ms", millis(elapsed))
        }
        _ => json!({ "schema": "dunlin.event/1", "event": "other" }),
    }
}
