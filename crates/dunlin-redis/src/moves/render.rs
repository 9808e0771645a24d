//! Ops that go through keys, in words and commands.

mod form;
mod kept;

use std::fmt::Write as _;
use std::sync::Arc;

use dunlin_core::{AnyOp, Line, Op as CoreOp};

use super::{Existing, Life, Look, Move, Pair, Shape, What};
use crate::pattern::{inverts, may_overlap};
use crate::quote::quote;
use form::named;

impl Existing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Replace => "replace",
        }
    }
}

/// The name of an op and its settings, in the order in which they are hashed.
fn settings(what: &What) -> (&'static str, Vec<(&'static str, String)>) {
    let pair = named;
    match what {
        What::Rename { pair: names, existing } => {
            ("rename_keys", [pair(names), vec![("existing", existing.word().to_owned())]].concat())
        }
        What::Copy { pair: names, existing, is_at_once } => {
            let mut all = pair(names);
            all.push(("existing", existing.word().to_owned()));
            if *is_at_once {
                all.push(("big", "at_once".to_owned()));
            }
            ("copy_keys", all)
        }
        What::Delete { keys, if_same_as } => {
            let mut all = vec![("keys", keys.text().to_owned())];
            all.extend(if_same_as.as_ref().map(|other| ("if_same_as", other.text().to_owned())));
            ("delete_keys", all)
        }
        What::Expire { keys, ttl, is_only_missing } => {
            let ttl = ttl.map_or_else(|| "none".to_owned(), |ttl| format!("{ttl}ms"));
            let mut all = vec![("keys", keys.text().to_owned()), ("ttl", ttl)];
            if *is_only_missing {
                all.push(("only", "missing".to_owned()));
            }
            ("expire_keys", all)
        }
        What::Convert { pair: names, into, is_lenient, is_back } => {
            let mut all = pair(names);
            all.push(("otherwise", if *is_lenient { "skip" } else { "fail" }.to_owned()));
            if *is_back {
                all.push(("back", "yes".to_owned()));
            }
            (if *into == Shape::Hash { "string_to_hash" } else { "hash_to_string" }, all)
        }
        What::RenameField { keys, from, to } => (
            "rename_hash_field",
            vec![("keys", keys.text().to_owned()), ("from", from.clone()), ("to", to.clone())],
        ),
        What::Align { form, differing, is_drop } => {
            let mut all = form.settings();
            all.push(("differing", differing.word().to_owned()));
            if *is_drop {
                all.push(("drop", "yes".to_owned()));
            }
            ("align", all)
        }
        What::Archive { .. } | What::End { .. } | What::Restore { .. } => kept::settings(what),
    }
}

fn canonical(name: &str, settings: &[(&'static str, String)]) -> String {
    let mut text = format!("keys 1 {name}");
    for (name, value) in settings {
        write!(text, " {name} {}:{value}", value.len()).expect("a String takes everything");
    }
    text
}

/// The commands for one key.
fn commands(what: &What) -> Vec<String> {
    let quoted = |text: &str| quote(text.as_bytes());
    match what {
        What::Rename { pair, existing } => {
            let verb = if *existing == Existing::Replace { "RENAME" } else { "RENAMENX" };
            vec![format!("{verb} {} {}", quoted(pair.from.text()), quoted(pair.to.text()))]
        }
        What::Copy { pair, existing, .. } => {
            let replace = if *existing == Existing::Replace { " REPLACE" } else { "" };
            vec![format!("COPY {} {}{replace}", quoted(pair.from.text()), quoted(pair.to.text()))]
        }
        What::Delete { keys, if_same_as: None } => vec![format!("UNLINK {}", quoted(keys.text()))],
        What::Delete { keys, if_same_as: Some(other) } => {
            vec![format!("UNLINK {} -- if {} holds the same", quoted(keys.text()), quoted(other.text()))]
        }
        What::Expire { keys, ttl: Some(ttl), is_only_missing } => {
            let only = if *is_only_missing { " NX" } else { "" };
            vec![format!("PEXPIRE {} {ttl}{only}", quoted(keys.text()))]
        }
        What::Expire { keys, ttl: None, .. } => vec![format!("PERSIST {}", quoted(keys.text()))],
        What::Convert { pair, is_back: true, .. } => {
            vec![format!(
                "UNLINK {} -- if it is what was made of {}",
                quoted(pair.to.text()),
                quoted(pair.from.text())
            )]
        }
        What::Convert { pair, into: Shape::Hash, .. } => vec![
            format!("GET {}", quoted(pair.from.text())),
            format!("HSET {} <field> <value> …", quoted(pair.to.text())),
        ],
        What::Convert { pair, into: Shape::Text, .. } => vec![
            format!("HGETALL {}", quoted(pair.from.text())),
            format!("SET {} <json>", quoted(pair.to.text())),
        ],
        What::RenameField { keys, from, to } => vec![
            format!("HSET {} {} <value of {}>", quoted(keys.text()), quoted(to), quoted(from)),
            format!("HDEL {} {}", quoted(keys.text()), quoted(from)),
        ],
        What::Align { form, differing, is_drop } => {
            let mut all = form.looking();
            all.extend(form.mending(*differing));
            if *is_drop {
                all.push(form.removing());
            }
            all
        }
        What::Archive { .. } | What::End { .. } | What::Restore { .. } => kept::commands(what),
    }
}

fn scan(glob: &[u8], note: &str, span: Option<dunlin_core::Span>) -> Line {
    let text = format!("SCAN <cursor> MATCH {} COUNT <count>", quote(glob));
    Line { text, note: Some(note.to_owned()), span }
}

impl CoreOp for Move {
    fn summary(&self) -> String {
        match &self.what {
            What::Rename { pair, .. } => format!("rename {} to {}", pair.from.text(), pair.to.text()),
            What::Copy { pair, .. } => format!("copy {} to {}", pair.from.text(), pair.to.text()),
            What::Delete { keys, if_same_as: None } => format!("delete {}", keys.text()),
            What::Delete { keys, if_same_as: Some(other) } => {
                format!("delete {} where {} is the same", keys.text(), other.text())
            }
            What::Expire { keys, ttl: Some(_), .. } => format!("expire {}", keys.text()),
            What::Expire { keys, ttl: None, .. } => format!("keep {} for good", keys.text()),
            What::Convert { pair, is_back: true, .. } => {
                format!("delete {} made of {}", pair.to.text(), pair.from.text())
            }
            What::Convert { pair, into: Shape::Hash, .. } => {
                format!("write {} as hashes {}", pair.from.text(), pair.to.text())
            }
            What::Convert { pair, into: Shape::Text, .. } => {
                format!("write {} as JSON {}", pair.from.text(), pair.to.text())
            }
            What::RenameField { keys, from, to } => format!("rename field {from} of {} to {to}", keys.text()),
            What::Align { form, is_drop: false, .. } => {
                let (first, second) = form.words();
                format!("bring {second} in step with {first}")
            }
            What::Align { form, is_drop: true, .. } => {
                let (first, second) = form.words();
                format!("remove {first} where {second} is in step")
            }
            What::Archive { .. } | What::End { .. } | What::Restore { .. } => kept::summary(&self.what),
        }
    }

    fn preview(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        if let What::Rename { pair, existing: Existing::Fail }
        | What::Copy { pair, existing: Existing::Fail, .. } = &self.what
        {
            lines.push(scan(
                &pair.to.glob(),
                "first: names that are taken are listed, and nothing is written",
                self.span,
            ));
        }
        let glob = match &self.what {
            What::Restore { tag, .. } => format!("{{dunlin-*}}:archive:{tag}:*").into_bytes(),
            what => what.keys().glob(),
        };
        lines.push(scan(&glob, "on every primary, about 1 ms a page", self.span));
        let note = "for each key, many at once";
        lines.extend(commands(&self.what).into_iter().map(|text| Line {
            text,
            note: Some(note.to_owned()),
            span: self.span,
        }));
        lines
    }

    fn canonical(&self) -> String {
        let (name, settings) = settings(&self.what);
        canonical(name, &settings)
    }

    fn removes(&self) -> Vec<String> {
        let replaced = |pair: &Pair| vec![format!("what keys {} hold where they exist", pair.to.text())];
        match &self.what {
            What::Delete { keys, .. } => vec![format!("keys {}", keys.text())],
            // What would be lost is asked record by record.
            What::Align { is_drop: true, .. } if self.life.loses.is_some() => Vec::new(),
            What::Align { form, is_drop: true, .. } => vec![form.removes()],
            What::Archive { keys, keep, .. } => {
                vec![format!("keys {}; the archive has them for {} days", keys.text(), keep / 86_400_000)]
            }
            What::Rename { pair, existing: Existing::Replace }
            | What::Copy { pair, existing: Existing::Replace, .. } => replaced(pair),
            _ => Vec::new(),
        }
    }

    fn moves(&self) -> bool {
        true
    }

    fn undo(&self) -> Option<AnyOp> {
        let what = match &self.what {
            What::Rename { pair: Pair { from, to }, existing: Existing::Fail | Existing::Skip } => {
                let is_sound = inverts(to, from) && !may_overlap(to, from);
                let pair = Pair { from: to.clone(), to: from.clone() };
                is_sound.then_some(What::Rename { pair, existing: Existing::Skip })?
            }
            What::Copy { pair: Pair { from, to }, existing: Existing::Fail | Existing::Skip, .. } => {
                What::Delete { keys: to.clone(), if_same_as: Some(from.clone()) }
            }
            What::Convert { pair, into, is_lenient, is_back: false } => {
                What::Convert { pair: pair.clone(), into: *into, is_lenient: *is_lenient, is_back: true }
            }
            What::RenameField { keys, from, to } => {
                What::RenameField { keys: keys.clone(), from: to.clone(), to: from.clone() }
            }
            _ => return None,
        };
        Some(Arc::new(Self { what, span: self.span, life: Life::default() }))
    }

    fn touches(&self) -> Vec<String> {
        self.life.touches.clone()
    }

    fn loses(&self) -> Option<AnyOp> {
        self.life.loses.clone().map(|look| Arc::new(look) as AnyOp)
    }
}

impl CoreOp for Look {
    fn summary(&self) -> String {
        match self {
            Self::None { keys } => format!("no key {}", keys.text()),
            Self::Ends { keys, end: true } => format!("every {} ends", keys.text()),
            Self::Ends { keys, end: false } => format!("no {} ends", keys.text()),
            Self::Same { pair, .. } => format!("every {} equals {}", pair.from.text(), pair.to.text()),
            Self::InStep { form, is_loss, .. } => {
                let (first, second) = form.words();
                if *is_loss {
                    format!("no {first} differs from {second}")
                } else {
                    format!("every {first} is in step with {second}")
                }
            }
        }
    }

    fn follows(&self) -> bool {
        self.mends()
    }

    fn preview(&self) -> Vec<Line> {
        let mut lines = vec![scan(&self.keys().glob(), "on every primary, about 1 ms a page", None)];
        if let Self::Same { pair, .. } = self {
            let text = format!(
                "DUMP, PTTL {} {}",
                quote(pair.from.text().as_bytes()),
                quote(pair.to.text().as_bytes())
            );
            lines.push(Line {
                note: Some("compared in the server where both are in one slot".to_owned()),
                ..Line::new(text)
            });
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
                lines.extend(form.mending(*differing).into_iter().map(line(note)));
            }
        }
        lines
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
            Self::InStep { form, differing, is_loss } => {
                let mut all = form.settings();
                all.push(("differing", differing.word().to_owned()));
                if *is_loss {
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
