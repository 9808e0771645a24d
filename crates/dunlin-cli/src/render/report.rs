//! The lines that findings and errors have in common.

use std::fmt::Write as _;

use super::color::{Paint, Style};
use super::width::{columns, wrapped};

/// How far a message is moved in where it takes more than a line.
const HANGING: usize = 4;

/// `error[code]: message`
pub(super) fn headline(word: &str, code: &str, message: &str, style: Style, paint: Paint) -> String {
    let head = format!("{word}[{code}]");
    let mut lines = wrapped(message, (columns(&head) + 2, HANGING), paint.columns).into_iter();
    let first = lines.next().unwrap_or_default();
    let mut out = format!("{}: {}\n", paint.text(style, &head), paint.text(Style::Bold, &first.text));
    for line in lines {
        let _ = writeln!(out, "{:indent$}{}", "", paint.text(Style::Bold, &line.text), indent = line.indent);
    }
    out
}

/// `  = name: text`, further lines of the text under its first.
pub(super) fn line(out: &mut String, name: &str, text: &str, paint: Paint) {
    let sign = paint.text(Style::Frame, "=");
    let room = columns(name) + 6;
    let mut lines = wrapped(text, (0, 0), paint.columns.map(|all| all.saturating_sub(room))).into_iter();
    let first = lines.next().unwrap_or_default();
    let _ = writeln!(out, "  {sign} {}: {}", paint.text(Style::Bold, name), first.text);
    for line in lines {
        let _ = writeln!(out, "{:indent$}{}", "", line.text, indent = room + line.indent);
    }
}
