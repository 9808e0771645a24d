//! Statements that no transaction holds together with the history: DDL on MySQL, concurrent builds on PostgreSQL. The
//! intent is recorded before each; after a run that ended without saying how, the catalogue is asked. Under a table's lock
//! nothing can be recorded: what is sent there is several statements behind one intent.

use dunlin_core::{Advance, Checkpoint, Cursor, Error, ErrorKind, EventKind, Record, Result, Work};
use serde_json::Value;

use crate::connect::is_pooled;
use crate::dialect::Dialect;
use crate::error;
use crate::history::Entry;
use crate::look::{Presence, look};
use crate::op::{Effect, Object, Op, Statement};
use crate::send::send;
use crate::session::{Session, cursor};
use crate::transaction::{already_holds, set_up};
use crate::write::Owed;

/// Runs a unit, whose first statement is the one at `index`.
pub(crate) async fn run(
    session: &mut Session,
    op: &Op,
    (unit, index): (usize, usize),
    at: &Cursor,
    work: &Work<'_>,
) -> Result<Advance> {
    let statements = &op.units[unit].statements;
    let statement = statements.first().expect("no unit is empty");
    if at.open {
        session.settle().await?;
    }
    set_up(session, op, index).await?;
    let announced_here = session
        .announced
        .take()
        .is_some_and(|announced| Some(&announced) == work.running.checkpoint.as_ref());
    let mut notes = Vec::new();
    let presence = match &at.before {
        // Looked at a moment ago, to announce it.
        Some(before) if announced_here => before.as_str().and_then(Presence::of),
        _ => presence(session, statement.effect().as_ref()).await?,
    };
    let is_resumed = at.open && !announced_here;
    if is_resumed && took_effect(statement, at, presence)? {
        notes.push(format!("found in effect from an interrupted run: {}", statement.text));
    } else {
        if !at.open {
            announce(session, work, Cursor { open: true, before: presence.map(word), ..at.clone() }).await?;
        }
        // Announcing may have taken the settings back.
        set_up(session, op, index).await?;
        session.is_still_ours().await?;
        patiently(session, statement, true).await?;
        let sent = build(session, op, (statements, presence), at, work).await;
        let calm = patiently(session, statement, false).await;
        notes.extend(sent?);
        calm?;
    }
    let next = cursor_after(session, op, index + statements.len()).await?;
    let record = match next {
        Some(next) => {
            let checkpoint = Checkpoint::of(&next);
            session.announced = next.open.then(|| checkpoint.clone());
            work.partly(checkpoint, 0)
        }
        None => work.complete(0),
    };
    let is_done = record.checkpoint.is_none();
    // Should the run end before it is written, the catalogue says that the statement took effect.
    if is_done && work.is_followed && presence.is_some() && session.tables.dialect == Dialect::MySql {
        session.owed = Some(Owed::of(&record, work));
    } else {
        write(session, &record, work, if is_done { work.ends_as() } else { EventKind::Begun }).await?;
    }
    Ok(Advance { notes, is_done, ..Advance::partly(record, 0) })
}

/// Concurrent builds wait for every transaction that is open, and stand in nobody's way meanwhile: giving up early
/// would only leave an invalid index.
async fn patiently(session: &mut Session, statement: &Statement, is_patient: bool) -> Result<()> {
    let target = &session.store.target;
    let waits =
        session.tables.dialect == Dialect::Postgres && statement.canonical().contains(" concurrently");
    if !waits || is_pooled(target) {
        return Ok(());
    }
    let millis = if is_patient { 0 } else { target.lock_timeout.as_millis() };
    let set = session.conn.execute(&format!("set lock_timeout = {millis}")).await;
    set.map(drop).map_err(|failure| session.fail(&failure, "cannot set lock_timeout"))
}

/// Sends a unit, after what an earlier build left behind is gone.
async fn build(
    session: &mut Session,
    op: &Op,
    (statements, presence): (&[Statement], Option<Presence>),
    at: &Cursor,
    work: &Work<'_>,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if presence == Some(Presence::Invalid) {
        notes.extend(clear_invalid(session, &statements[0]).await?);
    }
    notes.extend(send_or_pass(session, op, statements, at, work).await?);
    Ok(notes)
}

fn word(presence: Presence) -> Value {
    Value::from(presence.word())
}

async fn presence(session: &mut Session, effect: Option<&Effect>) -> Result<Option<Presence>> {
    let Some(effect) = effect else { return Ok(None) };
    look(&mut session.conn, &effect.object)
        .await
        .map_err(|failure| session.fail(&failure, "cannot look at the catalogue"))
}

async fn write(session: &mut Session, record: &Record, work: &Work<'_>, kind: EventKind) -> Result<()> {
    let detail = record.checkpoint.as_ref().map(|checkpoint| checkpoint.0.clone());
    let entry = Entry { record, files: work.files, kind, step: work.step(), detail: detail.as_deref() };
    session.write_apart(entry).await
}

async fn announce(session: &mut Session, work: &Work<'_>, cursor: Cursor) -> Result<()> {
    let record = work.partly(Checkpoint::of(&cursor), 0);
    write(session, &record, work, EventKind::Begun).await
}

/// The position after `index` statements, already announcing the next one if that is alone too; `None` at the end.
async fn cursor_after(session: &mut Session, op: &Op, index: usize) -> Result<Option<Cursor>> {
    let Some(statement) = op.statements().nth(index) else { return Ok(None) };
    let plain = cursor(op, index);
    let is_alone = op.units.iter().any(|unit| {
        unit.alone.is_some() && unit.statements.first().is_some_and(|first| std::ptr::eq(first, statement))
    });
    if !is_alone {
        return Ok(Some(plain));
    }
    let before = presence(session, statement.effect().as_ref()).await?.map(word);
    Ok(Some(Cursor { open: true, before, ..plain }))
}

/// Whether a statement that an earlier run announced, and of which it never said more, took effect.
fn took_effect(statement: &Statement, at: &Cursor, now: Option<Presence>) -> Result<bool> {
    if let (Some(effect), Some(now)) = (statement.effect(), now) {
        let before = at.before.as_ref().and_then(Value::as_str);
        // What held before the statement was announced says nothing about it: sent again, it fails or does nothing.
        let held_before =
            before == Some(if effect.appears { Presence::Present.word() } else { Presence::Absent.word() });
        return Ok(now.fulfils(&effect) && !held_before);
    }
    if is_repeatable(&statement.canonical()) {
        return Ok(false);
    }
    let error = Error::new(
        ErrorKind::Ambiguous,
        "an earlier run was cut off while this statement ran, and the server cannot tell whether it took effect",
    );
    Err(error.at(statement.span).with("statement", &statement.text))
}

/// Whether sending a statement twice does the same as sending it once.
fn is_repeatable(canonical: &str) -> bool {
    let starts = [
        "vacuum",
        "analyze",
        "optimize ",
        "reindex ",
        "cluster",
        "create or replace ",
        "grant ",
        "revoke ",
        "comment on ",
        "flush ",
        "pragma ",
        "set ",
        "refresh materialized view",
        "use ",
        "alter system set ",
        "check table",
        "repair table",
    ];
    let contains = [
        " if exists ",
        " if not exists ",
        " modify ",
        " set default ",
        " drop default",
        " set not null",
        " drop not null",
        " comment ",
        " engine",
    ];
    if canonical.starts_with("alter table ") && has_several_actions(canonical) {
        return false;
    }
    // One action that says an end state, rather than a step towards it.
    let states_an_end =
        canonical.starts_with("alter table ") && contains.iter().any(|part| canonical.contains(part));
    starts.iter().any(|start| canonical.starts_with(start))
        || states_an_end
        || contains[..2].iter().any(|part| canonical.contains(part))
}

/// Whether there is a comma outside of parentheses that does not lead to how MySQL is to go about it.
fn has_several_actions(canonical: &str) -> bool {
    let mut depth = 0_i32;
    canonical.char_indices().any(|(at, letter)| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        let next = canonical[at..].trim_start_matches([',', ' ']);
        letter == ',' && depth == 0 && !next.starts_with("algorithm") && !next.starts_with("lock")
    })
}

/// Removes what a concurrent build that failed left behind.
async fn clear_invalid(session: &mut Session, statement: &Statement) -> Result<Option<String>> {
    let Some(Effect { object: Object::Index { name, .. }, appears: true }) = statement.effect() else {
        return Ok(None);
    };
    let quote = |name: &str| Dialect::Postgres.quote(name);
    let full =
        name.schema.as_deref().map(|schema| quote(schema) + ".").unwrap_or_default() + &quote(&name.name);
    let drop = format!("drop index concurrently if exists {full}");
    session
        .conn
        .execute(&drop)
        .await
        .map_err(|failure| session.fail(&failure, "cannot drop the invalid index of an earlier build"))?;
    Ok(Some(format!("dropped the invalid index {full} that an earlier build left behind, and built it anew")))
}

/// Sends a unit. A statement of a way back whose effect already holds is passed over. A failure closes the announcement:
/// the server said that the statement did not take effect.
async fn send_or_pass(
    session: &mut Session,
    op: &Op,
    statements: &[Statement],
    at: &Cursor,
    work: &Work<'_>,
) -> Result<Option<String>> {
    let Err((error, place)) = send_each(session, statements).await else { return Ok(None) };
    let statement = &statements[place];
    if error.kind == ErrorKind::Connect {
        return Err(error.help("whether the statement took effect is looked up by the next `dunlin up`"));
    }
    if statements.len() == 1 && work.is_undo() && already_holds(session, statement).await? {
        return Ok(Some(format!("passed over, its effect already holds: {}", statement.text)));
    }
    let closed = work.partly(Checkpoint::of(&Cursor { open: false, before: None, ..at.clone() }), 0);
    write(session, &closed, work, EventKind::Begun).await?;
    let index = at.at + place;
    Err(if error.kind == ErrorKind::Statement {
        error.with("left behind", error::leftover(op.dialect, true, index))
    } else {
        error
    })
}

/// Sends statements one after the other; a failure comes with the place of its statement. Where one of several fails, the
/// last is sent as well: it gives the lock back.
async fn send_each(session: &mut Session, statements: &[Statement]) -> Result<(), (Error, usize)> {
    for (place, statement) in statements.iter().enumerate() {
        let Err(error) = send(session, statement).await else { continue };
        if let (Some(release), true) = (statements.last(), place > 0) {
            // On a connection that broke the server has released it.
            drop(send(session, release).await);
        }
        return Err((error, place));
    }
    Ok(())
}
