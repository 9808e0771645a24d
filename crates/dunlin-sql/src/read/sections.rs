//! The sections of one file, as written.

use std::ops::Range;

use dunlin_core::{Diagnostic, Span};

use crate::directive::{self, Directive};
use crate::lex;
use crate::marker::{Marker, Part};
use crate::op::Op;
use crate::split::{Fault, Markers, Piece, PieceKind, split};
use crate::text::Text;
use crate::units::{self, Settings};

/// Which half of a migration a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// All of it.
    Whole,
    /// The way there; another file is the way back.
    Up,
    /// The way back.
    Down,
}

/// Why there is nothing to run on the way back.
#[derive(Debug)]
pub(super) struct Reason<'a> {
    pub(super) text: Text<'a>,
    pub(super) range: Range<usize>,
    /// Whether there is no way back at all.
    pub(super) is_irreversible: bool,
    /// The author's words.
    pub(super) words: String,
}

/// A section as written.
#[derive(Debug)]
struct Written<'a> {
    part: Part,
    /// Its marker, or the first line of a file without markers.
    head: Range<usize>,
    pieces: Vec<Piece>,
    settings: Settings,
    reason: Option<Reason<'a>>,
}

/// The sections of a file.
#[derive(Debug)]
pub(super) struct Sections<'a> {
    text: Text<'a>,
    half: Half,
    written: Vec<Written<'a>>,
}

/// Takes a file apart.
pub(super) fn read<'a>(text: Text<'a>, half: Half, findings: &mut Vec<Diagnostic>) -> Sections<'a> {
    let split = split(text.dialect, text.content, Markers::Seen);
    findings.extend(split.faults.into_iter().map(|fault| text.error(fault)));
    let mut sections = Sections { text, half, written: Vec::new() };
    let (before, no_transaction) = sections.distribute(split.pieces, findings);
    if sections.written.is_empty() {
        let part = if half == Half::Down { Part::Down } else { Part::Up };
        let line = lex::line_end(text.content.as_bytes(), 0);
        sections.begin(part, 0..line, false);
        sections.written[0].pieces = before;
    } else if let Some(piece) = before.iter().find(|piece| piece.kind == PieceKind::Statement) {
        findings.push(text.error(before_marker(piece.range.clone())));
    }
    for written in &mut sections.written {
        written.settings.no_transaction |= no_transaction;
    }
    for range in split.directives {
        match directive::read(text, &range) {
            Ok(directive) => sections.direct(directive, &range, findings),
            Err(fault) => findings.push(text.error(fault)),
        }
    }
    sections
}

impl<'a> Sections<'a> {
    /// Gives each piece to its section. Returns those before the first, and whether the file wants no transaction.
    fn distribute(&mut self, pieces: Vec<Piece>, findings: &mut Vec<Diagnostic>) -> (Vec<Piece>, bool) {
        let mut before = Vec::new();
        let (mut no_transaction, mut is_block, mut is_dropped) = (false, false, false);
        for piece in pieces {
            match &piece.kind {
                PieceKind::Marker(Marker::Section { part, no_transaction }) => {
                    let fault = self.refusal(*part, &piece.range);
                    is_dropped = fault.is_some();
                    match fault {
                        Some(fault) => findings.push(fault),
                        None => self.begin(*part, piece.range.clone(), *no_transaction),
                    }
                }
                PieceKind::Marker(Marker::NoTransaction) => no_transaction = true,
                PieceKind::Marker(Marker::BlockStart) => is_block = true,
                PieceKind::Marker(Marker::BlockEnd) => {
                    if !std::mem::take(&mut is_block) {
                        findings.push(self.text.error(stray_end(piece.range.clone())));
                    }
                }
                _ if is_dropped => {}
                _ => match self.written.last_mut() {
                    Some(written) => written.pieces.push(piece),
                    None => before.push(piece),
                },
            }
        }
        (before, no_transaction)
    }

    fn begin(&mut self, part: Part, head: Range<usize>, no_transaction: bool) {
        let settings = Settings { no_transaction, ..Settings::default() };
        self.written.push(Written { part, head, pieces: Vec::new(), settings, reason: None });
    }

    /// Why a section may not begin here.
    fn refusal(&self, part: Part, range: &Range<usize>) -> Option<Diagnostic> {
        if let Some(first) = self.find(part) {
            let finding = self.text.error(duplicate(part, range.clone()));
            return Some(match self.text.span(&first.head) {
                Some(span) => finding.at(span, "the first is here"),
                None => finding,
            });
        }
        let is_misplaced = match self.half {
            Half::Whole => false,
            Half::Up => part == Part::Down,
            Half::Down => part != Part::Down,
        };
        is_misplaced.then(|| self.text.error(wrong_half(part, range.clone())))
    }

    /// Follows a directive.
    fn direct(&mut self, directive: Directive, range: &Range<usize>, findings: &mut Vec<Diagnostic>) {
        let at = self.written.iter().rposition(|written| written.head.start <= range.start);
        // Before the first marker, it is for the whole file.
        let home = if self.half == Half::Down { Part::Down } else { Part::Up };
        let (scope, part) = match at {
            Some(at) => (at..at + 1, self.written[at].part),
            None => (0..self.written.len(), home),
        };
        let (is_irreversible, words) = match directive {
            Directive::NoTransaction => {
                return self.written[scope]
                    .iter_mut()
                    .for_each(|written| written.settings.no_transaction = true);
            }
            Directive::ForeignKeys(keys) => {
                return self.written[scope].iter_mut().for_each(|written| {
                    written.settings.foreign_keys = Some(keys);
                });
            }
            Directive::Irreversible(words) => (true, words),
            Directive::NoOp(words) => (false, words),
        };
        let is_back = matches!(part, Part::Down | Part::ContractDown);
        if part == Part::Verify || !(is_irreversible || is_back) {
            let message = "this is said where the way back is written".to_owned();
            let help = "move it below a `-- Down` line";
            return findings.push(self.text.error(directive::misplaced(range, message, help)));
        }
        let text = self.text;
        let reason = Reason { text, range: range.clone(), is_irreversible, words };
        let target = at.or_else(|| self.written.iter().position(|written| written.part == home));
        if let Some(at) = target {
            self.written[at].reason = Some(reason);
        }
    }

    fn find(&self, part: Part) -> Option<&Written<'a>> {
        self.written.iter().find(|written| written.part == part)
    }

    /// Reports what is missing.
    pub(super) fn check(&self, findings: &mut Vec<Diagnostic>) {
        for (part, needs) in [(Part::Down, Part::Up), (Part::ContractDown, Part::Contract)] {
            if let (Some(written), None) = (self.find(part), self.find(needs)) {
                findings.push(self.text.error(missing(part, needs, written.head.clone())));
            }
        }
    }

    /// The statements of a section, grouped.
    pub(super) fn op(&self, part: Part, findings: &mut Vec<Diagnostic>) -> Option<Op> {
        let written = self.find(part)?;
        let statements = units::statements(self.text, &written.pieces);
        Some(units::group(self.text.dialect, statements, written.settings, findings))
    }

    /// What a section says about the way back.
    pub(super) fn reason(&self, part: Part) -> Option<&Reason<'a>> {
        self.find(part)?.reason.as_ref()
    }

    /// Where a section begins.
    pub(super) fn span(&self, part: Part) -> Option<Span> {
        self.text.span(&self.find(part)?.head)
    }
}

fn before_marker(range: Range<usize>) -> Fault {
    Fault {
        code: "text-before-marker",
        message: "a statement before the first section".to_owned(),
        range,
        label: "belongs to no section",
        help: "put a line `-- Up` before it".to_owned(),
    }
}

fn duplicate(part: Part, range: Range<usize>) -> Fault {
    Fault {
        code: "duplicate-section",
        message: format!("a second `{}` section", part.word()),
        range,
        label: "again",
        help: "join the two; a section may hold any number of statements".to_owned(),
    }
}

fn wrong_half(part: Part, range: Range<usize>) -> Fault {
    Fault {
        code: "section-in-wrong-file",
        message: format!("a `{}` section in the wrong half of a pair", part.word()),
        range,
        label: "the other file is for this",
        help: "move it to the other file of the pair, or delete that file".to_owned(),
    }
}

fn missing(part: Part, needs: Part, range: Range<usize>) -> Fault {
    Fault {
        code: "missing-section",
        message: format!("`{}` without `{}`", part.word(), needs.word()),
        range,
        label: "the way back from nothing",
        help: format!("put a line `{}` before the statements it undoes", needs.word()),
    }
}

fn stray_end(range: Range<usize>) -> Fault {
    Fault {
        code: "unknown-marker",
        message: "a statement block ends that did not begin".to_owned(),
        range,
        label: "ends nothing",
        help: "put a `StatementBegin` comment before the statement, or delete this one".to_owned(),
    }
}
