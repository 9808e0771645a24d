//! Collections that take no part in transactions: capped ones and time series. A plan says which commands run outside of
//! one for that reason, as things are now and as the commands before leave them.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use dunlin_core::{Line, Op as _};
use futures_util::TryStreamExt as _;
use mongodb::error::Error as DriverError;

use crate::command::{self, Class};
use crate::op::{Command, Op};
use crate::store::Store;

const CAPPED: &str = "a capped collection takes no part in transactions";
const SERIES: &str = "a time series takes no part in transactions";

/// Such collections by name, in each database that was asked.
pub(crate) struct Apart<'a> {
    store: &'a Store,
    known: BTreeMap<String, BTreeMap<String, &'static str>>,
}

impl<'a> Apart<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, known: BTreeMap::new() }
    }

    /// The lines of commands that run after those this was asked about before.
    pub(crate) async fn lines(&mut self, op: &Op) -> dunlin_core::Result<Vec<Line>> {
        let mut lines = op.preview();
        if !self.store.topology.has_transactions() {
            return Ok(lines);
        }
        for (command, line) in op.commands.iter().zip(&mut lines) {
            if command::class(&command.document) == Class::Documents {
                let why = self.of(command).await?.get(command::target(&command.document).unwrap_or_default());
                line.note = line.note.take().or_else(|| why.map(|why| (*why).to_owned()));
            } else if is_told(&command.document) {
                change(self.of(command).await?, &command.document);
            }
        }
        Ok(lines)
    }

    /// Those of the database in which a command runs.
    async fn of(&mut self, command: &Command) -> dunlin_core::Result<&mut BTreeMap<String, &'static str>> {
        let db = self.store.database(command);
        if !self.known.contains_key(db.name()) {
            let odd = bson::bson!([{ "options.capped": true }, { "type": "timeseries" }]);
            let list = doc! { "listCollections": 1, "filter": { "$or": odd }, "cursor": {} };
            let listed: Result<Vec<Document>, DriverError> =
                async { db.run_cursor_command(list).await?.try_collect().await }.await;
            let listed =
                listed.map_err(|failure| self.store.fail(&failure, "cannot look at the collections"))?;
            let entry = |found: &Document| {
                let is_series = found.get_str("type").is_ok_and(|kind| kind == "timeseries");
                Some((found.get_str("name").ok()?.to_owned(), if is_series { SERIES } else { CAPPED }))
            };
            self.known.insert(db.name().to_owned(), listed.iter().filter_map(entry).collect());
        }
        Ok(self.known.entry(db.name().to_owned()).or_default())
    }
}

/// Whether a command may leave a collection of another kind under its name.
fn is_told(document: &Document) -> bool {
    matches!(command::name(document), "create" | "drop" | "renameCollection" | "convertToCapped")
}

fn change(known: &mut BTreeMap<String, &'static str>, document: &Document) {
    let target = command::target(document).unwrap_or_default();
    let kept = known.remove(target);
    let is_capped = document.get("capped").is_some_and(|capped| *capped != Bson::Boolean(false));
    let (name, kind) = match command::name(document) {
        "create" if document.contains_key("timeseries") => (target, Some(SERIES)),
        "create" => (target, is_capped.then_some(CAPPED)),
        "convertToCapped" => (target, Some(CAPPED)),
        "renameCollection" => (document.get_str("to").unwrap_or_default(), kept),
        _ => return,
    };
    known.remove(name);
    known.extend(kind.map(|kind| (name.to_owned(), kind)));
}
