//! The lines that findings and errors have in common.

use std::fmt::Write as _;

use super::color::{Paint, Style};

/// `error[code]: message`
pub(super) fn headline(word: &str, code: &str, message: &str, style: Style, paint: Paint) -> String {
    let word = paint.text(style, &format!("{word}[{code}]"));
    format!("{word}: {}\n", paint.text(Style::Bold, message))
}

/// `  = name: text`, further lines of the text under its first.
pub(super) fn line(out: &mut String, name: &str, text: &str, paint: Paint) {
    let sign = paint.text(Style::Frame, "=");
    let mut lines = text.lines();
    let _ = writeln!(out, "  {sign} {}: {}", paint.text(Style::Bold, name), lines.next().unwrap_or_default());
    for line in lines {
        let _ = writeln!(out, "{}{line}", " ".repeat(name.len() + 6));
    }
}
