//! Ops that look at keys, in words and commands.

use dunlin_core::{Line, Op as CoreOp};

use super::scan;
use super::settings::canonical;
use crate::moves::{Differing, Look};
use crate::quote::quote;

impl CoreOp for Look {
    fn summary(&self) -> String {
        match self {
            Self::None { keys } => format!("no key {}", keys.text()),
            Self::Ends { keys, end: true } => format!("every {} ends", keys.text()),
            Self::Ends { keys, end: false } => format!("no {} ends", keys.text()),
            Self::Same { pair, .. } => format!("every {} equals {}", pair.from.text(), pair.to.text()),
            Self::InStep { form, loss, .. } => {
                let (first, second) = form.words();
                if loss.is_some() {
                    format!("no {first} differs from {second}")
                } else {
                    format!("every {first} is in step with {second}")
                }
            }
        }
    }

    fn remedy(&self) -> Option<String> {
        let words = "say which side is right, `wins = \"old\"` or `wins = \"new\"`: what differs is made anew of it then";
        let is_undecided =
            matches!(self, Self::Same { .. } | Self::InStep { differing: Differing::Stop, loss: None, .. });
        is_undecided.then(|| words.to_owned())
    }

    fn follows(&self) -> bool {
        self.mends()
    }

    fn preview(&self) -> Vec<Line> {
        self.lines(false)
    }

    fn canonical(&self) -> String {
        match self {
            Self::Ends { keys, end } => {
                let end = if *end { "yes" } else { "no" };
                canonical("ends", &[("keys", keys.text().to_owned()), ("end", end.to_owned())])
            }
            Self::None { keys } => canonical("none", &[("keys", keys.text().to_owned())]),
            Self::Same { pair, sample } => {
                let mut all = vec![("from", pair.from.text().to_owned()), ("to", pair.to.text().to_owned())];
                all.extend(sample.map(|sample| ("sample", sample.to_string())));
                canonical("same", &all)
            }
            Self::InStep { form, differing, loss } => {
                let mut all = form.settings();
                all.push(("differing", differing.word().to_owned()));
                if loss.is_some() {
                    all.push(("loss", "yes".to_owned()));
                }
                canonical("in_step", &all)
            }
        }
    }

    fn moves(&self) -> bool {
        true
    }
}

impl Look {
    /// What it sends, where other names may live in other slots.
    pub(super) fn lines(&self, is_crossing: bool) -> Vec<Line> {
        let mut lines = vec![scan(&self.keys().glob(), "on every primary, about 1 ms a page", None)];
        if let Self::Same { pair, .. } = self {
            let text = format!(
                "DUMP, PTTL {} {}",
                quote(pair.from.text().as_bytes()),
                quote(pair.to.text().as_bytes())
            );
            let note = format!(
                "compared in the server where both are in one slot; what is there as {} alone is left out",
                pair.to.text()
            );
            lines.push(Line { note: Some(note), ..Line::new(text) });
        }
        if let Self::Ends { keys, .. } = self {
            lines.push(Line::new(format!("PTTL {}", quote(keys.text().as_bytes()))));
        }
        if let Self::InStep { form, differing, .. } = self {
            let line = |note: &str| {
                let note = note.to_owned();
                move |text| Line { note: Some(note.clone()), ..Line::new(text) }
            };
            lines.extend(form.looking().into_iter().map(line("for each key, many at once")));
            if self.mends() {
                let note = "by the run that holds the lock: what was written since";
                lines.extend(form.mending(*differing, is_crossing).into_iter().map(line(note)));
            }
        }
        lines
    }
}
