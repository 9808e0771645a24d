//! A directory, or files inside a binary, become migrations and diagnostics. Every fault of every file is reported at
//! once; what could be read is returned beside them.

mod change;
mod file;
mod name;
mod open;
mod side;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_core::{
    Backend, Diagnostic, Migration, MigrationId, SourceMap, Step, StoreName, StoredFile, Version, exact,
};

pub use file::{Content, File, Name};
use name::{FileName, Half};
pub use open::read_dir;
use open::{Named, open};

/// The backend of every configured store.
pub type Backends = BTreeMap<StoreName, Arc<dyn Backend>>;

/// What was read.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The migrations, by version.
    pub migrations: BTreeMap<Version, Arc<dyn Migration>>,
    /// What is wrong with the files.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that spans point into.
    pub sources: SourceMap,
}

impl Loaded {
    /// Whether nothing may run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// Adds a migration written in Rust, as if there were a file of its version.
    pub fn add(&mut self, migration: Arc<dyn Migration>) {
        let id = migration.id().clone();
        if let Some(other) = self.migrations.insert(id.version.clone(), migration) {
            self.diagnostics.push(duplicate(&id, other.id()));
        }
    }
}

fn duplicate(id: &MigrationId, other: &MigrationId) -> Diagnostic {
    Diagnostic::error("duplicate-version", format!("`{id}` and `{other}` have the same version"))
        .help("give one of them a version of its own; `dunlin new` makes a fresh one")
}

/// Reads migrations.
pub fn load(files: &[File], backends: &Backends) -> Loaded {
    load_beside(SourceMap::default(), files, backends)
}

/// Reads migrations; their texts join those of `sources`, so that one map serves all reports of a run.
pub fn load_beside(sources: SourceMap, files: &[File], backends: &Backends) -> Loaded {
    load_all(Loaded { sources, ..Loaded::default() }, files, &Scope { backends, only: None })
}

/// Reads the one migration that a history kept, as far as it concerns one store. Its texts are added to `sources`, and
/// not returned.
pub fn load_stored(
    files: &[StoredFile],
    store: &StoreName,
    backends: &Backends,
    sources: &mut SourceMap,
) -> Loaded {
    let files: Vec<File> = files.iter().map(File::stored).collect();
    let loaded = Loaded { sources: std::mem::take(sources), ..Loaded::default() };
    let mut loaded = load_all(loaded, &files, &Scope { backends, only: Some(store) });
    *sources = std::mem::take(&mut loaded.sources);
    loaded
}

fn load_all(mut loaded: Loaded, files: &[File], scope: &Scope<'_>) -> Loaded {
    let mut named: Vec<Named<'_>> = Vec::with_capacity(files.len());
    for file in files {
        match open(file, &mut loaded.sources) {
            Ok(one) => named.push(one),
            Err(fault) => loaded.diagnostics.push(fault),
        }
    }
    named.sort_by(|left, right| left.name.version.cmp(&right.name.version));
    let groups: Vec<&[Named<'_>]> =
        named.chunk_by(|left, right| left.name.version == right.name.version).collect();
    let Loaded { migrations, diagnostics, .. } = &mut loaded;
    // A map made of all at once has full nodes.
    *migrations = side::by_side(&groups, |group| Reader::new(scope, group).read(group))
        .map(|(migration, faults)| {
            diagnostics.extend(faults);
            (migration.id().version.clone(), migration)
        })
        .collect();
    loaded
}

/// A migration read from files.
#[derive(Debug)]
struct FileMigration {
    id: MigrationId,
    summary: String,
    needs: Vec<Version>,
    steps: Vec<Step>,
    /// Each once for every store it has steps for.
    files: Vec<(StoreName, StoredFile)>,
}

impl Migration for FileMigration {
    fn id(&self) -> &MigrationId {
        &self.id
    }

    fn summary(&self) -> &str {
        &self.summary
    }

    fn needs(&self) -> &[Version] {
        &self.needs
    }

    fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn files(&self, store: &StoreName) -> Vec<StoredFile> {
        self.files.iter().filter(|(of, _)| of == store).map(|(_, file)| file.clone()).collect()
    }
}

/// What is read for.
struct Scope<'a> {
    backends: &'a Backends,
    /// Steps for other stores are passed over in silence.
    only: Option<&'a StoreName>,
}

/// Reads the files of one version.
struct Reader<'a> {
    scope: &'a Scope<'a>,
    migration: FileMigration,
    faults: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn new(scope: &'a Scope<'a>, group: &[Named<'_>]) -> Self {
        let first = &group[0].name;
        let id = MigrationId { version: first.version.clone(), slug: first.slug.into() };
        let (summary, needs, steps, files) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Self { scope, migration: FileMigration { id, summary, needs, steps, files }, faults: Vec::new() }
    }

    fn read(mut self, group: &[Named<'_>]) -> (Arc<dyn Migration>, Vec<Diagnostic>) {
        let first = &group[0].name;
        for file in group {
            let same = file.name.slug == first.slug && file.name.version.as_str() == first.version.as_str();
            if !same {
                let other = MigrationId { version: file.name.version.clone(), slug: file.name.slug.into() };
                let fault = duplicate(&self.migration.id, &other);
                self.faults.push(fault.at(file.source.span(0, 0), "this file"));
            } else if file.name.extension == "toml" {
                self.read_toml(file);
            } else if file.name.half == Half::Down {
                self.check_has_up(file, group);
            } else {
                self.read_native(file, group);
            }
        }
        // Thousands of these are kept, and most have one of each.
        self.migration.steps = exact(&mut self.migration.steps);
        self.migration.files = exact(&mut self.migration.files);
        (Arc::new(self.migration), self.faults)
    }

    fn check_has_up(&mut self, file: &Named<'_>, group: &[Named<'_>]) {
        let pairs = |other: &Named<'_>| other.name.half == Half::Up && is_pair(&file.name, &other.name);
        if !group.iter().any(pairs) {
            let fault = Diagnostic::error("down-without-up", "this way back belongs to no way up");
            let up = file.source.name.replace(".down.", ".up.");
            self.faults.push(fault.at(file.source.span(0, 0), "alone").help(format!("`{up}` is missing")));
        }
    }

    fn read_native(&mut self, file: &Named<'_>, group: &[Named<'_>]) {
        let Some((store, backend)) = self.store_of(file) else { return };
        let is_other =
            |(of, known): &&(StoreName, StoredFile)| *of == store && !known.name.ends_with(".toml");
        if let Some((_, other)) = self.migration.files.iter().find(is_other) {
            let message =
                format!("`{}` says already what {} does in `{store}`", other.name, self.migration.id);
            let fault = Diagnostic::error("duplicate-file", message);
            let fault = fault.at(file.source.span(0, 0), "this file").help("put both into one");
            self.faults.push(fault);
            return;
        }
        let down =
            group.iter().find(|other| other.name.half == Half::Down && is_pair(&file.name, &other.name));
        let native = backend.read(&file.source, down.map(|down| &down.source));
        self.faults.extend(native.diagnostics);
        for section in native.sections {
            let step = Step {
                undo: section.undo,
                span: Some(section.span),
                ..Step::new(section.phase, store.clone(), section.op)
            };
            self.migration.steps.push(step);
        }
        for part in [Some(file), down].into_iter().flatten() {
            self.migration.files.push((store.clone(), stored(part)));
        }
    }

    /// Which store a native file is for: the one it names, or the only one that takes its extension. One that a history
    /// kept is for the store that kept it, whatever the stores are called by now.
    fn store_of(&mut self, file: &Named<'_>) -> Option<(StoreName, Arc<dyn Backend>)> {
        let extension = file.name.extension;
        let span = file.source.span(0, 0);
        let kept_by = self.scope.only.and_then(|only| Some((only, self.scope.backends.get(only)?)));
        if let Some((store, backend)) = kept_by.filter(|(_, backend)| backend.extension() == extension) {
            return Some((store.clone(), backend.clone()));
        }
        let fault = if let Some(name) = file.name.store {
            match self.scope.backends.get(&StoreName::from(name)) {
                Some(backend) if backend.extension() == extension => {
                    return Some((name.into(), backend.clone()));
                }
                Some(backend) => wrong_extension(file, name, &**backend).at(span, "this file"),
                None => self.unknown_store(name).at(span, "this file"),
            }
        } else {
            let mut takers =
                self.scope.backends.iter().filter(|(_, backend)| backend.extension() == extension);
            match (takers.next(), takers.next()) {
                (Some((name, backend)), None) => return Some((name.clone(), backend.clone())),
                (Some((first, _)), Some((second, _))) => {
                    let message = format!("`{first}` and `{second}` both take `.{extension}` files");
                    let help = format!(
                        "put the store's name after the slug: `{}`",
                        file.name.with_store(Some(first.as_str()))
                    );
                    Diagnostic::error("ambiguous-store", message)
                        .at(span, "for which store is this?")
                        .help(help)
                }
                (None, _) => self.no_store(file).at(span, "this file"),
            }
        };
        self.faults.push(fault);
        None
    }

    fn no_store(&self, file: &Named<'_>) -> Diagnostic {
        let extension = file.name.extension;
        let taken = self.scope.backends.values().map(|backend| backend.extension()).chain(["toml"]);
        let taken: BTreeSet<&str> = taken.collect();
        let help = match taken.get(&*extension.to_lowercase()) {
            Some(small) => renamed(file, small),
            None => {
                let endings: Vec<String> = taken.iter().map(|taken| format!("`.{taken}`")).collect();
                let endings = endings.join(", ");
                format!(
                    "files for the stores of dunlin.toml end in {endings}; move the file away, or add the store it is for"
                )
            }
        };
        Diagnostic::error("no-store", format!("no configured store takes `.{extension}` files")).help(help)
    }

    fn unknown_store(&self, name: &str) -> Diagnostic {
        steps::unknown_store(name, self.scope.backends, "remove the file")
    }

    fn read_toml(&mut self, file: &Named<'_>) {
        let Scope { backends, only } = self.scope;
        let read = steps::read(&file.source, &self.migration.id.version, backends, *only);
        let stores: BTreeSet<&StoreName> = read.steps.iter().map(|step| &step.store).collect();
        let text = stored(file);
        let files = stores.into_iter().map(|store| (store.clone(), text.clone()));
        self.migration.files.extend(files);
        self.migration.summary = read.summary;
        self.migration.needs.extend(read.needs);
        self.migration.steps.extend(read.steps);
        self.faults.extend(read.diagnostics);
    }
}

fn wrong_extension(file: &Named<'_>, store: &str, backend: &dyn Backend) -> Diagnostic {
    let taken = backend.extension();
    let message = format!("`{store}` is a {} store, which takes `.{taken}` files", backend.name());
    let fault = Diagnostic::error("wrong-extension", message);
    if file.name.extension.eq_ignore_ascii_case(taken) { fault.help(renamed(file, taken)) } else { fault }
}

/// What to do about an ending in capital letters.
fn renamed(file: &Named<'_>, extension: &str) -> String {
    let name = &file.file.name[..file.file.name.len() - file.name.extension.len()];
    format!("endings are written in small letters: rename it to `{name}{extension}`")
}

fn is_pair(left: &FileName<'_>, right: &FileName<'_>) -> bool {
    left.extension == right.extension && left.store == right.store
}

fn stored(named: &Named<'_>) -> StoredFile {
    StoredFile { name: named.file.name.shared(), text: named.source.text.clone() }
}
