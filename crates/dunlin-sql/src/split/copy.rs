//! The data after `COPY … FROM stdin`.

use std::ops::Range;

use crate::lex::Kind;

use super::splitter::{Splitter, line_end};
use super::{Fault, PieceKind};

/// Reads on from the `;` of the statement to the end of its data.
pub(super) fn read(splitter: &mut Splitter<'_>) {
    let text = splitter.text;
    let start = splitter.lexer.at();
    let mut end = line_end(text, start);
    while splitter.lexer.at() < end {
        let Some(token) = splitter.lexer.next() else { break };
        match token.kind {
            Kind::Comment => {
                splitter.push(PieceKind::Comment, token.start..token.end);
                end = line_end(text, token.end);
            }
            Kind::Blank => splitter.push(PieceKind::Blank, token.start..token.end.min(end)),
            _ => {
                splitter.fault(Fault {
                    code: "text-before-data",
                    message: "a statement on the line where COPY data begin".to_owned(),
                    range: token.start..end,
                    label: "not data",
                    help: "put it after the line `\\.` that ends the data".to_owned(),
                });
                splitter.push(PieceKind::Client, token.start..end);
                break;
            }
        }
    }
    let data = after_break(text, end);
    splitter.push(PieceKind::Blank, end..data);
    let stop = lines(text, data).find(|line| &text[line.clone()] == "\\.");
    let (stop, next) = match stop {
        Some(line) => (line.start, line.end),
        None => {
            let statement = splitter.split.pieces.iter().rfind(|piece| piece.kind == PieceKind::Statement);
            let range = statement.map_or(start..start, |piece| piece.range.clone());
            splitter.fault(without_data(range));
            (text.len(), text.len())
        }
    };
    splitter.push(PieceKind::Copy, data..stop);
    splitter.push(PieceKind::Client, stop..next);
    splitter.lexer.jump(next);
}

/// What to say of data without an end, or without a beginning.
pub(super) fn without_data(range: Range<usize>) -> Fault {
    Fault {
        code: "unterminated-copy",
        message: "COPY FROM stdin without an end of its data".to_owned(),
        range,
        label: "the data begin after this",
        help: "end the data with a line `\\.`".to_owned(),
    }
}

/// The lines from `at` on, without their breaks.
fn lines(text: &str, at: usize) -> impl Iterator<Item = Range<usize>> {
    std::iter::successors(Some(at..line_end(text, at)), |line| {
        let start = after_break(text, line.end);
        (start > line.end).then(|| start..line_end(text, start))
    })
}

/// The start of the next line, given the end of this one.
fn after_break(text: &str, end: usize) -> usize {
    let rest = &text[end..];
    end + if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) }
}
