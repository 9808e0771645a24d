//! A follower under way in one store: what it does, how far it is behind, and when to say so.

use std::time::{Duration, Instant};

use dunlin_core::{Doing, MigrationId, Pulse, Seen, StoreName};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::render::words::{along, count, grouped, span};

/// How often a line says where it is, where nobody watches one.
const EVERY: Duration = Duration::from_secs(10);

pub(super) struct Trail {
    bar: Option<ProgressBar>,
    label: String,
    /// What it was doing when it last said so.
    said: Option<&'static str>,
    told: Instant,
    is_seen: bool,
}

impl Trail {
    pub(super) fn new(store: &StoreName, id: &MigrationId, bars: Option<&MultiProgress>) -> Self {
        let label = format!("{store} {id}");
        let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
        let bar = bars.map(|bars| {
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = bars.add(ProgressBar::new_spinner().with_style(style));
            bar.set_message(format!("{label} · begins to follow"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, label, said: None, told: Instant::now(), is_seen: false }
    }

    /// It went on for a moment; whether a program is told.
    pub(super) fn is_news(&mut self, pulse: &Pulse) -> bool {
        let word = word(&pulse.doing);
        let is_news = self.said != Some(word)
            || pulse.heard > 0
            || pulse.mended > 0
            || !pulse.left.is_empty()
            || !pulse.notes.is_empty()
            || self.told.elapsed() >= EVERY;
        if is_news {
            (self.said, self.told) = (Some(word), Instant::now());
        }
        is_news
    }

    /// The same, for people: the line that says so, if it is time for one.
    pub(super) fn goes_on(&mut self, pulse: &Pulse, (heard, mended): (u64, u64)) -> Option<String> {
        let words = words(pulse, heard, mended);
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} · {words}", self.label));
        }
        let word = word(&pulse.doing);
        let is_due = self.said != Some(word) || self.told.elapsed() >= EVERY;
        if self.bar.is_some() || !is_due {
            return None;
        }
        (self.said, self.told) = (Some(word), Instant::now());
        Some(words)
    }

    /// It waits for something; the line that says so the first time.
    pub(super) fn waits(&mut self, reason: &str) -> Option<String> {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} · {reason}", self.label));
        }
        let is_new = self.said != Some("waits");
        self.said = Some("waits");
        (is_new && self.bar.is_none()).then(|| reason.to_owned())
    }

    /// Whether what cannot be brought in step was not spoken of yet: it is met again and again.
    pub(super) fn is_first(&mut self) -> bool {
        !std::mem::replace(&mut self.is_seen, true)
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The word for what it does.
pub(super) fn word(doing: &Doing) -> &'static str {
    match doing {
        Doing::Pass(_) => "pass",
        Doing::Live => "live",
        Doing::Closed => "closed",
        Doing::Lost(_) => "lost",
    }
}

fn words(pulse: &Pulse, heard: u64, mended: u64) -> String {
    let mended = format!("{} mended", grouped(mended));
    match &pulse.doing {
        Doing::Pass(seen) => {
            let seen: Option<&Seen> = seen.as_ref();
            let far = seen.map(|seen| format!(", {}", along(seen))).unwrap_or_default();
            format!("goes through everything once{far}; {mended}")
        }
        Doing::Live => {
            let lag =
                if pulse.lag.is_zero() { "in step".to_owned() } else { format!("lag {}", span(pulse.lag)) };
            format!("follows: {lag}, {} heard, {mended}", grouped(heard))
        }
        Doing::Closed => "closed".to_owned(),
        Doing::Lost(words) => words.clone(),
    }
}

/// What could not be brought in step, in a line.
pub(super) fn left(pulse: &Pulse) -> Option<String> {
    let first = pulse.left.first()?;
    Some(format!(
        "{} cannot be brought in step, the first is {}: `dunlin verify` lists them",
        count(pulse.left.len(), "record"),
        first.record
    ))
}
