//! How a file is laid out: section markers, exports, and `// dunlin:` directives.

use std::ops::Range;

use dunlin_core::words::{LIKE_DOWN, is_like_down};
use dunlin_core::{Diagnostic, Phase, Source, Span, Undo, suggest};

use super::scan::Scan;
use crate::script::Exports;

/// What a part of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Up,
    Down,
    Verify,
    Contract,
    ContractDown,
    /// A text without markers: all up.
    Other,
}

impl Name {
    /// Those with a word.
    pub(super) const NAMED: [Self; 5] =
        [Self::Up, Self::Down, Self::Verify, Self::Contract, Self::ContractDown];

    /// The function of a module.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Up | Self::Other => "up",
            Self::Down => "down",
            Self::Verify => "verify",
            Self::Contract => "contract",
            Self::ContractDown => "contractDown",
        }
    }

    /// The section of the words of a comment.
    fn of(words: &str) -> Option<Self> {
        Some(match words {
            "up" | "up migration" | "migration up" | "migrate up" => Self::Up,
            "down" | "down migration" | "migration down" | "migrate down" => Self::Down,
            "verify" => Self::Verify,
            "contract" | "contract up" => Self::Contract,
            "contract down" => Self::ContractDown,
            _ => return None,
        })
    }

    /// Whether it is the way back from another.
    pub(super) fn is_back(self) -> bool {
        matches!(self, Self::Down | Self::ContractDown)
    }

    pub(super) fn phase(self) -> Phase {
        match self {
            Self::Up | Self::Down | Self::Other => Phase::Expand,
            Self::Verify => Phase::Verify,
            Self::Contract | Self::ContractDown => Phase::Contract,
        }
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: Name,
    pub(super) body: Range<usize>,
}

/// How a module exports, if the text is one.
pub(super) fn exports(scan: &Scan<'_>) -> Option<Exports> {
    if scan.has_word("export") {
        return Some(Exports::Module);
    }
    (scan.has_word("exports") || scan.has_word("module")).then_some(Exports::Common)
}

/// Splits mongosh text at its markers.
pub(super) fn parts(source: &Source, scan: &Scan<'_>, alone: Name, wrong: &mut Vec<Diagnostic>) -> Vec<Part> {
    let text = &*source.text;
    let mut markers: Vec<(Name, Range<usize>)> = Vec::new();
    for comment in &scan.comments {
        let line_start = text[..comment.range.start].rfind('\n').map_or(0, |newline| newline + 1);
        let is_alone = text[line_start..comment.range.start].trim().is_empty();
        let place = source.span(comment.range.start, comment.range.end);
        let said = &text[comment.range.clone()];
        let Some(name) = marker(said).filter(|_| is_alone) else {
            if is_alone && said.starts_with("//") && is_like_down(said) {
                wrong.push(misspelt(place));
            }
            continue;
        };
        if comment.depth > 0 {
            let message = format!("this marks the {} section inside open brackets", name.word());
            wrong.push(
                Diagnostic::error("marker-inside-code", message)
                    .at(place, "brackets are open here")
                    .help("close them first, or word the comment differently"),
            );
        } else if let Some((_, first)) = markers.iter().find(|(known, _)| *known == name) {
            wrong.push(
                Diagnostic::error("duplicate-section", format!("a second {} section", name.word()))
                    .at(place, "again here")
                    .at(source.span(first.start, first.end), "first here")
                    .help("join the two"),
            );
        } else {
            markers.push((name, comment.range.clone()));
        }
    }
    split(source, scan, alone, &markers, wrong)
}

fn split(
    source: &Source,
    scan: &Scan<'_>,
    alone: Name,
    markers: &[(Name, Range<usize>)],
    wrong: &mut Vec<Diagnostic>,
) -> Vec<Part> {
    let end = source.text.len();
    let first = markers.first().map_or(end, |(_, marker)| marker.start);
    let mut parts = Vec::new();
    if markers.is_empty() {
        parts.push(Part { name: alone, body: 0..first });
    } else if scan.has_code(0..first) {
        wrong.push(
            Diagnostic::error("code-before-section", "there is code before the first section")
                .at(source.span(0, source.text[..first].trim_end().len()), "belongs to no section")
                .help("move it under `// Up`; sections do not share variables"),
        );
    }
    for (at, (name, marker)) in markers.iter().enumerate() {
        let end = markers.get(at + 1).map_or(end, |(_, next)| next.start);
        parts.push(Part { name: *name, body: marker.end..end });
    }
    parts
}

fn misspelt(place: Span) -> Diagnostic {
    Diagnostic::error("unknown-marker", LIKE_DOWN.0)
        .at(place, LIKE_DOWN.1)
        .help("write `// Down`, alone on its line; or word the comment differently")
}

/// The section a comment begins.
fn marker(comment: &str) -> Option<Name> {
    let text = comment.strip_prefix("//")?;
    // Markers are short: prose is not looked at twice.
    if text.len() > 80 {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let decoration = |letter: char| letter.is_whitespace() || "-=+*#!@>~:/".contains(letter);
    let words: Vec<&str> = text.trim_matches(decoration).split_whitespace().collect();
    Name::of(&words.join(" "))
}

/// What `// dunlin:` lines say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directives {
    irreversible: Option<String>,
    no_op: Option<String>,
}

impl Directives {
    /// The way back they declare.
    pub(super) fn undo(&self) -> Option<Undo> {
        let irreversible = self.irreversible.clone().map(|reason| Undo::Irreversible { reason });
        irreversible.or_else(|| self.no_op.clone().map(|reason| Undo::Nothing { reason }))
    }
}

/// Reads the directives in a part of a text, and reports those that say nothing known.
pub(super) fn directives(
    source: &Source,
    scan: &Scan<'_>,
    range: Range<usize>,
    wrong: &mut Vec<Diagnostic>,
) -> Directives {
    const KNOWN: [&str; 3] = ["irreversible", "no-op", "allow"];
    let mut found = Directives::default();
    for comment in scan.comments.iter().filter(|comment| range.contains(&comment.range.start)) {
        let text = &source.text[comment.range.clone()];
        let inner = text.trim_start_matches(['/', '*', ' ', '\t']).trim_end_matches(['/', '*']).trim_end();
        let Some((head, said)) = inner.split_at_checked("dunlin:".len()) else { continue };
        if !head.eq_ignore_ascii_case("dunlin:") {
            continue;
        }
        let said = said.trim();
        let (word, reason) =
            said.split_once(':').map_or((said, ""), |(word, reason)| (word.trim(), reason.trim()));
        let place = source.span(comment.range.start, comment.range.start + text.trim_end().len());
        if word.starts_with("allow(") {
            continue;
        }
        if !KNOWN.contains(&word) {
            wrong.push(
                Diagnostic::error("unknown-directive", format!("unknown directive `{word}`"))
                    .at(place, "not known")
                    .help(suggest::help(word, KNOWN)),
            );
        } else if reason.is_empty() {
            wrong.push(
                Diagnostic::error("missing-reason", format!("`{word}` needs a reason"))
                    .at(place, "no reason is given")
                    .help(format!("write `// dunlin: {word}: why`")),
            );
        } else if word == "irreversible" {
            found.irreversible = Some(reason.to_owned());
        } else {
            found.no_op = Some(reason.to_owned());
        }
    }
    found
}
