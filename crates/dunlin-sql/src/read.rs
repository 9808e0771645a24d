//! `.sql` files: sections, their directives, and the way back.

mod sections;

use std::ops::Range;
use std::sync::Arc;

use dunlin_core::{Diagnostic, Excerpt, Native, Phase, Section, Source, Undo};

use crate::dialect::Dialect;
use crate::marker::Part;
use crate::op::Op;
use crate::query;
use crate::split::Fault;
use crate::text::{Place, Text};

use sections::{Half, Reason, Sections};

/// Reads a file, or a pair whose second half is the way back.
pub fn read(dialect: Dialect, file: &Source, down: Option<&Source>) -> Native {
    let mut findings = Vec::new();
    let half = if down.is_some() { Half::Up } else { Half::Whole };
    let whole = |source: &Source| source.excerpt(source.whole());
    let (contents, back) = (whole(file), down.map(|down| (down, whole(down))));
    let mut there = sections::read(text(dialect, file, &contents), half, &mut findings);
    let mut back = back
        .as_ref()
        .map(|(down, contents)| sections::read(text(dialect, down, contents), Half::Down, &mut findings));
    there.check(&mut findings);
    let mut reading = Reading { there: &mut there, back: back.as_mut(), findings };
    let sections = [reading.up(), reading.verify(), reading.contract()].into_iter().flatten().collect();
    let mut diagnostics = reading.findings;
    diagnostics.sort_by_key(Diagnostic::span);
    Native { sections, diagnostics }
}

fn text<'a>(dialect: Dialect, source: &Source, content: &'a Excerpt) -> Text<'a> {
    Text { dialect, content, place: Place::Verbatim(source.whole()) }
}

/// A file on its way into sections.
struct Reading<'a, 't> {
    there: &'a mut Sections<'t>,
    back: Option<&'a mut Sections<'t>>,
    findings: Vec<Diagnostic>,
}

impl Reading<'_, '_> {
    fn up(&mut self) -> Option<Section> {
        let op = self.there.op(Part::Up, &mut self.findings)?;
        let half = match &mut self.back {
            Some(back) => &mut **back,
            None => &mut *self.there,
        };
        let down = half.op(Part::Down, &mut self.findings);
        let reasons = [self.there.reason(Part::Up), self.there.reason(Part::Down)];
        let reason = match &self.back {
            Some(back) => back.reason(Part::Down).or(reasons[0]),
            None => reasons[1].or(reasons[0]),
        };
        let undo = way_back(down, reason, &mut self.findings);
        self.section(Phase::Expand, Part::Up, op, undo)
    }

    fn verify(&mut self) -> Option<Section> {
        let op = self.there.op(Part::Verify, &mut self.findings)?;
        self.findings.extend(query::check(&op));
        self.section(Phase::Verify, Part::Verify, op, Undo::Nothing { reason: "looks only".to_owned() })
    }

    fn contract(&mut self) -> Option<Section> {
        let op = self.there.op(Part::Contract, &mut self.findings)?;
        let down = self.there.op(Part::ContractDown, &mut self.findings);
        let reason = self.there.reason(Part::ContractDown).or(self.there.reason(Part::Contract));
        let undo = way_back(down, reason, &mut self.findings);
        self.section(Phase::Contract, Part::Contract, op, undo)
    }

    fn section(&self, phase: Phase, part: Part, op: Op, undo: Undo) -> Option<Section> {
        let span = self.there.span(part)?;
        Some(Section { phase, op: Arc::new(op), undo, span })
    }
}

fn way_back(down: Option<Op>, reason: Option<&Reason<'_>>, findings: &mut Vec<Diagnostic>) -> Undo {
    let down = down.filter(|op| !op.units.is_empty());
    if let (Some(_), Some(reason)) = (&down, reason) {
        findings.push(reason.text.error(contradiction(reason.range.clone())));
    }
    match (down, reason) {
        (Some(op), _) => Undo::Op(Arc::new(op)),
        (None, Some(reason)) if reason.is_irreversible => Undo::Irreversible { reason: reason.words.clone() },
        (None, Some(reason)) => Undo::Nothing { reason: reason.words.clone() },
        (None, None) => Undo::Unwritten,
    }
}

fn contradiction(range: Range<usize>) -> Fault {
    Fault {
        code: "contradiction",
        message: "a way back is written, and this says that there is nothing to run".to_owned(),
        range,
        label: "contradicts the statements of the way back",
        help: "delete the directive, or the statements".to_owned(),
    }
}

#[cfg(test)]
mod tests;
