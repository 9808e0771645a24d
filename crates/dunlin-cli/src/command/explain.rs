//! `dunlin explain`

use std::fmt::Write as _;

use dunlin_core::Diagnostic;
use serde_json::json;

use crate::answer::{Answer, Failure};
use crate::args::commands::Explain;
use crate::explain::{self, Entry};
use crate::render::Printer;
use crate::render::color::Style;

pub(crate) fn run(args: &Explain, printer: &Printer) -> Result<Answer, Failure> {
    let Some(code) = &args.code else { return Ok(list(printer)) };
    // As it stands in a report: `error[lock-held]`.
    let bare = code.rsplit_once('[').map_or(code.as_str(), |(_, rest)| rest.trim_end_matches(']'));
    let Some(entry) = explain::find(bare) else {
        let fault = Diagnostic::error("unknown-code", format!("nothing is known under `{code}`"));
        return Err(fault.help(explain::suggestion(bare)).into());
    };
    let title = printer.out.text(Style::Bold, entry.code);
    Ok(Answer::done(data(&entry), format!("{title}: {}\n\n{}", entry.title, entry.text)))
}

fn list(printer: &Printer) -> Answer {
    let entries = explain::entries();
    let width = entries.iter().map(|entry| entry.code.len()).max().unwrap_or(0);
    let text = entries.iter().fold(String::new(), |mut text, entry| {
        let code = printer.out.text(Style::Bold, &format!("{:<width$}", entry.code));
        let _ = writeln!(text, "{code}  {}", entry.title);
        text
    });
    Answer::done(entries.iter().map(data).collect(), text)
}

fn data(entry: &Entry) -> serde_json::Value {
    json!({ "code": entry.code, "title": entry.title, "text": entry.text })
}
