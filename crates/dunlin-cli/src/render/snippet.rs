//! Places in a text, underlined: `-->` with file, line and column, then the lines with what is said about them.

use std::fmt::Write as _;

use dunlin_core::{FileId, Source, SourceMap, Span};

use super::color::{Paint, Style};
use super::width::{Shown, columns, most, wrapped};

/// Lines with more columns than this are shown in part, around what is said about them; on a terminal, those that do not
/// fit there.
const LONGEST: usize = 160;
/// The least that is shown, however narrow the terminal.
const LEAST: usize = 30;

/// Something said about a place in one line.
#[derive(Debug)]
struct Mark<'a> {
    line: usize,
    /// Bytes from the start of the line.
    start: usize,
    end: usize,
    text: &'a str,
    is_main: bool,
}

/// All labels, the main one's file first. `style` is that of the main underline.
pub(super) fn render(labels: &[(Span, &str)], sources: &SourceMap, paint: Paint, style: Style) -> String {
    let mut files: Vec<FileId> = Vec::new();
    for (span, _) in labels {
        if !files.contains(&span.file) {
            files.push(span.file);
        }
    }
    let known: Vec<&Source> = files.iter().filter_map(|file| sources.get(*file)).collect();
    let gutter = known.iter().map(|source| gutter(source, labels)).max().unwrap_or(1);
    let mut out = String::new();
    for (at, source) in known.iter().enumerate() {
        let here: Vec<_> =
            labels.iter().enumerate().filter(|(_, (span, _))| span.file == source.id).collect();
        let Some((_, (main, _))) = here.first() else { continue };
        let (line, column) = source.line_column(main.start);
        let arrow = if at == 0 { "-->" } else { ":::" };
        let _ = writeln!(
            out,
            "{:gutter$}{} {}:{line}:{column}",
            "",
            paint.text(Style::Frame, arrow),
            source.name
        );
        let marks =
            here.iter().flat_map(|(index, (span, text))| marks(source, *span, text, *index == 0)).collect();
        let room = paint.columns.map_or(LONGEST, |all| all.saturating_sub(gutter + 3).clamp(LEAST, LONGEST));
        block(&mut out, source, marks, (gutter, room), &|style_of| {
            paint.text(style_of.0.unwrap_or(style), style_of.1)
        });
    }
    out
}

fn gutter(source: &Source, labels: &[(Span, &str)]) -> usize {
    let last = labels.iter().filter(|(span, _)| span.file == source.id).map(|(span, _)| span.end).max();
    last.map_or(1, |end| source.line_column(end).0.to_string().len())
}

/// A span over several lines is marked on its first and on its last one.
fn marks<'a>(source: &Source, span: Span, text: &'a str, is_main: bool) -> Vec<Mark<'a>> {
    let start = boundary(&source.text, span.start as usize);
    let written = source.text[start..boundary(&source.text, span.end as usize).max(start)]
        .trim_end_matches(['\n', '\r']);
    let end = start + written.len();
    let line = source.line_column(u32::try_from(start).unwrap_or(u32::MAX)).0;
    let line_start = source.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let Some(newline) = written.rfind('\n') else {
        return vec![Mark { line, start: start - line_start, end: end - line_start, text, is_main }];
    };
    let first_end = start + written.find('\n').unwrap_or(0);
    let last_start = start + newline + 1;
    let last = &source.text[last_start..end];
    let indent = last.len() - last.trim_start().len();
    let last_line = line + written.matches('\n').count();
    vec![
        Mark { line, start: start - line_start, end: first_end - line_start, text: "", is_main },
        Mark { line: last_line, start: indent.min(last.len()), end: last.len(), text, is_main },
    ]
}

/// The nearest place at or before `at` that is no part of a character.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

type Styled<'a> = (Option<Style>, &'a str);

fn block(
    out: &mut String,
    source: &Source,
    mut marks: Vec<Mark<'_>>,
    (gutter, room): (usize, usize),
    paint: &dyn Fn(Styled<'_>) -> String,
) {
    marks.sort_by_key(|mark| (mark.line, mark.start, mark.end));
    let bar = paint((Some(Style::Frame), "|"));
    if source.text.is_empty() {
        for mark in marks.iter().filter(|mark| !mark.text.is_empty()) {
            let _ = writeln!(out, "{:gutter$} {} {}", "", paint((Some(Style::Frame), "=")), mark.text);
        }
        return;
    }
    let _ = writeln!(out, "{:gutter$} {bar}", "");
    let mut at = 0;
    while at < marks.len() {
        let line = marks[at].line;
        if at > 0 && line > marks[at - 1].line + 1 {
            let _ = writeln!(out, "{}", paint((Some(Style::Frame), "...")));
        }
        let here = marks[at..].iter().take_while(|mark| mark.line == line).count();
        let group = &marks[at..at + here];
        let (text, offset) = window(line_text(&source.text, line), group[0].start, room);
        let shown = Shown::of(&text);
        let number = paint((Some(Style::Frame), &format!("{line:>gutter$}")));
        let _ = writeln!(out, "{number} {bar} {}", shown.text.trim_end());
        for mark in group {
            let column = |byte: usize| shown.column((byte + offset.added).saturating_sub(offset.cut));
            let (from, to) = (column(mark.start), column(mark.end));
            let sign = if mark.is_main { "^" } else { "-" };
            let under = sign.repeat(to.saturating_sub(from).max(1));
            let style = if mark.is_main { None } else { Some(Style::Frame) };
            let fits = from + under.len() + 1 + columns(mark.text) <= room;
            let beside =
                if mark.text.is_empty() || !fits { String::new() } else { format!(" {}", mark.text) };
            let said = format!("{under}{beside}");
            let _ = writeln!(out, "{:gutter$} {bar} {:from$}{}", "", "", paint((style, &said)));
            for part in wrapped(mark.text, (0, 0), Some(room)).iter().filter(|_| !fits) {
                let from = from.min(room.saturating_sub(columns(&part.text)));
                let _ = writeln!(out, "{:gutter$} {bar} {:from$}{}", "", "", paint((style, &part.text)));
            }
        }
        at += here;
    }
}

fn line_text(text: &str, number: usize) -> &str {
    text.split('\n').nth(number - 1).unwrap_or_default().trim_end_matches('\r')
}

/// What was cut from the start of a line, and what was put there instead.
struct Offset {
    cut: usize,
    added: usize,
}

/// The part of a line around a byte of it, if the line has more columns than there is room for.
fn window(line: &str, at: usize, room: usize) -> (String, Offset) {
    let whole: usize = line.chars().take(room + 1).map(most).sum();
    if whole <= room {
        return (line.to_owned(), Offset { cut: 0, added: 0 });
    }
    let at = boundary(line, at);
    // The place stands somewhat left of the middle, unless the line ends before; the dots take a column each.
    let after: usize = line[at..].chars().take(room).map(most).sum();
    let before = fitting(line[..at].chars().rev(), room - 2 - after.min(room * 5 / 8));
    let start = at - before;
    let start = if start <= '…'.len_utf8() { 0 } else { start };
    let end = start + fitting(line[start..].chars(), room - 2);
    let (before, after) = (if start > 0 { "…" } else { "" }, if end < line.len() { "…" } else { "" });
    (format!("{before}{}{after}", &line[start..end]), Offset { cut: start, added: before.len() })
}

/// The bytes of as many characters as fit into so many columns.
fn fitting(letters: impl Iterator<Item = char>, room: usize) -> usize {
    let mut taken = 0;
    let fitting = letters.take_while(|letter| {
        taken += most(*letter);
        taken <= room
    });
    fitting.map(char::len_utf8).sum()
}
