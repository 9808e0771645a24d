//! What a store remembers. A [`Record`] is where a migration stands in one store; an [`Event`] is a line of the
//! append-only journal beside it. Both are stored formats: [`FORMAT`] counts their versions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{Checksum, MigrationId, RunId, Version};
use crate::migration::Phase;

/// The version of the stored formats that this code writes; it reads this and all lower ones.
pub const FORMAT: i32 = 1;

/// Refuses what a newer dunlin wrote.
pub fn readable(format: i64) -> Result<()> {
    if format <= i64::from(FORMAT) && format > 0 {
        return Ok(());
    }
    let message = format!("the history has format {format}, and this dunlin reads up to {FORMAT}");
    Err(Error::new(ErrorKind::Integrity, message)
        .help("use the dunlin that wrote it, or a newer one; nothing was changed"))
}

/// Milliseconds since 1970, read off the store's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// Where a migration stands in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Some of its steps are still to run here.
    Applying,
    /// All but the contract steps are done.
    Expanded,
    /// All done.
    Done,
    /// Some of its steps are still to be undone here.
    Undoing,
    /// Undone; as if it had never run.
    Undone,
}

impl State {
    const ALL: [Self; 5] = [Self::Applying, Self::Expanded, Self::Done, Self::Undoing, Self::Undone];

    /// The word in histories and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applying => "applying",
            Self::Expanded => "expanded",
            Self::Done => "done",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }

    /// The state of a word; a history edited by hand may hold any text.
    pub fn of(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or_else(|| damaged("state", word))
    }

    /// Whether nothing is under way.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Expanded | Self::Done | Self::Undone)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How a record came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// dunlin ran the steps.
    Run,
    /// `baseline`: taken as done before dunlin came.
    Baseline,
    /// `mark`: a person said so.
    Mark,
}

impl Origin {
    /// The word in histories and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Baseline => "baseline",
            Self::Mark => "mark",
        }
    }

    /// The origin of a word.
    pub fn of(word: &str) -> Result<Self> {
        let known = [Self::Run, Self::Baseline, Self::Mark].into_iter().find(|origin| origin.word() == word);
        known.ok_or_else(|| damaged("origin", word))
    }
}

/// The position inside a step that is not complete: JSON in the backend's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint(pub Arc<str>);

impl Checkpoint {
    /// Of a value.
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).expect("checkpoints are plain structs with string keys").into())
    }

    /// The value, as the backend that wrote it knows it.
    pub fn read<T: for<'a> Deserialize<'a>>(&self) -> Result<T> {
        serde_json::from_str(&self.0).map_err(|error| damaged("checkpoint", &self.0).caused_by(error))
    }
}

/// The checkpoint of every op that is a list of statements, in all backends alike, so that a person can settle one
/// whose outcome nobody can tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// How many statements are complete.
    pub at: usize,
    /// Whether the one after those was about to be sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// What the store looked like just before, in the backend's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// The sum of the complete statements: what comes after them may be edited and continued. Empty where it is not
    /// known, since a person said how far it got.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sum: String,
}

impl Cursor {
    /// The position a record holds; the beginning where it holds none.
    pub fn of(record: &Record) -> Result<Self> {
        record.checkpoint.as_ref().map_or(Ok(Self::default()), Checkpoint::read)
    }
}

/// Where one migration stands in one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which migration.
    pub id: MigrationId,
    /// Where it stands.
    pub state: State,
    /// The phase of the last step that ran or runs.
    pub phase: Phase,
    /// How it came to be.
    pub origin: Origin,
    /// The sums of the steps complete here, in order.
    pub steps: Vec<Checksum>,
    /// The position inside the step after those, if it has begun.
    pub checkpoint: Option<Checkpoint>,
    /// The sum of its files' text; differs after any edit.
    pub text: Checksum,
    /// Who wrote this, and in which run; one for all that was written in it.
    pub author: Arc<Author>,
    /// When the first step began.
    pub started: Option<Timestamp>,
    /// When the last step ended.
    pub finished: Option<Timestamp>,
    /// Rows, documents or keys changed.
    pub rows: u64,
    /// The reason a person gave, or the failure the last attempt ended with.
    pub note: Option<String>,
}

impl Record {
    /// What the journal says beside an event of that kind: the note, and of a mark first what it led to, which the record
    /// itself says only until the next event.
    pub fn detail(&self, kind: EventKind) -> Option<String> {
        let note = self.note.clone()?;
        let is_mark = kind == EventKind::Marked && self.origin != Origin::Run && self.state.is_settled();
        Some(if is_mark { format!("{} ({}): {note}", self.state.word(), self.origin.word()) } else { note })
    }
}

/// Who wrote a record, with what, and in which run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The invocation.
    pub run: RunId,
    /// The user.
    pub who: Arc<str>,
    /// The machine.
    pub host: Arc<str>,
    /// Name and version of the tool.
    pub tool: Arc<str>,
}

/// All records of one store, by version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The records. Boxed: the places of a map are half empty where it was filled in order, as histories are.
    pub records: BTreeMap<Version, Box<Record>>,
    /// The phases of the steps that ran, as far as the journal tells, of the versions for which somebody asked.
    pub phases: BTreeMap<Version, Vec<Option<Phase>>>,
}

impl History {
    /// The record of a version.
    pub fn record(&self, version: &Version) -> Option<&Record> {
        self.records.get(version).map(Box::as_ref)
    }

    /// The same, unless it was undone.
    pub fn live(&self, version: &Version) -> Option<&Record> {
        self.record(version).filter(|record| record.state != State::Undone)
    }

    /// Takes a record in, instead of the one that its version had.
    pub fn put(&mut self, record: Record) {
        self.records.insert(record.id.version.clone(), Box::new(record));
    }
}

impl FromIterator<Record> for History {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let keyed = |record: Record| (record.id.version.clone(), Box::new(record));
        Self { records: records.into_iter().map(keyed).collect(), ..Self::default() }
    }
}

/// A file of a migration as it was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFile {
    /// The file's name, without a directory.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// The files of a record in the form all backends store them.
pub fn encode_files(files: &[StoredFile]) -> String {
    serde_json::to_string(files).expect("names and texts are strings")
}

/// The reverse of [`encode_files`].
pub fn decode_files(text: &str) -> Result<Vec<StoredFile>> {
    serde_json::from_str(text).map_err(|error| damaged("files", text).caused_by(error))
}

/// The step sums of a record in the form all backends store them.
pub fn encode_steps(steps: &[Checksum]) -> String {
    steps.iter().map(Checksum::to_string).collect::<Vec<_>>().join(" ")
}

/// The reverse of [`encode_steps`].
pub fn decode_steps(text: &str) -> Result<Vec<Checksum>> {
    let mut steps = Vec::with_capacity(text.len().div_ceil(33));
    for sum in text.split_ascii_whitespace() {
        steps.push(decode_sum(sum)?);
    }
    Ok(steps)
}

/// A sum, as all backends store it.
pub fn decode_sum(text: &str) -> Result<Checksum> {
    Checksum::parse(text).ok_or_else(|| damaged("a sum", text))
}

/// What happened to a migration in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A statement or chunk is about to run, or the position moved on to it.
    Begun,
    /// A step is complete.
    StepDone,
    /// A step was undone.
    StepUndone,
    /// A step failed.
    Failed,
    /// A person, or `baseline`, changed the record.
    Marked,
}

impl EventKind {
    const ALL: [Self; 5] = [Self::Begun, Self::StepDone, Self::StepUndone, Self::Failed, Self::Marked];

    /// The word in journals and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::StepDone => "step-done",
            Self::StepUndone => "step-undone",
            Self::Failed => "failed",
            Self::Marked => "marked",
        }
    }

    /// The kind of a word.
    pub fn of(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word).ok_or_else(|| damaged("event", word))
    }
}

/// A line of the journal. Its author, migration and phase are those of the record it was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the journal.
    pub sequence: i64,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// To which migration.
    pub id: MigrationId,
    /// In which phase.
    pub phase: Phase,
    /// To which of the store's steps of that migration, counted from 0.
    pub step: usize,
    /// The checkpoint, the failure, or the reason given.
    pub detail: Option<String>,
    /// By whom.
    pub author: Arc<Author>,
}

impl Event {
    /// What a mark led to, by which command, and the reason. Journals of the first dunlin have the reason alone.
    pub fn mark(&self) -> Option<(State, Origin, &str)> {
        let detail = self.detail.as_deref().filter(|_| self.kind == EventKind::Marked)?;
        let (state, rest) = detail.split_once(" (")?;
        let (origin, reason) = rest.split_once("): ")?;
        Some((State::of(state).ok()?, Origin::of(origin).ok()?, reason))
    }
}

/// An error for a history that holds what dunlin never wrote.
pub fn damaged(what: &str, found: &str) -> Error {
    let found: String = found.chars().take(80).collect();
    Error::new(
        ErrorKind::Integrity,
        format!("the history holds {found:?} as {what}, which dunlin did not write"),
    )
    .help(
        "restore it from a backup; or delete this one entry, and say what is so: `dunlin mark VERSION done --reason …` \
         where all that the migration does is in effect, nothing where none of it is",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for state in State::ALL {
            assert_eq!(State::of(state.word()).unwrap(), state);
        }
        for kind in EventKind::ALL {
            assert_eq!(EventKind::of(kind.word()).unwrap(), kind);
        }
        assert_eq!(State::of("dirty").unwrap_err().kind, ErrorKind::Integrity);
        assert!(readable(1).is_ok() && readable(2).is_err() && readable(0).is_err());
    }

    #[test]
    fn files_and_steps_read_back() {
        let files = vec![StoredFile { name: "1_a.sql".into(), text: "-- Up\n\u{0}'\"".into() }];
        assert_eq!(decode_files(&encode_files(&files)).unwrap(), files);
        let steps = vec![Checksum::of(["a"]), Checksum::of(["b"])];
        assert_eq!(decode_steps(&encode_steps(&steps)).unwrap(), steps);
        assert!(decode_steps("").unwrap().is_empty());
        assert_eq!(decode_steps("abc").unwrap_err().kind, ErrorKind::Integrity);
    }
}
