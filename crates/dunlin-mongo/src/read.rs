//! From a `.js` file to sections. A file is mongosh text under section markers, or a module that exports `up` and
//! `down`; either way it is evaluated here, and what it would write is what the section does.

mod layout;
mod scan;

use std::ops::Range;
use std::sync::Arc;

use dunlin_core::{AnyOp, Diagnostic, Native, Section, Severity, Source, Span, Undo};

use crate::op::{Command, Op, decode};
use crate::script::{self, Exports, Fault, Mode, Place, Recording};
use layout::{Directives, Name, Part};
use scan::Scan;

/// Reads a file, or a pair whose second half is the way back.
pub(crate) fn read(file: &Source, down: Option<&Source>) -> Native {
    let mut diagnostics = Vec::new();
    let mut found = Reader::read(file, if down.is_some() { Name::Up } else { Name::Other }, &mut diagnostics);
    if let Some(down) = down {
        let back = Reader::read(down, Name::Down, &mut diagnostics);
        if let Some(written) = found.iter().find(|part| part.name == Name::Down) {
            let message = "the way back is written twice";
            let diagnostic = Diagnostic::error("duplicate-section", message)
                .at(written.place, "here")
                .at(down.whole(), "and in this file");
            diagnostics.push(diagnostic.help("keep one of them"));
        } else {
            found.extend(back.into_iter().filter(|part| part.name == Name::Down));
        }
    }
    Native { sections: sections(found, &mut diagnostics), diagnostics }
}

/// One evaluated part.
struct Found {
    name: Name,
    op: Op,
    place: Span,
    directives: Directives,
    /// What the script threw instead of doing anything: how modules say that there is no way back.
    thrown: Option<String>,
}

/// A text that was evaluated, and where it stands.
#[derive(Debug, Clone, Copy)]
struct Text {
    name: Name,
    /// Its first byte in the file.
    start: usize,
    place: Span,
}

/// A file being read.
struct Reader<'a> {
    source: &'a Source,
    scan: Scan<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    /// The parts of a file. `alone` is what a text without markers is.
    fn read(source: &'a Source, alone: Name, diagnostics: &'a mut Vec<Diagnostic>) -> Vec<Found> {
        let scan = scan::scan(&source.text);
        let directives = layout::directives(source, &scan, 0..source.text.len(), diagnostics);
        if let Some(kind) = layout::exports(&scan) {
            return Reader { source, scan, diagnostics }.module(kind, &directives, alone);
        }
        let parts = layout::parts(source, &scan, alone, diagnostics);
        let mut reader = Reader { source, scan, diagnostics };
        parts.into_iter().map(|part| reader.part(&part)).collect()
    }

    fn part(&mut self, part: &Part) -> Found {
        let body = part.body.clone();
        let recording = if self.scan.has_code(body.clone()) {
            script::shell(&self.source.text[body.clone()], mode(part.name))
        } else {
            Recording::default()
        };
        // Directives were checked with the whole file; here they are only collected.
        let directives = layout::directives(self.source, &self.scan, body.clone(), &mut Vec::new());
        let place = self.source.span(body.start, body.end);
        self.found(Text { name: part.name, start: body.start, place }, recording, directives)
    }

    fn module(&mut self, kind: Exports, directives: &Directives, alone: Name) -> Vec<Found> {
        let names: Vec<(&str, Mode)> = Name::NAMED.iter().map(|name| (name.word(), mode(*name))).collect();
        let whole = |name: Name| Text { name, start: 0, place: self.source.whole() };
        let recordings = match script::module(&self.source.text, kind, &names) {
            Ok(recordings) => recordings,
            Err(recording) => {
                self.report(whole(alone), &recording.faults);
                return Vec::new();
            }
        };
        let needed = if alone == Name::Down { "down" } else { "up" };
        if !recordings.iter().any(|(name, _)| *name == needed) {
            let message = format!("the module exports no `{needed}` function");
            self.diagnostics.push(
                Diagnostic::error("no-up-function", message)
                    .at(self.source.span(0, 0), "in this file")
                    .help("write `module.exports = { async up(db) { … }, async down(db) { … } }`, or mongosh text under `// Up` and `// Down`"),
            );
        }
        let mut found = Vec::new();
        for (word, recording) in recordings {
            let Some(name) = Name::NAMED.into_iter().find(|name| name.word() == word) else { continue };
            let own = if name == Name::Down { directives.clone() } else { Directives::default() };
            let text = Text { name, start: 0, place: self.source.whole() };
            found.push(self.found(text, recording, own));
        }
        if !found.iter().any(|part| part.name == Name::Down) && *directives != Directives::default() {
            let (op, place, directives) = (Op::default(), self.source.whole(), directives.clone());
            found.push(Found { name: Name::Down, op, place, directives, thrown: None });
        }
        found
    }

    fn found(&mut self, text: Text, recording: Recording, directives: Directives) -> Found {
        // `async down() { throw new Error("cannot be undone") }` is how modules say it.
        let thrown = recording.thrown.filter(|_| text.name.is_back() && recording.commands.is_empty());
        if thrown.is_none() {
            self.report(text, &recording.faults);
        }
        for (said, place) in recording.notes {
            let at = place.map_or(text.place, |place| self.around(self.position(text, place)));
            let note = Diagnostic::error("js-printed", format!("the script prints: {said}")).at(at, "here");
            self.diagnostics.push(Diagnostic { severity: Severity::Note, ..note });
        }
        let mut commands = Vec::new();
        for recorded in recording.commands {
            let at = recorded.place.map_or(text.place, |place| self.sent(text, place));
            let database = recorded.database.map(Arc::from);
            let document = recorded.document;
            let command =
                Command { database, group: recorded.group, span: Some(at), ..Command::new(document) };
            self.diagnostics.extend(decode::refused(text.name.phase(), &command, at));
            commands.push(command);
        }
        Found { name: text.name, op: Op { commands }, place: text.place, directives, thrown }
    }

    fn report(&mut self, text: Text, faults: &[Fault]) {
        for fault in faults {
            let imported = self.imported(&fault.message);
            let at = match fault.place {
                _ if imported.is_some() => imported.unwrap_or(text.place),
                Some(place) if fault.code == "js-syntax" => self.token(self.position(text, place)),
                Some(place) if fault.code == "js-value" => self.sent(text, place),
                Some(place) => self.around(self.position(text, place)),
                None => text.place,
            };
            let message = match imported {
                Some(at) if !fault.message.contains(LACKS) => {
                    let name = self.source.slice(at);
                    format!("`import {name}` is refused: a migration stands on its own")
                }
                _ => fault.message.clone(),
            };
            let diagnostic = Diagnostic::error(fault.code, message).at(at, "here");
            let help = match fault.code {
                _ if imported.is_some() => Some(ALONE.to_owned()),
                "js-syntax" if self.begins(at, &["use ", "show "]) => {
                    Some("`use` and `show` belong to the shell; write db.getSiblingDB(\"name\")".to_owned())
                }
                "js-syntax" if self.begins(at, &["import "]) => Some(format!(
                    "`import` stands in a module only: `export async function up(db) {{ … }}`; {ALONE}"
                )),
                _ => fault.help.clone(),
            };
            self.diagnostics.push(match help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
        }
    }

    /// The byte of the file that a place in a part of it means.
    fn position(&self, text: Text, place: Place) -> usize {
        text.start + decode::offset(&self.source.text[text.start..], place.line, place.column)
    }

    /// The call, or whatever else stands there, around a byte.
    fn around(&self, at: usize) -> Span {
        let Range { start, end } = self.scan.call(at);
        self.source.span(start, end)
    }

    /// The call that sends a command. The engine may point at one of its arguments instead.
    fn sent(&self, text: Text, place: Place) -> Span {
        self.around(self.scan.method(self.position(text, place)))
    }

    /// The word or the sign at a byte.
    fn token(&self, at: usize) -> Span {
        let rest = &self.source.text[at.min(self.source.text.len())..];
        let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let length = if word == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { word };
        self.source.span(at, at + length)
    }

    /// Whether the line of a fault begins with one of these words.
    fn begins(&self, at: Span, words: &[&str]) -> bool {
        let line = self.source.text[..at.start as usize].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.source.text[line..].trim_start();
        words.iter().any(|word| line.starts_with(word))
    }

    /// The name of the module that an import asks for, where the engine says that it is not there or lacks something.
    fn imported(&self, message: &str) -> Option<Span> {
        let is_about = message.contains("could not load module '") || message.contains(LACKS);
        let name = message.rsplit('\'').nth(1).filter(|_| is_about)?;
        // A path stands there as the engine resolved it.
        let name = name.rsplit('/').next()?;
        let text = &self.source.text;
        let is_quote = |letter: char| matches!(letter, '\'' | '"' | '`');
        let ends = text.match_indices(name).map(|(at, _)| at + name.len());
        let end = ends.into_iter().find(|end| text[*end..].starts_with(is_quote))?;
        let start = text[..end].rfind(is_quote)?;
        Some(self.source.span(start, end + 1))
    }
}

/// How the engine says that a module has no such name.
const LACKS: &str = "' in module '";

/// What an import may be for.
const ALONE: &str = "only the types of `mongodb` and `bson` are there, with `import` and without; copy what else is needed into the file";

fn mode(name: Name) -> Mode {
    if name == Name::Verify { Mode::Verify } else { Mode::Write }
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
        Section { phase: name.phase(), op, undo, span: part.place }
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
                    .at(part.place, "both in here")
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
