//! Which migrations go back, and by which text: the file where it is what ran, else the text that the history kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_core::{
    Diagnostic, Error, ErrorKind, Migration, MigrationId, Record, Result, SourceMap, State, Step, StoreName,
    StoredFile, Version,
};

use crate::lane;
use crate::load::{Backends, load_stored};
use crate::plan;
use crate::run::{Histories, Migrations, Stores};

/// How far to go back.
#[derive(Debug, Clone)]
pub enum Extent {
    /// So many migrations.
    Count(usize),
    /// Everything after this one, which stays.
    To(Version),
}

/// A migration put together from the texts that the stores kept.
#[derive(Debug)]
struct Restored {
    id: MigrationId,
    steps: Vec<Step>,
    files: BTreeMap<StoreName, Vec<StoredFile>>,
}

impl Migration for Restored {
    fn id(&self) -> &MigrationId {
        &self.id
    }

    fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn files(&self, store: &StoreName) -> Vec<StoredFile> {
        self.files.get(store).cloned().unwrap_or_default()
    }
}

/// The versions that go back, newest first: those that any store remembers as begun. What needs another migration goes
/// back before it.
pub fn versions(migrations: &Migrations, histories: &Histories, extent: &Extent) -> Vec<Version> {
    let places = plan::places(migrations);
    let records = histories.values().flat_map(|history| history.records.values());
    let live = records.filter(|record| record.state != State::Undone).map(|record| &record.id.version);
    let all: BTreeSet<_> = live.map(|version| (places.of(version), version)).collect();
    let newest_first = all.into_iter().rev();
    let chosen: Vec<_> = match extent {
        Extent::Count(count) => newest_first.take(*count).collect(),
        Extent::To(version) => newest_first.take_while(|(place, _)| *place > places.of(version)).collect(),
    };
    chosen.into_iter().map(|(_, version)| version.clone()).collect()
}

/// The migrations to take back, with a note for each whose file is not what ran.
#[derive(Debug, Default)]
pub struct Reversal {
    /// Newest first.
    pub migrations: Vec<Arc<dyn Migration>>,
    /// What the user should know about them.
    pub notes: Vec<String>,
}

/// Finds the text for each version.
pub async fn resolve(
    versions: &[Version],
    migrations: &Migrations,
    histories: &Histories,
    (stores, backends): (&Stores, &Backends),
    sources: &mut SourceMap,
) -> Result<Reversal> {
    let mut reversal = Reversal::default();
    for version in versions {
        let records: Vec<(&StoreName, &Record)> =
            histories.iter().filter_map(|(store, history)| Some((store, history.live(version)?))).collect();
        let file = migrations.get(version);
        if let Some(migration) = file.filter(|migration| is_what_ran(&***migration, &records)) {
            reversal.migrations.push(migration.clone());
            continue;
        }
        let Some((_, record)) = records.first() else { continue };
        let why = if file.is_some() { "its file was edited after it ran" } else { "there is no file of it" };
        reversal.notes.push(format!("{} goes back by the text that was kept when it ran: {why}", record.id));
        reversal.migrations.push(Arc::new(restore(&record.id, &records, (stores, backends), sources).await?));
    }
    Ok(reversal)
}

/// The migrations that are under way and have no file any more, by the texts that the stores kept.
pub async fn kept(
    migrations: &Migrations,
    histories: &Histories,
    (stores, backends): (&Stores, &Backends),
) -> Result<Migrations> {
    let mut kept = Migrations::new();
    let records = histories.values().flat_map(|history| history.records.values().map(Box::as_ref));
    let is_lost =
        |record: &&Record| !record.state.is_settled() && !migrations.contains_key(&record.id.version);
    for record in records.filter(is_lost) {
        let version = &record.id.version;
        let records: Vec<(&StoreName, &Record)> =
            histories.iter().filter_map(|(store, history)| Some((store, history.live(version)?))).collect();
        match restore(&record.id, &records, (stores, backends), &mut SourceMap::default()).await {
            Ok(restored) => drop(kept.insert(version.clone(), Arc::new(restored) as Arc<dyn Migration>)),
            // It ran in Rust, or its text is damaged: nobody knows more of it.
            Err(error) if error.kind == ErrorKind::Integrity => {}
            Err(error) => return Err(error),
        }
    }
    Ok(kept)
}

fn is_what_ran(migration: &dyn Migration, records: &[(&StoreName, &Record)]) -> bool {
    records.iter().all(|(store, record)| lane::is_prefix(record, &lane::sums(&lane::steps(migration, store))))
}

async fn restore(
    id: &MigrationId,
    records: &[(&StoreName, &Record)],
    (stores, backends): (&Stores, &Backends),
    sources: &mut SourceMap,
) -> Result<Restored> {
    let mut restored = Restored { id: id.clone(), steps: Vec::new(), files: BTreeMap::new() };
    for (name, _) in records {
        let Some(store) = stores.get(*name) else { continue };
        let files = store.files(&id.version).await.map_err(|error| error.with("store", name))?;
        if files.is_empty() {
            let error = Error::new(
                ErrorKind::Integrity,
                format!("`{name}` kept no text of {id}, and there is no file of it"),
            );
            return Err(
                error.help("bring the file back, or undo it by hand and record that with `dunlin mark`")
            );
        }
        let loaded = load_stored(&files, name, backends, sources);
        if let Some(fault) = loaded.diagnostics.iter().find(|fault| Diagnostic::is_error(fault)) {
            let message = format!("the text of {id} that `{name}` kept cannot be read: {}", fault.message);
            return Err(Error::new(ErrorKind::Integrity, message).at(fault.span()));
        }
        restored.steps.extend(loaded.migrations.values().flat_map(|migration| migration.steps().to_vec()));
        restored.files.insert((*name).clone(), files);
    }
    Ok(restored)
}
