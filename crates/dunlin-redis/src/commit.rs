//! The one write there is: commands, the record of how far they got, the stored files and a journal line, in one
//! script that first checks the fencing token.

use dunlin_core::{EventKind, Record, Result, State, Timestamp};

use crate::command::{self, Effect};
use crate::lock::unknown_reply;
use crate::op::Command;
use crate::session::Session;
use crate::{error, history, lock, script};

/// What the history says once a command is complete.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The record; none where it stays as it is.
    pub(crate) record: Option<Record>,
    /// The event for the journal; none where it gets no line.
    pub(crate) kind: Option<EventKind>,
    pub(crate) detail: Option<String>,
}

/// Commands to run, none or more, with what to write after each of them; without commands, one thing to write.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    /// The record that author, migration and phase of the journal line are those of.
    pub(crate) about: &'a Record,
    pub(crate) step: usize,
    pub(crate) rows: u64,
    /// The files to keep with the record, unless this session has kept them already.
    pub(crate) files: &'a [dunlin_core::StoredFile],
    pub(crate) commands: &'a [Command],
    pub(crate) entries: Vec<Entry>,
}

/// What became of a commit.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All of it is done; the record as it was written.
    Done(Record),
    /// So many commands are done and recorded, the next one failed with these words.
    Failed { complete: usize, said: String },
}

/// Commits. The record that the server completed comes back with its times and rows.
pub(crate) async fn commit(session: &mut Session, commit: Commit<'_>) -> Result<Outcome> {
    let is_new = !commit.files.is_empty() && !session.has_kept(&commit.about.id.version, commit.files);
    let files = if is_new { history::files_text(commit.files).into_bytes() } else { Vec::new() };
    let last = commit.entries.last().and_then(|entry| entry.record.as_ref());
    let mut args = vec![
        session.token.to_string().into_bytes(),
        history::field(&commit.about.id.version).into_bytes(),
        commit.about.started.map_or_else(Vec::new, |started| started.0.to_string().into_bytes()),
        last.map_or_else(Vec::new, |record| finished(record).into_bytes()),
        commit.rows.to_string().into_bytes(),
        files,
    ];
    args.extend(history::facts(commit.about, commit.step));
    args.push(commit.commands.len().to_string().into_bytes());
    commit.commands.iter().for_each(|command| push_command(&mut args, command));
    for entry in &commit.entries {
        args.push(entry.record.as_ref().map_or_else(Vec::new, |record| history::tail(record).into_bytes()));
        args.push(entry.kind.map_or("", EventKind::word).into());
        args.push(entry.detail.clone().unwrap_or_default().into_bytes());
    }
    let net = &session.store.net;
    let reply = net.eval(session.store.keys.slot(), &script::STEP, &session.store.keys.all(), &args).await?;
    let reply = reply.map_err(|failure| error::own_state(&failure, "cannot write the history", net))?;
    let words = lock::words(&reply);
    let number = |index: usize| words.get(index).and_then(|word| word.parse::<i64>().ok());
    match words.first().map(String::as_str) {
        Some("ok") => {
            if is_new {
                session.keep(&commit.about.id.version, commit.files);
            }
            let record = last.unwrap_or(commit.about).clone();
            Ok(Outcome::Done(Record {
                started: number(1).map(Timestamp),
                finished: number(2).map(Timestamp),
                rows: number(3).and_then(|rows| u64::try_from(rows).ok()).unwrap_or(commit.rows),
                ..record
            }))
        }
        Some("failed") => {
            let complete = number(1).and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
            Ok(Outcome::Failed { complete, said: words.get(2).cloned().unwrap_or_default() })
        }
        Some("lost") => Err(error::lost()),
        _ => Err(unknown_reply(&reply)),
    }
}

/// When a record was finished: known, now, or not yet.
fn finished(record: &Record) -> String {
    match record.finished {
        Some(finished) => finished.0.to_string(),
        None if matches!(record.state, State::Expanded | State::Done | State::Undone) => "now".to_owned(),
        None => String::new(),
    }
}

/// A command as the scripts take it.
pub(crate) fn push_command(args: &mut Vec<Vec<u8>>, command: &Command) {
    let effect = match command::effect(&command.args) {
        Effect::Writes => "writes",
        Effect::Counts => "counts",
        Effect::Reads | Effect::Other => "reads",
    };
    args.push(command.args.len().to_string().into_bytes());
    args.push(effect.into());
    args.extend(command.args.iter().cloned());
}
