//! `dunlin status`: where does each store stand?

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use dunlin_core::words::counted;
use dunlin_core::{Cursor, Followed, Origin, Seen, State, StoreName};
use dunlin_engine::follow::{Followers, followers};
use dunlin_engine::status::{Row, Standing, pending, rows};
use dunlin_engine::{Finding, Goal, Plan, Reaction, plan, reverse, run};
use serde_json::{Value, json};

use super::stage::{Stage, block_on};
use super::when::Moment;
use super::{findings, followed};
use crate::answer::{Answer, Failure};
use crate::args::commands::Status;
use crate::args::global::Global;
use crate::config;
use crate::exit::Exit;
use crate::render::color::Style;
use crate::render::table::{Cell, Side, Table};
use crate::render::words::{along, count};
use crate::render::{Printer, Volume};

pub(crate) fn run(
    args: &Status,
    global: &Global,
    config: config::Loaded,
    printer: &Printer,
) -> Result<Answer, Failure> {
    let stage = Stage::open_connecting(global, config, Some(&args.rules))?;
    block_on(async {
        let (connected, histories) = stage.connect_and_read().await.map_err(|error| stage.failure(error))?;
        let followers = followers(&connected).await.map_err(|error| stage.failure(error))?;
        let (files, policy) = (&stage.loaded.migrations, stage.project.policy);
        let backends = stage.project.backends();
        let kept = reverse::kept(files, &histories, (&connected, &backends)).await;
        let kept = kept.map_err(|error| stage.failure(error))?;
        let rows = rows(files, &kept, &histories);
        let found = run::audited(&connected, &histories, files, policy).await;
        let found = found.map_err(|error| stage.failure(error))?;
        let stores: BTreeSet<&StoreName> = histories.keys().collect();
        // Only one of the two is shown, and with thousands of migrations either takes its time.
        let (data, text) = if stage.is_json {
            (data(&rows, &followers), String::new())
        } else {
            // Migrations that cannot be ordered were reported with the files.
            let ahead = plan::up(&stage.loaded.migrations, &histories, &Goal::default()).unwrap_or_default();
            let mut text = listed(&rows, (&stores, &followers), printer);
            if !rows.is_empty() {
                text += &outlook(&pending(&rows), &ahead, is_refused(&found));
            }
            (Value::Null, text)
        };
        let mut answer = Answer::done(data, text);
        answer.faults = found.iter().map(findings::fault).collect();
        if args.exit_code {
            answer.exit = match (is_refused(&found), pending(&rows).is_empty()) {
                (true, _) => Exit::Integrity,
                (_, false) => Exit::Pending,
                _ => Exit::Done,
            };
        }
        Ok(stage.finish(answer))
    })
}

fn is_refused(found: &[Finding]) -> bool {
    found.iter().any(|finding| finding.reaction == Reaction::Refuse)
}

fn listed(
    rows: &[Row<'_>],
    (stores, followers): (&BTreeSet<&StoreName>, &Followers),
    printer: &Printer,
) -> String {
    if rows.is_empty() {
        return "no migrations yet; `dunlin new NAME` writes the first one\n".to_owned();
    }
    let mut table = Table::new(&[("version", Side::Left), ("name", Side::Left)]);
    for store in stores {
        table.column(store.as_str(), Side::Left);
    }
    for row in rows {
        let id = [row.id.version.as_str(), &row.id.slug].map(|text| (Style::Plain, text.into()));
        let standings = stores.iter().map(|store| row.in_store(store).map_or((Style::Dim, "·".into()), cell));
        table.row(id.into_iter().chain(standings));
    }
    let mut out = table.render(printer.width(), printer.out);
    for row in rows {
        for (store, standing) in &row.stores {
            let told = printer.volume == Volume::Verbose;
            if let Some(detail) =
                detail(row, store, standing).or_else(|| settled(row, store, standing).filter(|_| told))
            {
                let _ = writeln!(out, "{detail}");
            }
            if let Some(follower) = follower(row, store, standing, followers) {
                let _ = writeln!(out, "{} in {store}: {}", row.id, followed::line(follower));
            }
        }
    }
    out
}

/// What `up` would do about what is pending.
fn outlook(pending: &[&Row<'_>], ahead: &Plan, is_refused: bool) -> String {
    let open = pending.len();
    let is_back =
        |row: &&&Row<'_>| row.stores.iter().any(|(_, standing)| standing.word() == State::Undoing.word());
    let back = pending.iter().filter(is_back).count();
    let mut lines = findings::held_back(&ahead.held_back);
    let all = if open == 1 { "it" } else { "them" };
    lines.push(match ahead.versions().len() {
        _ if back > 0 => {
            let verb = if back == 1 { "is" } else { "are" };
            format!(
                "{back} of {open} pending {verb} half undone: `dunlin down` goes on back, `dunlin up` forth again"
            )
        }
        _ if open == 0 => "nothing is pending".to_owned(),
        _ if is_refused => format!("{open} pending; `dunlin up` refuses, for the reasons given"),
        _ if ahead.held_back.is_empty() => format!("{open} pending; `dunlin up` applies {all}"),
        0 => format!("{open} pending; `dunlin up` cannot apply {all} yet"),
        some => format!("{open} pending; `dunlin up` applies {some} of them"),
    });
    lines.join("\n") + "\n"
}

fn cell(standing: &Standing<'_>) -> Cell<'static> {
    let word = standing.word();
    let style = match word {
        "done" | "expanded" => Style::Good,
        "pending" => Style::Plain,
        _ => Style::Warning,
    };
    let origin = standing.record.map(|record| record.origin).filter(|_| word != "pending");
    let word = match origin {
        Some(Origin::Baseline) => format!("{word} (baseline)").into(),
        Some(Origin::Mark) => format!("{word} (marked)").into(),
        _ => Cow::Borrowed(word),
    };
    let seen = standing.record.filter(|record| !record.state.is_settled()).and_then(Seen::of);
    let word = match seen.and_then(|seen| seen.percent()) {
        Some(percent) => format!("{word} {percent} %").into(),
        None => word,
    };
    (style, word)
}

/// Who follows a migration in a store, or did and would be missed.
fn follower<'f>(
    row: &Row<'_>,
    store: &StoreName,
    standing: &Standing<'_>,
    followers: &'f Followers,
) -> Option<&'f Followed> {
    let is_open =
        standing.record.is_some_and(|record| matches!(record.state, State::Applying | State::Expanded));
    followers.get(&(row.id.version.clone(), store.clone())).filter(|_| is_open)
}

/// More about what is under way.
fn detail(row: &Row<'_>, store: &StoreName, standing: &Standing<'_>) -> Option<String> {
    let record = standing.record?;
    if !matches!(record.state, State::Applying | State::Undoing) {
        return None;
    }
    let steps = record.steps.len();
    let all = if standing.steps == 0 { String::new() } else { format!(" of {}", standing.steps.max(steps)) };
    let mut text = format!("{} in {store}: {steps}{all} steps complete", row.id);
    if let Some(seen) = Seen::of(record) {
        let _ = write!(text, ", the next at {}", along(&seen));
        if !seen.near.is_empty() {
            let _ = write!(text, ", {}", seen.near);
        }
    } else if let Ok(cursor) = Cursor::of(record)
        && (cursor.at > 0 || cursor.open)
    {
        let _ = write!(
            text,
            ", then {}{}",
            count(cursor.at, "statement"),
            if cursor.open { " and one whose end is not recorded" } else { "" }
        );
    }
    if let Some(started) = record.started {
        let _ =
            write!(text, "; begun {} by {} on {}", Moment(started), record.author.who, record.author.host);
    }
    Some(text)
}

/// More about what is settled, for those who ask.
fn settled(row: &Row<'_>, store: &StoreName, standing: &Standing<'_>) -> Option<String> {
    let record = standing.record?;
    let mut text = format!("{} in {store}: {}", row.id, record.state);
    if let Some(finished) = record.finished {
        let _ = write!(text, " {}", Moment(finished));
    }
    let _ =
        write!(text, " by {} on {}, {}", record.author.who, record.author.host, counted(record.rows, "row"));
    if let Some(note) = &record.note {
        let _ = write!(text, "; {note}");
    }
    Some(text)
}

fn data(rows: &[Row<'_>], followers: &Followers) -> Value {
    let migrations: Vec<Value> = rows
        .iter()
        .map(|row| {
            let stores: serde_json::Map<String, Value> = row
                .stores
                .iter()
                .map(|(store, standing)| {
                    let follower = follower(row, store, standing, followers);
                    (store.to_string(), of_standing(standing, follower))
                })
                .collect();
            json!({
                "version": row.id.version.as_str(),
                "slug": &*row.id.slug,
                "summary": row.summary,
                "has_file": row.is_known,
                "pending": row.is_pending(),
                "stores": stores,
            })
        })
        .collect();
    json!({ "pending": pending(rows).len(), "migrations": migrations })
}

fn of_standing(standing: &Standing<'_>, follower: Option<&Followed>) -> Value {
    let record = standing.record;
    let mut value = json!({
        "state": standing.word(),
        "steps": standing.steps,
        "steps_complete": record.map_or(0, |record| record.steps.len()),
        "checkpoint": record.and_then(|record| record.checkpoint.as_ref()).and_then(|checkpoint| serde_json::from_str::<Value>(&checkpoint.0).ok()),
        "progress": record.and_then(Seen::of),
        "origin": record.map(|record| record.origin.word()),
        "rows": record.map(|record| record.rows),
        "started": record.and_then(|record| record.started).map(|at| Moment(at).to_string()),
        "finished": record.and_then(|record| record.finished).map(|at| Moment(at).to_string()),
        "run": record.map(|record| record.author.run.to_string()),
        "note": record.and_then(|record| record.note.clone()),
    });
    if let Some(follower) = follower {
        value["follower"] = followed::data(follower);
    }
    value
}
