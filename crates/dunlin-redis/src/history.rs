//! Records and journal lines as the server keeps them. A record is a JSON text whose head the server writes, because
//! only it knows the time; everything else is written here.

use std::collections::BTreeMap;
use std::sync::Arc;

use dunlin_core::history::{
    FORMAT, damaged, decode_files, decode_steps, decode_sum, encode_files, encode_steps, readable,
};
use dunlin_core::{
    Author, Checkpoint, Error, Event, EventKind, History, MigrationId, Origin, Phase, Record, Result, RunId,
    State, StoredFile, Timestamp, Version,
};
use redis::Value;
use serde::{Deserialize, Serialize};

/// The part of a record behind its head.
#[derive(Debug, Serialize)]
struct Tail<'a> {
    version: &'a str,
    slug: &'a str,
    state: &'a str,
    phase: &'a str,
    origin: &'a str,
    steps: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<&'a str>,
    text: String,
    run: &'a str,
    who: &'a str,
    host: &'a str,
    tool: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// A record as it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    format: i64,
    started: Option<i64>,
    finished: Option<i64>,
    rows: u64,
    version: String,
    slug: Arc<str>,
    state: String,
    phase: String,
    origin: String,
    steps: String,
    checkpoint: Option<Arc<str>>,
    text: String,
    run: Arc<str>,
    who: Arc<str>,
    host: Arc<str>,
    tool: Arc<str>,
    note: Option<String>,
}

/// What every stored value says first.
#[derive(Debug, Deserialize)]
struct Format {
    format: i64,
}

/// What is wrong with a text that cannot be read: a newer dunlin wrote it, or none did.
fn unreadable(text: &str, what: &str, error: serde_json::Error) -> Error {
    let format = serde_json::from_str(text).map(|Format { format }| readable(format));
    if let Ok(Err(newer)) = format { newer } else { damaged(what, text).caused_by(error) }
}

/// The field of a version in the history: two spellings of a number are one version.
pub(crate) fn field(version: &Version) -> String {
    let digits = version.as_str().trim_start_matches('0');
    if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
}

/// A record without its head, beginning with the comma that follows it.
pub(crate) fn tail(record: &Record) -> String {
    let tail = Tail {
        version: record.id.version.as_str(),
        slug: &record.id.slug,
        state: record.state.word(),
        phase: record.phase.word(),
        origin: record.origin.word(),
        steps: encode_steps(&record.steps),
        checkpoint: record.checkpoint.as_ref().map(|checkpoint| &*checkpoint.0),
        text: record.text.to_string(),
        run: &record.author.run.0,
        who: &record.author.who,
        host: &record.author.host,
        tool: &record.author.tool,
        note: record.note.as_deref(),
    };
    serde_json::to_string(&tail).expect("a struct of texts").replacen('{', ",", 1)
}

/// Reads a record.
pub(crate) fn record(text: &str) -> Result<Record> {
    let whole: Whole = serde_json::from_str(text).map_err(|error| unreadable(text, "a record", error))?;
    readable(whole.format)?;
    Ok(Record {
        id: MigrationId { version: version(&whole.version)?, slug: whole.slug },
        state: State::of(&whole.state)?,
        phase: phase(&whole.phase)?,
        origin: Origin::of(&whole.origin)?,
        steps: decode_steps(&whole.steps)?,
        checkpoint: whole.checkpoint.map(Checkpoint),
        text: decode_sum(&whole.text)?,
        author: Arc::new(Author {
            run: RunId(whole.run),
            who: whole.who,
            host: whole.host,
            tool: whole.tool,
        }),
        started: whole.started.map(Timestamp),
        finished: whole.finished.map(Timestamp),
        rows: whole.rows,
        note: whole.note,
    })
}

fn version(text: &str) -> Result<Version> {
    Version::parse(text).ok_or_else(|| damaged("a version", text))
}

fn phase(word: &str) -> Result<Phase> {
    Phase::of(word).ok_or_else(|| damaged("a phase", word))
}

/// Reads the whole history.
pub(crate) fn history(reply: Value) -> Result<History> {
    let fields = match reply {
        Value::Array(items) => items,
        Value::Nil => return Ok(History::default()),
        other => return Err(damaged("a history", &format!("{other:?}"))),
    };
    let texts = fields.chunks_exact(2).map(|pair| utf8(&pair[1], "a record"));
    texts.map(|text| record(text?)).collect()
}

fn utf8<'a>(value: &'a Value, what: &str) -> Result<&'a str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes)
            .map_err(|error| damaged(what, &String::from_utf8_lossy(bytes)).caused_by(error)),
        Value::SimpleString(text) => Ok(text),
        other => Err(damaged(what, &format!("{other:?}"))),
    }
}

/// The files of a record with their format.
pub(crate) fn files_text(files: &[StoredFile]) -> String {
    format!("{{\"format\":{FORMAT},\"files\":{}}}", encode_files(files))
}

/// Reads the files of a record.
pub(crate) fn files(value: &Value) -> Result<Vec<StoredFile>> {
    if *value == Value::Nil {
        return Ok(Vec::new());
    }
    let text = utf8(value, "files")?;
    let start = format!("{{\"format\":{FORMAT},\"files\":");
    match text.strip_prefix(&start).and_then(|rest| rest.strip_suffix('}')) {
        Some(files) => decode_files(files),
        None => {
            let found: Format =
                serde_json::from_str(text).map_err(|error| damaged("files", text).caused_by(error))?;
            readable(found.format)?;
            Err(damaged("files", text))
        }
    }
}

/// The facts of a journal line that a record has, in the order in which the scripts take them.
pub(crate) fn facts(record: &Record, step: usize) -> [Vec<u8>; 8] {
    let step = step.to_string();
    let author = &record.author;
    let facts: [&str; 8] = [
        record.id.version.as_str(),
        &record.id.slug,
        record.phase.word(),
        &step,
        &author.run.0,
        &author.who,
        &author.host,
        &author.tool,
    ];
    facts.map(|fact| fact.as_bytes().to_vec())
}

/// Reads a journal line: an entry of the stream.
pub(crate) fn event(entry: &Value) -> Result<Event> {
    let wrong = || damaged("a journal line", &format!("{entry:?}"));
    let Value::Array(parts) = entry else { return Err(wrong()) };
    let [id, Value::Array(fields)] = parts.as_slice() else { return Err(wrong()) };
    let sequence = utf8(id, "a journal line")?.split('-').next().and_then(|number| number.parse().ok());
    let mut known = BTreeMap::new();
    for pair in fields.chunks_exact(2) {
        known.insert(utf8(&pair[0], "a journal line")?, utf8(&pair[1], "a journal line")?);
    }
    let text = |name: &str| known.get(name).copied().ok_or_else(wrong);
    let number = |name: &str| -> Result<i64> { text(name)?.parse().map_err(|_| wrong()) };
    readable(number("format")?)?;
    Ok(Event {
        sequence: sequence.ok_or_else(wrong)?,
        at: Timestamp(number("at")?),
        kind: EventKind::of(text("kind")?)?,
        id: MigrationId { version: version(text("version")?)?, slug: text("slug")?.into() },
        phase: phase(text("phase")?)?,
        step: usize::try_from(number("step")?).map_err(|_| wrong())?,
        detail: known.get("detail").map(|detail| (*detail).to_owned()),
        author: Arc::new(Author {
            run: RunId(text("run")?.into()),
            who: text("who")?.into(),
            host: text("host")?.into(),
            tool: text("tool")?.into(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_core::{Checksum, ErrorKind};

    fn sample() -> Record {
        Record {
            id: MigrationId { version: Version::parse("0042").unwrap(), slug: "a \"b\"".into() },
            state: State::Applying,
            phase: Phase::Backfill,
            origin: Origin::Run,
            steps: vec![Checksum::of(["a"]), Checksum::of(["b"])],
            checkpoint: Some(Checkpoint("{\"at\":1}".into())),
            text: Checksum::of(["t"]),
            author: Arc::new(Author {
                run: RunId("r".into()),
                who: "ann".into(),
                host: "h".into(),
                tool: "dunlin 1".into(),
            }),
            started: Some(Timestamp(5)),
            finished: None,
            rows: 7,
            note: Some("because\n{".to_owned()),
        }
    }

    fn stored(text: &str) -> Value {
        Value::Array(vec![Value::BulkString(b"42".to_vec()), Value::BulkString(text.as_bytes().to_vec())])
    }

    #[test]
    fn records_read_back() {
        let text = format!("{{\"format\":1,\"started\":5,\"finished\":null,\"rows\":7{}", tail(&sample()));
        let read = history(stored(&text)).unwrap();
        assert_eq!(read.record(&sample().id.version), Some(&sample()));
        assert_eq!(field(&sample().id.version), "42");
        assert_eq!(field(&Version::parse("000").unwrap()), "0");
    }

    #[test]
    fn newer_and_damaged_records_are_told_apart() {
        for (text, message) in [
            ("{\"format\":2,\"shape\":[]}", "has format 2"),
            ("{\"format\":1}", "did not write"),
            ("nonsense", "did not write"),
        ] {
            let error = history(stored(text)).unwrap_err();
            assert!(error.kind == ErrorKind::Integrity && error.message.contains(message), "{error}");
        }
    }

    #[test]
    fn files_read_back() {
        let kept = vec![StoredFile { name: "1_a.redis".into(), text: "SET a \"}\"\n".into() }];
        assert_eq!(files(&Value::BulkString(files_text(&kept).into_bytes())).unwrap(), kept);
        assert!(files(&Value::Nil).unwrap().is_empty());
        assert!(
            files(&Value::BulkString(b"{\"format\":9}".to_vec())).unwrap_err().message.contains("format 9")
        );
    }
}
