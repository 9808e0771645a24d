//! A text and where it stands, so that what is said about its parts points into the user's file.

use std::ops::Range;

use dunlin_core::{Diagnostic, Excerpt, Severity, Span};

use crate::dialect::Dialect;
use crate::split::Fault;

/// Where a text stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// In no file.
    Nowhere,
    /// Under this span, letter by letter.
    Verbatim(Span),
    /// Somehow under this span: escapes moved the letters.
    Within(Span),
}

/// SQL text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    /// Its grammar.
    pub(crate) dialect: Dialect,
    /// The text itself.
    pub(crate) content: &'a Excerpt,
    /// Where it stands.
    pub(crate) place: Place,
}

impl Text<'_> {
    /// Where a part of it stands.
    pub(crate) fn span(&self, range: &Range<usize>) -> Option<Span> {
        match self.place {
            Place::Nowhere => None,
            Place::Verbatim(span) => Some(span.slice(range.start, range.end)),
            Place::Within(span) => Some(span),
        }
    }

    /// A finding about a part of it. Where there is no file to point into, the message says the line.
    pub(crate) fn finding(&self, severity: Severity, fault: Fault) -> Diagnostic {
        let mut finding = Diagnostic::error(fault.code, fault.message).help(fault.help);
        finding.severity = severity;
        match self.span(&fault.range) {
            Some(span) => finding.at(span, fault.label),
            None => {
                let line = self.content[..fault.range.start].matches('\n').count() + 1;
                let message = format!("{}, line {line} of the script", finding.message);
                Diagnostic { message, ..finding }
            }
        }
    }

    /// An error about a part of it.
    pub(crate) fn error(&self, fault: Fault) -> Diagnostic {
        self.finding(Severity::Error, fault)
    }
}
