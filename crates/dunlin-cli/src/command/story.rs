//! One migration in the words of the stores it touched: its records, its journal, and the text that ran.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use dunlin_core::{AnyStore, Cursor, Diagnostic, Event, EventKind, Record, StoreName, StoredFile, Version};
use dunlin_engine::run::{Histories, Stores};
use serde_json::{Value, json};

use super::history::{by, of_event, took};
use super::when::Moment;
use crate::answer::{Answer, Failure};
use crate::render::Printer;
use crate::render::color::{Paint, Style};
use crate::render::words::count;
use crate::render::words::span;

/// How many lines of a journal are shown unless something else is asked for.
const LINES: u32 = 200;

pub(super) async fn tell(
    version: &Version,
    (stores, histories): (&Stores, &Histories),
    limit: Option<NonZeroU32>,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let limit = limit.map_or(LINES, NonZeroU32::get);
    let mut text = String::new();
    let mut told = Vec::new();
    for (name, store) in stores {
        let record = histories.get(name).and_then(|history| history.record(version));
        let events = store.journal(Some(version), limit).await.map_err(|error| error.with("store", name))?;
        // What failed in one transaction left no record, but its failure is in the journal.
        let Some(id) = record.map(|record| &record.id).or(events.last().map(|event| &event.id)) else {
            continue;
        };
        if !text.is_empty() {
            text.push('\n');
        }
        let _ = writeln!(text, "{}", printer.out.text(Style::Bold, &format!("{id} in {name}")));
        match record {
            Some(record) => facts(&mut text, record, printer.out),
            None => text.push_str("  nothing of it is recorded as done\n"),
        }
        journal(&mut text, &events, printer.out);
        if events.len() == limit as usize {
            let _ = writeln!(text, "    these are the newest {limit}; `-n COUNT` shows more");
        }
        told.push(of_store(name, record, &events));
    }
    if told.is_empty() {
        return Err(unknown(version));
    }
    Ok(Answer::done(json!({ "version": version.as_str(), "stores": told }), text))
}

fn unknown(version: &Version) -> Failure {
    let fault = Diagnostic::error("unknown-version", format!("no store remembers a migration {version}"));
    fault.help("`dunlin history` lists what ran, `dunlin status` what is pending").into()
}

fn facts(out: &mut String, record: &Record, paint: Paint) {
    let moment = |at: Option<dunlin_core::Timestamp>| at.map(|at| Moment(at).to_string());
    let facts = [
        ("state", Some(format!("{}, {} complete", record.state, count(record.steps.len(), "step")))),
        ("origin", Some(record.origin.word().to_owned())),
        ("started", moment(record.started)),
        ("finished", moment(record.finished)),
        ("took", took(record).map(span)),
        ("rows", Some(record.rows.to_string())),
        ("by", Some(by(&record.author))),
        ("run", Some(record.author.run.to_string())),
        ("tool", Some(record.author.tool.to_string())),
        ("text", Some(record.text.to_string())),
        ("steps", Some(joined(record)).filter(|sums| !sums.is_empty())),
        ("note", record.note.clone()),
    ];
    for (name, value) in facts {
        let Some(value) = value else { continue };
        let mut lines = value.lines();
        let name = paint.text(Style::Dim, &format!("{name:<8}"));
        let _ = writeln!(out, "  {name}  {}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(out, "            {line}");
        }
    }
}

fn joined(record: &Record) -> String {
    record.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn journal(out: &mut String, events: &[Event], paint: Paint) {
    if events.is_empty() {
        return;
    }
    let _ = writeln!(out, "  {}", paint.text(Style::Dim, "journal"));
    for event in events {
        let style = match event.kind {
            EventKind::Failed => Style::Error,
            EventKind::Marked => Style::Warning,
            _ => Style::Plain,
        };
        let word = paint.text(style, &format!("{:<11}", event.kind.word()));
        let head = format!("{}  {word} {} {}", Moment(event.at), event.phase, event.step + 1);
        let detail = detail(event).map_or_else(String::new, |detail| format!(": {detail}"));
        let _ = writeln!(out, "    {head}{detail}  {}", paint.text(Style::Dim, &by(&event.author)));
    }
}

/// A reason or a failure as it is; a position in words where it is one of statements.
fn detail(event: &Event) -> Option<String> {
    let detail = event.detail.as_deref()?;
    if let Some((state, _, reason)) = event.mark() {
        return Some(format!("{state}: {}", reason.lines().collect::<Vec<_>>().join(" ")));
    }
    if event.kind != EventKind::Begun {
        return Some(detail.lines().collect::<Vec<_>>().join(" "));
    }
    Some(match serde_json::from_str::<Cursor>(detail) {
        Ok(cursor) if cursor.open => format!("statement {}", cursor.at + 1),
        Ok(cursor) => format!("after statement {}", cursor.at),
        Err(_) => detail.to_owned(),
    })
}

fn of_store(store: &StoreName, record: Option<&Record>, events: &[Event]) -> Value {
    let journal: Vec<Value> = events.iter().map(|event| of_event(store, event)).collect();
    json!({ "store": store.as_str(), "record": record.map(of_record), "journal": journal })
}

fn of_record(record: &Record) -> Value {
    let moment = |at: Option<dunlin_core::Timestamp>| at.map(|at| Moment(at).to_string());
    let checkpoint = record.checkpoint.as_ref();
    json!({
        "slug": &*record.id.slug,
        "state": record.state.word(),
        "phase": record.phase.word(),
        "origin": record.origin.word(),
        "started": moment(record.started),
        "finished": moment(record.finished),
        "took_ms": took(record).and_then(|took| u64::try_from(took.as_millis()).ok()),
        "rows": record.rows,
        "text_sum": record.text.to_string(),
        "step_sums": record.steps.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "checkpoint": checkpoint.and_then(|checkpoint| serde_json::from_str::<Value>(&checkpoint.0).ok()),
        "who": &*record.author.who,
        "host": &*record.author.host,
        "run": record.author.run.to_string(),
        "tool": &*record.author.tool,
        "note": record.note,
    })
}

/// The files as they were when they ran, exactly. A line above each says which it is, where there are several.
pub(super) async fn text(
    version: &Version,
    stores: &Stores,
    histories: &Histories,
) -> Result<Answer, Failure> {
    let remembers = |(name, _): &(&StoreName, &AnyStore)| {
        histories.get(*name).is_some_and(|history| history.records.contains_key(version))
    };
    let stores: Vec<_> = stores.iter().filter(remembers).collect();
    if stores.is_empty() {
        return Err(unknown(version));
    }
    let mut files: Vec<(Vec<&StoreName>, StoredFile)> = Vec::new();
    for (name, store) in stores {
        for file in store.files(version).await.map_err(|error| error.with("store", name))? {
            match files.iter_mut().find(|(_, known)| *known == file) {
                Some((names, _)) => names.push(name),
                None => files.push((vec![name], file)),
            }
        }
    }
    if files.is_empty() {
        let fault = Diagnostic::error("no-text", format!("no store kept a text of {version}"));
        return Err(Failure::of_work(
            fault.help("it was written in Rust, or marked where there was no file of it"),
        ));
    }
    let data: Vec<Value> = files
        .iter()
        .map(|(names, file)| {
            let stores: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            json!({ "stores": stores, "name": &*file.name, "text": &*file.text })
        })
        .collect();
    let shown = match &files[..] {
        [(_, file)] => file.text.to_string(),
        _ => files.iter().map(|(names, file)| headed(names, file)).collect(),
    };
    Ok(Answer::done(json!({ "version": version.as_str(), "files": data }), shown))
}

fn headed(names: &[&StoreName], file: &StoredFile) -> String {
    let sign = match file.name.rsplit('.').next() {
        Some("sql") => "--",
        Some("js") => "//",
        _ => "#",
    };
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let end = if file.text.ends_with('\n') { "" } else { "\n" };
    format!("{sign} {}, as it ran in {}\n{}{end}", file.name, names.join(", "), file.text)
}
