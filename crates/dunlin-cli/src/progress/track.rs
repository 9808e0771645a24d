//! One step under way: how far it is, how fast it goes, and when to say so.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dunlin_core::Seen;
use dunlin_engine::event::StepLabel;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::render::words::{along, grouped, rate, rows, span};

/// How often a line says how far a step is, where nobody watches a bar.
const EVERY: Duration = Duration::from_secs(10);
/// The rate is that of the last so many seconds.
const WINDOW: Duration = Duration::from_secs(10);

pub(super) struct Track {
    bar: Option<ProgressBar>,
    label: String,
    /// When it had come past how many records.
    samples: VecDeque<(Instant, u64)>,
    told: Instant,
    /// Why it waits, if it does.
    reason: Option<String>,
    latest: String,
}

impl Track {
    pub(super) fn new(step: StepLabel<'_>, bars: Option<&MultiProgress>) -> Self {
        let label = format!("{} {} {}", step.store, step.id, step.phase);
        let bar = bars.map(|bars| {
            let bar =
                bars.add(ProgressBar::new_spinner().with_style(style("{spinner} {elapsed} {wide_msg}")));
            bar.set_message(format!("{label} {}", step.summary));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let told = Instant::now();
        Self { bar, label, samples: VecDeque::new(), told, reason: None, latest: String::new() }
    }

    /// The step got further; the line that says so, if it is time for one.
    pub(super) fn advanced(&mut self, changed: u64, seen: Option<&Seen>) -> Option<String> {
        let was_waiting = self.reason.take().is_some();
        let Some(seen) = seen else {
            if let Some(bar) = &self.bar {
                bar.set_message(format!("{} · {}", self.label, rows(changed)));
            }
            return None;
        };
        self.sample(seen.scanned);
        self.latest = self.words(seen);
        if let (Some(bar), Some(total)) = (&self.bar, seen.total.filter(|total| *total > 0)) {
            if bar.length() != Some(total) {
                bar.set_style(style("{spinner} {elapsed} {bar:20} {wide_msg}").progress_chars("━╸ "));
                bar.set_length(total);
            }
            bar.set_position(seen.scanned);
        }
        self.show();
        if self.bar.is_some() || !was_waiting && self.told.elapsed() < EVERY {
            return None;
        }
        self.told = Instant::now();
        Some(self.latest.clone())
    }

    /// The step waits; the line that says so.
    pub(super) fn throttled(&mut self, reason: &str) -> Option<String> {
        self.reason = Some(reason.to_owned());
        self.show();
        self.told = Instant::now();
        self.bar.is_none().then(|| format!("waits: {reason}"))
    }

    fn show(&self) {
        if let Some(bar) = &self.bar {
            let waits = self.reason.as_ref().map(|reason| format!(" · waits: {reason}")).unwrap_or_default();
            bar.set_message(format!("{} · {}{waits}", self.label, self.latest));
        }
    }

    fn sample(&mut self, scanned: u64) {
        let now = Instant::now();
        self.samples.push_back((now, scanned));
        while self.samples.len() > 2 && self.samples.front().is_some_and(|(at, _)| now - *at > WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Records a second, lately.
    fn rate(&self) -> Option<u64> {
        let ((since, from), (until, to)) = (self.samples.front()?, self.samples.back()?);
        rate(to.saturating_sub(*from), *until - *since).filter(|rate| *rate > 0)
    }

    fn words(&self, seen: &Seen) -> String {
        let mut words = vec![along(seen)];
        if let Some(rate) = self.rate() {
            words.push(format!("{}/s", grouped(rate)));
            let left = seen.total.map(|total| total.saturating_sub(seen.scanned) / rate);
            words.extend(
                left.filter(|left| *left > 0).map(|left| format!("{} left", span(Duration::from_secs(left)))),
            );
        }
        words.extend((!seen.near.is_empty()).then(|| seen.near.clone()));
        words.join(", ")
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
