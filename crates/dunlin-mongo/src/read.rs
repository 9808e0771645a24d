//! From a `.js` file to sections. A file is mongosh text under section markers, or a module that exports `up` and
//! `down`; either way it is evaluated here, and what it would write is what the section does.

mod layout;
mod scan;

use std::ops::Range;
use std::sync::Arc;

use dunlin_core::{AnyOp, Diagnostic, Native, Section, Severity, Source, Span, Undo};

use crate::op::{Command, Op, decode};
use crate::script::{self, Exports, Fault, Mode, Place, Recording};
use layout::{Directives, Layout, Name, Part};
use scan::Scan;

/// Reads a file, or a pair whose second half is the way back.
pub(crate) fn read(file: &Source, down: Option<&Source>) -> Native {
    let mut reader = Reader::default();
    let mut found = reader.file(file, if down.is_some() { Name::Up } else { Name::Other });
    if let Some(down) = down {
        let back = reader.file(down, Name::Down);
        if let Some(written) = found.iter().find(|part| part.name == Name::Down) {
            let message = "the way back is written twice";
            let diagnostic = Diagnostic::error("duplicate-section", message)
                .at(written.span, "here")
                .at(down.whole(), "and in this file");
            reader.diagnostics.push(diagnostic.help("keep one of them"));
        } else {
            found.extend(back.into_iter().filter(|part| part.name == Name::Down));
        }
    }
    Native { sections: sections(found, &mut reader.diagnostics), diagnostics: reader.diagnostics }
}

/// One evaluated part.
struct Found {
    name: Name,
    op: Op,
    span: Span,
    directives: Directives,
    /// What the script threw instead of doing anything: how modules say that there is no way back.
    thrown: Option<String>,
}

#[derive(Default)]
struct Reader {
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    /// The parts of a file. `alone` is what a text without markers is.
    fn file(&mut self, source: &Source, alone: Name) -> Vec<Found> {
        let scan = scan::scan(&source.text);
        let directives = layout::directives(source, &scan, 0..source.text.len(), &mut self.diagnostics);
        if let Some(kind) = layout::exports(&scan) {
            return self.module(source, &scan, kind, &directives, alone);
        }
        let Layout { parts } = layout::parts(source, &scan, alone, &mut self.diagnostics);
        parts.into_iter().map(|part| self.part(source, &scan, &part)).collect()
    }

    fn part(&mut self, source: &Source, scan: &Scan<'_>, part: &Part) -> Found {
        let text = &source.text[part.body.clone()];
        let mode = mode(part.name);
        let recording =
            if scan.has_code(part.body.clone()) { script::shell(text, mode) } else { Recording::default() };
        // Directives were checked with the whole file; here they are only collected.
        let directives = layout::directives(source, scan, part.body.clone(), &mut Vec::new());
        let span = source.span(part.body.start, part.body.end);
        self.found(source, scan, (part.name, part.body.start, span), recording, directives)
    }

    fn module(
        &mut self,
        source: &Source,
        scan: &Scan<'_>,
        kind: Exports,
        directives: &Directives,
        alone: Name,
    ) -> Vec<Found> {
        let names: Vec<(&str, Mode)> = Name::NAMED.iter().map(|name| (name.word(), mode(*name))).collect();
        let recordings = match script::module(&source.text, kind, &names) {
            Ok(recordings) => recordings,
            Err(recording) => {
                self.report(source, scan, 0, source.whole(), &recording.faults);
                return Vec::new();
            }
        };
        let needed = if alone == Name::Down { "down" } else { "up" };
        if !recordings.iter().any(|(name, _)| *name == needed) {
            let message = format!("the module exports no `{needed}` function");
            self.diagnostics.push(
                Diagnostic::error("no-up-function", message)
                    .at(source.span(0, 0), "in this file")
                    .help("write `module.exports = { async up(db) { … }, async down(db) { … } }`, or mongosh text under `// Up` and `// Down`"),
            );
        }
        let mut found = Vec::new();
        for (word, recording) in recordings {
            let Some(name) = Name::NAMED.into_iter().find(|name| name.word() == word) else { continue };
            let own = if name == Name::Down { directives.clone() } else { Directives::default() };
            found.push(self.found(source, scan, (name, 0, source.whole()), recording, own));
        }
        if !found.iter().any(|part| part.name == Name::Down) && *directives != Directives::default() {
            let (op, thrown) = (Op::default(), None);
            found.push(Found {
                name: Name::Down,
                op,
                span: source.whole(),
                directives: directives.clone(),
                thrown,
            });
        }
        found
    }

    fn found(
        &mut self,
        source: &Source,
        scan: &Scan<'_>,
        (name, start, span): (Name, usize, Span),
        recording: Recording,
        directives: Directives,
    ) -> Found {
        // `async down() { throw new Error("cannot be undone") }` is how modules say it.
        let thrown = recording.thrown.filter(|_| name.is_back() && recording.commands.is_empty());
        if thrown.is_none() {
            self.report(source, scan, start, span, &recording.faults);
        }
        for (text, place) in recording.notes {
            let at = place.map_or(span, |place| spanned(source, scan, start, place));
            let note = Diagnostic::error("js-printed", format!("the script prints: {text}")).at(at, "here");
            self.diagnostics.push(Diagnostic { severity: Severity::Note, ..note });
        }
        let phase = name.phase();
        let mut commands = Vec::new();
        for recorded in recording.commands {
            let at = recorded.place.map_or(span, |place| sent(source, scan, start, place));
            let database = recorded.database.map(Arc::from);
            let document = recorded.document;
            let command =
                Command { database, group: recorded.group, span: Some(at), ..Command::new(document) };
            self.diagnostics.extend(decode::refused(phase, &command, at));
            commands.push(command);
        }
        Found { name, op: Op { commands }, span, directives, thrown }
    }

    fn report(&mut self, source: &Source, scan: &Scan<'_>, start: usize, span: Span, faults: &[Fault]) {
        for fault in faults {
            let at = match fault.place {
                Some(place) if fault.code == "js-syntax" => token(source, position(source, start, place)),
                Some(place) if fault.code == "js-value" => sent(source, scan, start, place),
                Some(place) => spanned(source, scan, start, place),
                None => span,
            };
            let diagnostic = Diagnostic::error(fault.code, fault.message.clone()).at(at, "here");
            let shell = fault.code == "js-syntax" && is_shell_helper(source, at);
            let help = if shell {
                Some("`use` and `show` belong to the shell; write db.getSiblingDB(\"name\")".to_owned())
            } else {
                fault.help.clone()
            };
            self.diagnostics.push(match help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
        }
    }
}

fn mode(name: Name) -> Mode {
    if name == Name::Verify { Mode::Verify } else { Mode::Write }
}

/// The byte of the file that a place in a part of it means.
fn position(source: &Source, start: usize, place: Place) -> usize {
    start + decode::offset(&source.text[start..], place.line, place.column)
}

fn spanned(source: &Source, scan: &Scan<'_>, start: usize, place: Place) -> Span {
    let Range { start, end } = scan.call(position(source, start, place));
    source.span(start, end)
}

/// The call that sends a command. The engine may point at one of its arguments instead.
fn sent(source: &Source, scan: &Scan<'_>, start: usize, place: Place) -> Span {
    let Range { start, end } = scan.call(scan.method(position(source, start, place)));
    source.span(start, end)
}

/// The word or the sign at a byte.
fn token(source: &Source, at: usize) -> Span {
    let rest = &source.text[at.min(source.text.len())..];
    let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    let length = if word == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { word };
    source.span(at, at + length)
}

fn is_shell_helper(source: &Source, at: Span) -> bool {
    let line = source.text[..at.start as usize].rfind('\n').map_or(0, |newline| newline + 1);
    let line = source.text[line..].trim_start();
    ["use ", "show "].iter().any(|word| line.starts_with(word))
}

/// The sections, with the way back from each.
fn sections(found: Vec<Found>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Section> {
    let (backs, mut sections): (Vec<_>, Vec<_>) =
        found.into_iter().map(|part| (part.name, part)).partition(|(name, _)| name.is_back());
    sections.sort_by_key(|(name, _)| name.phase());
    let (mut back, mut contract_back) = (None, None);
    for (name, part) in backs {
        let undo = undo(part, diagnostics);
        *(if name == Name::Down { &mut back } else { &mut contract_back }) = Some(undo);
    }
    let section = |(name, part): (Name, Found)| {
        let undo = match name {
            Name::Verify => Undo::Nothing { reason: "a verify section changes nothing".to_owned() },
            Name::Contract => {
                contract_back.take().or_else(|| part.directives.undo()).unwrap_or(Undo::Unwritten)
            }
            _ => back.take().or_else(|| part.directives.undo()).unwrap_or(Undo::Unwritten),
        };
        let op: AnyOp = Arc::new(part.op);
        Section { phase: name.phase(), op, undo, span: part.span }
    };
    sections.into_iter().map(section).collect()
}

fn undo(part: Found, diagnostics: &mut Vec<Diagnostic>) -> Undo {
    let said = part.directives.undo();
    match (part.op.commands.is_empty(), said) {
        (false, Some(_)) => {
            let message = "the down section does something, and says that there is nothing to do";
            diagnostics.push(
                Diagnostic::error("contradicting-undo", message)
                    .at(part.span, "both in here")
                    .help("remove the commands or the `// dunlin:` line"),
            );
            Undo::Op(Arc::new(part.op))
        }
        (false, None) => Undo::Op(Arc::new(part.op)),
        (true, Some(said)) => said,
        (true, None) => part.thrown.map_or(Undo::Unwritten, |reason| Undo::Irreversible { reason }),
    }
}

/// What a new file starts with.
pub(crate) const TEMPLATE: &str = "// Up
// mongosh, recorded before it runs: db.users.updateMany({}, [{ $set: { email: { $toLower: \"$email\" } } }])


// Down

";

#[cfg(test)]
mod tests;
