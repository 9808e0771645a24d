//! `dunlin history`: what ran, in all stores, newest first. One migration in full is in `story`.

use std::collections::BTreeMap;

use dunlin_core::{AnyStore, Author, Error, Event, EventKind, History, Origin, Record, State, StoreName};
use dunlin_engine::run::{self, Histories};
use serde_json::{Value, json};

use super::stage::{Stage, block_on};
use super::story;
use super::when::Moment;
use crate::answer::{Answer, Failure};
use crate::args::commands::History as Args;
use crate::args::global::Global;
use crate::config;
use crate::render::Printer;
use crate::render::color::Style;
use crate::render::table::{Side, Table};
use crate::render::words::span;

/// How many lines are shown unless something else is asked for.
const LINES: u32 = 20;
/// A store is not asked for more lines than this, however many of them say only that something began.
const MOST: u32 = 1 << 17;

pub(crate) fn run(
    args: &Args,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let stage = Stage::without_files(global, config)?;
    block_on(async {
        let stores = stage.connect().await.map_err(|error| stage.failure(error))?;
        let histories = run::histories(&stores).await.map_err(|error| stage.failure(error))?;
        let answer = match &args.version {
            Some(version) if args.text => story::text(version, &stores, &histories).await,
            Some(version) => story::tell(version, (&stores, &histories), args.limit, printer).await,
            None => list(&stores, &histories, args.limit.map_or(LINES, std::num::NonZeroU32::get), printer)
                .await
                .map_err(Failure::from),
        };
        let answer = answer.map_err(|failure| Failure { sources: stage.sources(), ..failure })?;
        Ok(stage.finish(answer))
    })
}

/// One thing that happened, with what the record knows of its outcome.
struct Entry<'a> {
    store: &'a StoreName,
    event: Event,
    /// The record, where this event is the one that led to it.
    outcome: Option<&'a Record>,
}

async fn list(
    stores: &run::Stores,
    histories: &Histories,
    limit: u32,
    printer: &Printer,
) -> Result<Answer, Error> {
    let mut entries = Vec::new();
    for (name, store) in stores {
        let events = newest(store, limit).await.map_err(|error| error.with("store", name))?;
        let history = histories.get(name);
        entries.extend(with_outcomes(name, events, history));
    }
    entries.sort_by(|left, right| {
        (right.event.at, right.event.sequence).cmp(&(left.event.at, left.event.sequence))
    });
    entries.truncate(limit as usize);
    let data = json!({ "events": entries.iter().map(of_entry).collect::<Vec<_>>() });
    if entries.is_empty() {
        return Ok(Answer::done(data, "nothing ran yet\n".to_owned()));
    }
    Ok(Answer::done(data, table(&entries).render(printer.width(), printer.out)))
}

/// The newest lines that say how something ended, oldest first. That something began is left out.
async fn newest(store: &AnyStore, limit: u32) -> Result<Vec<Event>, Error> {
    let mut asked = limit.saturating_mul(4).min(MOST);
    loop {
        let mut events = store.journal(None, asked).await?;
        let is_all = events.len() < asked as usize;
        events.retain(|event| event.kind != EventKind::Begun);
        if is_all || events.len() >= limit as usize || asked >= MOST {
            let surplus = events.len().saturating_sub(limit as usize);
            return Ok(events.split_off(surplus));
        }
        asked = asked.saturating_mul(4).min(MOST);
    }
}

fn with_outcomes<'a>(
    store: &'a StoreName,
    events: Vec<Event>,
    history: Option<&'a History>,
) -> Vec<Entry<'a>> {
    let mut last = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        last.insert(event.id.version.clone(), at);
    }
    let outcome = |at: usize, event: &Event| {
        let record = history?.record(&event.id.version)?;
        let is_its_own = last.get(&event.id.version) == Some(&at) && event.author.run == record.author.run;
        (is_its_own && event.kind != EventKind::Failed && record.state.is_settled()).then_some(record)
    };
    let entry = |(at, event): (usize, Event)| Entry { store, outcome: outcome(at, &event), event };
    events.into_iter().enumerate().map(entry).collect()
}

fn table(entries: &[Entry<'_>]) -> Table<'static> {
    let mut table = Table::new(&[
        ("when", Side::Left),
        ("store", Side::Left),
        ("migration", Side::Left),
        ("what", Side::Left),
        ("by", Side::Left),
        ("rows", Side::Right),
        ("took", Side::Right),
    ]);
    for Entry { store, event, outcome } in entries {
        let (style, what) = what(event, *outcome);
        let ran = outcome.filter(|_| event.kind == EventKind::StepDone);
        let rows = ran.map(|record| record.rows).filter(|rows| *rows > 0);
        let cells: [(Style, String); 7] = [
            (Style::Dim, Moment(event.at).to_string()),
            (Style::Plain, store.to_string()),
            (Style::Plain, event.id.to_string()),
            (style, what),
            (Style::Plain, by(&event.author)),
            (Style::Plain, rows.map_or_else(String::new, |rows| rows.to_string())),
            (Style::Plain, ran.and_then(took).map_or_else(String::new, span)),
        ];
        table.row(cells);
    }
    table
}

/// What happened, in a few words on one line.
fn what(event: &Event, outcome: Option<&Record>) -> (Style, String) {
    let detail = event.detail.as_deref().and_then(|detail| detail.lines().next()).unwrap_or_default();
    let step = format!("{}, step {}", event.phase, event.step + 1);
    match (event.kind, outcome) {
        (EventKind::Marked, outcome) => (Style::Warning, mark(event, outcome, detail)),
        (EventKind::Failed, _) => (Style::Error, format!("{step} failed: {detail}")),
        (EventKind::StepUndone, Some(record)) => (Style::Warning, record.state.to_string()),
        (_, Some(record)) => (Style::Good, record.state.to_string()),
        (EventKind::StepDone, None) => (Style::Plain, format!("{step} done")),
        (EventKind::StepUndone, None) => (Style::Plain, format!("{step} undone")),
        (EventKind::Begun, None) => (Style::Plain, format!("{step} begun")),
    }
}

/// What was marked as what; journals of the first dunlin leave that to the record.
fn mark(event: &Event, outcome: Option<&Record>, detail: &str) -> String {
    let known = outcome.map(|record| (record.state, record.origin, record.note.as_deref().unwrap_or(detail)));
    let Some((state, origin, reason)) = event.mark().or(known) else { return format!("marked: {detail}") };
    let origin = if origin == Origin::Baseline { "baseline" } else { "marked" };
    format!("{state} ({origin}): {}", reason.lines().next().unwrap_or_default())
}

/// `ann@host`
pub(super) fn by(author: &Author) -> String {
    format!("{}@{}", author.who, author.host)
}

/// How long a record took from its first step to its last.
pub(super) fn took(record: &Record) -> Option<std::time::Duration> {
    let millis = record.finished?.0.checked_sub(record.started?.0)?;
    u64::try_from(millis).ok().map(std::time::Duration::from_millis)
}

fn of_entry(entry: &Entry<'_>) -> Value {
    let mut object = of_event(entry.store, &entry.event);
    let known = entry.outcome.map(|record| record.state).or(entry.event.mark().map(|(state, ..)| state));
    object["outcome"] = json!(known.map(State::word));
    let ran = entry.outcome.filter(|_| entry.event.kind == EventKind::StepDone);
    object["rows"] = json!(ran.map(|record| record.rows));
    object["took_ms"] = json!(ran.and_then(took).and_then(|took| u64::try_from(took.as_millis()).ok()));
    object
}

/// A line of a journal for programs.
pub(super) fn of_event(store: &StoreName, event: &Event) -> Value {
    json!({
        "at": Moment(event.at).to_string(),
        "store": store.as_str(),
        "version": event.id.version.as_str(),
        "slug": &*event.id.slug,
        "event": event.kind.word(),
        "phase": event.phase.word(),
        "step": event.step + 1,
        "detail": event.mark().map(|(.., reason)| reason).or(event.detail.as_deref()),
        "who": &*event.author.who,
        "host": &*event.author.host,
        "run": event.author.run.to_string(),
        "tool": &*event.author.tool,
    })
}
