//! Records and events to and from documents. One document for each version in `dunlin_history`, one for each event in
//! `dunlin_journal`; both formats are stored, and their number stands in every document.

use std::sync::Arc;

use bson::raw::RawDocument;
use bson::{DateTime, Document, doc};
use dunlin_core::history::{FORMAT, damaged, decode_steps, decode_sum, encode_steps, readable};
use dunlin_core::{
    Author, Checkpoint, Event, EventKind, MigrationId, Origin, Phase, Record, Result, RunId, State,
    Timestamp, Version,
};

/// The collection of the records.
pub(crate) const HISTORY: &str = "dunlin_history";
/// The collection of the events.
pub(crate) const JOURNAL: &str = "dunlin_journal";

/// The `_id` of a version's record: `007` and `7` are the same version.
pub(crate) fn key(version: &Version) -> String {
    let significant = version.as_str().trim_start_matches('0');
    if significant.is_empty() { "0".to_owned() } else { significant.to_owned() }
}

/// A time as it is stored.
pub(crate) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.0)
}

/// A record without its files and its sequence.
pub(crate) fn record_document(record: &Record) -> Document {
    let mut document = doc! {
        "_id": key(&record.id.version),
        "format": FORMAT,
        "version": record.id.version.as_str(),
        "slug": &*record.id.slug,
        "state": record.state.word(),
        "phase": record.phase.word(),
        "origin": record.origin.word(),
        "steps": encode_steps(&record.steps),
        "text": record.text.to_string(),
        "run": &*record.author.run.0,
        "who": &*record.author.who,
        "host": &*record.author.host,
        "tool": &*record.author.tool,
        "rows": i64::try_from(record.rows).unwrap_or(i64::MAX),
    };
    if let Some(checkpoint) = &record.checkpoint {
        document.insert("checkpoint", &*checkpoint.0);
    }
    if let Some(note) = &record.note {
        document.insert("note", note);
    }
    for (name, time) in [("started", record.started), ("finished", record.finished)] {
        if let Some(time) = time {
            document.insert(name, date(time));
        }
    }
    document
}

/// A record with the times that a write at `now` gives it. The time is the server's: what its clock said when the lock
/// was taken, and what went by since.
pub(crate) fn dated(record: &Record, now: Timestamp) -> Record {
    let finished = record.finished.or(record.state.is_settled().then_some(now));
    Record { started: record.started.or(Some(now)), finished, ..record.clone() }
}

/// An event without its place in the journal and its time.
pub(crate) fn event_document(
    record: &Record,
    kind: EventKind,
    step: usize,
    detail: Option<&str>,
) -> Document {
    let mut document = doc! {
        "format": FORMAT,
        "kind": kind.word(),
        "key": key(&record.id.version),
        "version": record.id.version.as_str(),
        "slug": &*record.id.slug,
        "phase": record.phase.word(),
        "step": i64::try_from(step).unwrap_or(i64::MAX),
        "run": &*record.author.run.0,
        "who": &*record.author.who,
        "host": &*record.author.host,
        "tool": &*record.author.tool,
    };
    if let Some(detail) = detail {
        document.insert("detail", detail);
    }
    document
}

/// The fields of a document, each of which may be missing or of another type where somebody edited it.
pub(crate) struct Fields<'a>(pub(crate) &'a RawDocument);

impl Fields<'_> {
    fn found(&self, name: &str) -> String {
        match self.0.get(name) {
            Ok(Some(value)) => format!("{value:?}"),
            Ok(None) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str> {
        self.0.get_str(name).map_err(|_| damaged(name, &self.found(name)))
    }

    pub(crate) fn shared(&self, name: &str) -> Result<Arc<str>> {
        self.text(name).map(Arc::from)
    }

    fn optional(&self, name: &str) -> Result<Option<&str>> {
        if self.is_missing(name) { Ok(None) } else { self.text(name).map(Some) }
    }

    fn is_missing(&self, name: &str) -> bool {
        matches!(self.0.get(name), Ok(None | Some(bson::raw::RawBsonRef::Null)))
    }

    pub(crate) fn whole(&self, name: &str) -> Result<i64> {
        let number = match self.0.get(name) {
            Ok(Some(bson::raw::RawBsonRef::Int64(number))) => Some(number),
            Ok(Some(bson::raw::RawBsonRef::Int32(number))) => Some(i64::from(number)),
            _ => None,
        };
        number.ok_or_else(|| damaged(name, &self.found(name)))
    }

    /// The round, which is 0 where there is none.
    pub(crate) fn round(&self) -> Result<i64> {
        if self.is_missing("round") { Ok(0) } else { self.whole("round") }
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>> {
        if self.is_missing(name) {
            return Ok(None);
        }
        let time = self.0.get_datetime(name).map_err(|_| damaged(name, &self.found(name)))?;
        Ok(Some(Timestamp(time.timestamp_millis())))
    }

    fn id(&self) -> Result<MigrationId> {
        let version = self.text("version")?;
        let version = Version::parse(version).ok_or_else(|| damaged("version", version))?;
        Ok(MigrationId { version, slug: self.shared("slug")? })
    }

    fn phase(&self) -> Result<Phase> {
        let word = self.text("phase")?;
        Phase::of(word).ok_or_else(|| damaged("phase", word))
    }

    fn author(&self) -> Result<Arc<Author>> {
        Ok(Arc::new(Author {
            run: RunId(self.shared("run")?),
            who: self.shared("who")?,
            host: self.shared("host")?,
            tool: self.shared("tool")?,
        }))
    }
}

/// A record, and the sequence and the round it was written with.
pub(crate) fn record(document: &RawDocument) -> Result<((i64, i64), Record)> {
    let fields = Fields(document);
    readable(fields.whole("format")?)?;
    let rows = fields.whole("rows")?;
    let record = Record {
        id: fields.id()?,
        state: State::of(fields.text("state")?)?,
        phase: fields.phase()?,
        origin: Origin::of(fields.text("origin")?)?,
        steps: decode_steps(fields.text("steps")?)?,
        checkpoint: fields.optional("checkpoint")?.map(|text| Checkpoint(text.into())),
        text: decode_sum(fields.text("text")?)?,
        author: fields.author()?,
        started: fields.time("started")?,
        finished: fields.time("finished")?,
        rows: u64::try_from(rows).map_err(|_| damaged("rows", &rows.to_string()))?,
        note: fields.optional("note")?.map(str::to_owned),
    };
    Ok(((fields.whole("seq")?, fields.round()?), record))
}

/// An event.
pub(crate) fn event(document: &RawDocument) -> Result<Event> {
    let fields = Fields(document);
    readable(fields.whole("format")?)?;
    let step = fields.whole("step")?;
    Ok(Event {
        sequence: fields.whole("_id")?,
        at: fields.time("at")?.ok_or_else(|| damaged("at", "nothing"))?,
        kind: EventKind::of(fields.text("kind")?)?,
        id: fields.id()?,
        phase: fields.phase()?,
        step: usize::try_from(step).map_err(|_| damaged("step", &step.to_string()))?,
        detail: fields.optional("detail")?.map(str::to_owned),
        author: fields.author()?,
    })
}

#[cfg(test)]
mod tests {
    use bson::Bson;
    use dunlin_core::{Checksum, ErrorKind};

    use super::*;

    fn sample() -> Record {
        Record {
            id: MigrationId { version: Version::parse("007").unwrap(), slug: "a".into() },
            state: State::Applying,
            phase: Phase::Expand,
            origin: Origin::Run,
            steps: vec![Checksum::of(["a"])],
            checkpoint: Some(Checkpoint("{\"at\":1}".into())),
            text: Checksum::of(["t"]),
            author: Arc::new(Author {
                run: RunId("r".into()),
                who: "w".into(),
                host: "h".into(),
                tool: "t".into(),
            }),
            started: Some(Timestamp(5)),
            finished: None,
            rows: 3,
            note: Some("$note".into()),
        }
    }

    fn stored() -> Document {
        let mut document = record_document(&sample());
        document.insert("seq", 9_i64);
        document
    }

    fn read(document: &Document) -> Result<((i64, i64), Record)> {
        record(&bson::RawDocumentBuf::try_from(document).unwrap())
    }

    #[test]
    fn records_read_back() {
        assert_eq!(read(&stored()).unwrap(), ((9, 0), sample()));
        assert_eq!(stored().get_str("_id").unwrap(), "7");
    }

    #[test]
    fn what_was_edited_by_hand_is_an_error_and_no_panic() {
        for name in [
            "format", "version", "slug", "state", "phase", "origin", "steps", "rows", "seq", "started",
            "who", "round",
        ] {
            for value in
                [Bson::Null, Bson::String("nonsense".into()), Bson::Int32(-1), Bson::Document(doc! {})]
            {
                let mut document = stored();
                document.insert(name, value.clone());
                match read(&document) {
                    Err(error) => assert_eq!(error.kind, ErrorKind::Integrity, "{name} = {value}"),
                    // Any text is a text, no time is a time not known, any number is a sequence or a round.
                    Ok(_) => assert!(
                        matches!(name, "slug" | "steps" | "who" | "started" | "seq" | "round"),
                        "{name} = {value}"
                    ),
                }
            }
        }
        let mut newer = stored();
        newer.insert("format", 2);
        assert!(read(&newer).unwrap_err().message.contains("format 2"));
    }
}
