//! `.redis` files: sections, comments, directives.

use std::sync::Arc;

use dunlin_core::words::{LIKE_DOWN, is_like_down};
use dunlin_core::{Diagnostic, Native, Phase, Section, Source, Span, Undo};

use crate::directive::{self, Directive, Word};
use crate::lines::Lines;
use crate::op::Op;

/// What a section's comment line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Up,
    Verify,
    Contract,
    ContractDown,
    Down,
}

impl Marker {
    const ALL: [Self; 5] = [Self::Up, Self::Verify, Self::Contract, Self::ContractDown, Self::Down];

    fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Verify => "verify",
            Self::Contract => "contract",
            Self::ContractDown => "contract down",
            Self::Down => "down",
        }
    }

    /// Reads `# Up`, in any case.
    fn of(comment: &str) -> Option<Self> {
        let words = comment.trim_start_matches('#').trim().trim_end_matches(':').to_ascii_lowercase();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::ALL.into_iter().find(|marker| words == marker.word())
    }
}

/// A section being read.
#[derive(Debug)]
struct Part {
    marker: Marker,
    /// Where its marker stands; `None` before the first one.
    span: Option<Span>,
    lines: Lines,
    directives: Vec<Directive>,
    end: usize,
    /// The first line that holds a command.
    first: Option<Span>,
}

impl Part {
    fn new(marker: Marker, span: Option<Span>) -> Self {
        let lines = Lines::new(marker == Marker::Verify);
        Self { marker, span, lines, directives: Vec::new(), end: 0, first: None }
    }
}

/// Reads a file, or a pair whose second half is the way back.
pub(crate) fn read(file: &Source, down: Option<&Source>) -> Native {
    let mut diagnostics = Vec::new();
    let mut parts = parts(file, Marker::Up, &mut diagnostics);
    if let Some(down) = down {
        let has_own = parts.iter().find(|part| part.marker == Marker::Down);
        if let Some(span) = has_own.and_then(|part| part.span) {
            let fault = Diagnostic::error("duplicate-section", "the way back is written twice");
            diagnostics.push(fault.at(span, "a `.down.redis` file stands beside this one"));
        }
        let others = self::parts(down, Marker::Down, &mut diagnostics);
        for part in others.iter().filter(|part| part.marker != Marker::Down) {
            let fault =
                Diagnostic::error("misplaced-section", format!("`# {}` in a down file", part.marker.word()));
            diagnostics.push(fault.at(part.span.unwrap_or_else(|| down.whole()), "belongs into the up file"));
        }
        parts.retain(|part| part.marker != Marker::Down);
        parts.extend(others.into_iter().filter(|part| part.marker == Marker::Down));
    }
    let sections = sections(file, parts, &mut diagnostics);
    Native { sections, diagnostics }
}

/// Cuts a text into sections. Without markers, all of it is `whole`.
fn parts(source: &Source, whole: Marker, diagnostics: &mut Vec<Diagnostic>) -> Vec<Part> {
    let mut parts = vec![Part::new(whole, None)];
    let mut offset = 0;
    for full in source.text.split_inclusive('\n') {
        let line = full.trim_end_matches(['\n', '\r']);
        let text = line.trim_start();
        let start = offset + (line.len() - text.len());
        offset += full.len();
        let place = |from: usize, to: usize| source.span(start + from, start + to);
        if let Some(marker) = text.starts_with('#').then(|| Marker::of(text)).flatten() {
            let span = place(0, text.trim_end().len());
            open_part(&mut parts, marker, span, diagnostics);
        } else if text.starts_with('#') && is_like_down(text) {
            let fault = Diagnostic::error("unknown-marker", LIKE_DOWN.0)
                .at(place(0, text.trim_end().len()), LIKE_DOWN.1);
            diagnostics
                .push(fault.help("write `# Down`, alone on its line; or word the comment differently"));
        }
        let part = parts.last_mut().expect("there is one from the beginning");
        part.end = offset;
        if text.starts_with('#') {
            take_comment(part, text, &place);
        } else if !text.trim().is_empty() {
            part.first = part.first.or(Some(place(0, text.trim_end().len())));
            part.lines.line(text, &place);
        }
    }
    parts
}

fn open_part(parts: &mut Vec<Part>, marker: Marker, span: Span, diagnostics: &mut Vec<Diagnostic>) {
    if let [only] = parts.as_mut_slice()
        && only.span.is_none()
    {
        if let Some(first) = only.first {
            let fault = Diagnostic::error("misplaced-command", "commands before the first section");
            diagnostics.push(
                fault
                    .at(first, "belongs to no section")
                    .at(span, "the first section")
                    .help("put `# Up` above what should run on the way up"),
            );
        }
        // Directives above the first marker speak of the file; they stay with what is read as its up.
        let mut part = Part::new(marker, Some(span));
        part.directives = std::mem::take(&mut only.directives);
        *only = part;
        return;
    }
    if let Some(earlier) = parts.iter().find(|part| part.marker == marker).and_then(|part| part.span) {
        let fault = Diagnostic::error("duplicate-section", format!("a second `# {}`", marker.word()));
        diagnostics.push(fault.at(span, "again").at(earlier, "first here").help("join the two"));
    }
    parts.push(Part::new(marker, Some(span)));
}

fn take_comment(part: &mut Part, text: &str, place: directive::Place<'_>) {
    match directive::read(text, place) {
        Some(Ok(Directive { word: Word::Allow(name), span, .. })) => part.lines.allow(name, span),
        Some(Ok(directive)) => part.directives.push(directive),
        Some(Err(fault)) => part.lines.fault(fault),
        None => {}
    }
}

fn sections(file: &Source, parts: Vec<Part>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Section> {
    let mut ops = Vec::new();
    for Part { marker, span, lines, directives, end, .. } in parts {
        let (op, faults) = lines.finish();
        diagnostics.extend(faults);
        let span = span
            .map_or_else(|| file.whole(), |span| Span { end: file.span(0, end).end.max(span.end), ..span });
        ops.push((marker, op, directives, span));
    }
    let mut take = |marker| {
        let at = ops.iter().position(|(known, ..)| *known == marker)?;
        let (_, op, directives, span) = ops.remove(at);
        Some((op, directives, span))
    };
    let (down, said_below) =
        take(Marker::Down).map_or((None, Vec::new()), |(op, directives, _)| (Some(op), directives));
    let (up, said_above, span) =
        take(Marker::Up).unwrap_or_else(|| (Op::default(), Vec::new(), file.whole()));
    let said = said_above.into_iter().chain(said_below).collect();
    let mut sections = vec![section(Phase::Expand, up, undo(down, said, diagnostics), span)];
    if let Some((op, said, span)) = take(Marker::Verify) {
        let undo = match undo(None, said, diagnostics) {
            Undo::Unwritten => Undo::Nothing { reason: "a verify changes nothing".to_owned() },
            said => said,
        };
        sections.push(section(Phase::Verify, op, undo, span));
    }
    if let Some((op, mut said, span)) = take(Marker::Contract) {
        let (down, said_below) = take(Marker::ContractDown)
            .map_or((None, Vec::new()), |(op, directives, _)| (Some(op), directives));
        said.extend(said_below);
        sections.push(section(Phase::Contract, op, undo(down, said, diagnostics), span));
    } else if let Some((_, _, span)) = take(Marker::ContractDown) {
        let fault = Diagnostic::error("missing-section", "a way back from a contract that is not written");
        diagnostics.push(fault.at(span, "this section").help("put `# Contract` with its commands above it"));
    }
    sections
}

fn section(phase: Phase, op: Op, undo: Undo, span: Span) -> Section {
    Section { phase, op: Arc::new(op), undo, span }
}

/// The way back that a section's commands and directives amount to.
fn undo(down: Option<Op>, said: Vec<Directive>, diagnostics: &mut Vec<Diagnostic>) -> Undo {
    let mut said = said.into_iter();
    let Some(directive) = said.next() else {
        return down
            .filter(|op| !op.commands.is_empty())
            .map_or(Undo::Unwritten, |op| Undo::Op(Arc::new(op)));
    };
    let contradiction = |at: Span, label: &str| {
        Diagnostic::error("contradiction", "the file says two things about the way back")
            .at(directive.span, "says this")
            .at(at, label)
    };
    if let Some(first) = down.iter().flat_map(|op| &op.commands).find_map(|command| command.span) {
        diagnostics.push(contradiction(first, "but a way back is written"));
    }
    diagnostics.extend(said.map(|other| contradiction(other.span, "and this")));
    let reason = directive.reason.clone();
    if directive.word == Word::Irreversible {
        Undo::Irreversible { reason }
    } else {
        Undo::Nothing { reason }
    }
}
