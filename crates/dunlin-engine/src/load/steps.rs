//! `.toml` migrations: a summary, what they need, and steps by phase.

use std::time::Duration;

use dunlin_core::node::{Key, Table, Value};
use dunlin_core::{
    AnyOp, Backend, Diagnostic, Field, Node, Phase, Source, Step, StoreName, Undo, Version, duration, suggest,
};

use super::{Backends, change};
use crate::toml;

/// What a `.toml` file says.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) summary: String,
    pub(super) needs: Vec<Version>,
    pub(super) steps: Vec<Step>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

const KEYS: [&str; 7] = ["summary", "needs", "change", "expand", "backfill", "verify", "contract"];

/// What a step says of its way back.
const WAYS_BACK: [&str; 3] = ["undo", "no_op", "irreversible"];

pub(super) fn read(
    source: &Source,
    version: &Version,
    backends: &Backends,
    only: Option<&StoreName>,
) -> Text {
    let (document, faults) = toml::parse(source);
    let mut read = Text { diagnostics: faults, ..Text::default() };
    if let Err(fault) = read.fill(&document, &Reading { source, version, backends, only }) {
        read.diagnostics.push(fault);
    }
    read
}

#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) source: &'a Source,
    pub(super) version: &'a Version,
    pub(super) backends: &'a Backends,
    pub(super) only: Option<&'a StoreName>,
}

impl Text {
    fn fill(&mut self, document: &Node, reading: &Reading<'_>) -> Result<(), Diagnostic> {
        let mut table = document.table()?;
        if let Some(node) = table.take("summary") {
            let summary = node.text().map(str::to_owned);
            self.summary = self.keep(summary).unwrap_or_default();
        }
        if let Some(node) = table.take("needs") {
            self.read_needs(node);
        }
        if let Some(node) = table.take("change") {
            self.read_list("change", node, |number, item| change::read(number, item, reading));
        }
        for phase in Phase::ALL {
            if let Some(node) = table.take(phase.word()) {
                self.read_list(phase.word(), node, |number, item| {
                    read_step((phase, number), item, reading).map(|step| step.into_iter().collect())
                });
            }
        }
        // As written, whatever the lists are called: within a phase the order of the file counts.
        self.steps.sort_by_key(|step| step.span.map(|span| span.start));
        self.diagnostics.extend(table.finish(&KEYS));
        Ok(())
    }

    fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|fault| self.diagnostics.push(fault)).ok()
    }

    fn read_needs(&mut self, node: &Node) {
        let Some(items) = self.keep(node.items()) else { return };
        for item in items {
            let text = match &item.value {
                Value::Integer(number) => number.to_string(),
                Value::String { text, .. } => text.clone(),
                _ => String::new(),
            };
            let fault = || {
                Diagnostic::error("bad-version", "a version is a number")
                    .at(item.span, "not a version")
                    .help("as in a file's name: `\"20261121090000\"`")
            };
            if let Some(version) = self.keep(Version::parse(&text).ok_or_else(fault)) {
                self.needs.push(version);
            }
        }
    }

    /// Reads the items of a list, each into steps.
    fn read_list(
        &mut self,
        word: &str,
        node: &Node,
        read: impl Fn(usize, &Node) -> Result<Vec<Step>, Vec<Diagnostic>>,
    ) {
        let fault = || {
            Diagnostic::error("wrong-type", format!("`{word}` is a list of steps"))
                .at(node.span, "not a list of steps")
                .help(format!("write `[[{word}]]` above each step"))
        };
        let Some(items) = self.keep(node.items().map_err(|_| fault())) else { return };
        for (index, item) in items.iter().enumerate() {
            match read(index + 1, item) {
                Ok(steps) => self.steps.extend(steps),
                Err(faults) => self.diagnostics.extend(faults),
            }
        }
    }
}

/// A step, or nothing where it is for a store that is not looked at.
fn read_step(
    (phase, number): (Phase, usize),
    item: &Node,
    reading: &Reading<'_>,
) -> Result<Option<Step>, Vec<Diagnostic>> {
    let mut table = item.table().map_err(one)?;
    let Some((store, backend)) = take_store(&mut table, reading).map_err(one)? else { return Ok(None) };
    let mut faults = Vec::new();
    let tag = format!("{}_{phase}_{number}", reading.version);
    let site = Site { backend, phase, source: reading.source, tag: &tag };
    let op = take_op(&mut table, item, &site).map_err(|fault| faults.extend(fault)).ok();
    let undo = take_undo(&mut table, op.as_ref().map(|(key, _)| *key), &site);
    let undo = undo.map_err(|fault| faults.extend(fault)).ok();
    let lock_timeout =
        take_lock_timeout(&mut table, backend).map_err(|fault| faults.push(fault)).ok().flatten();
    let mut known = backend.ops().to_vec();
    known.extend(["store", LOCK_TIMEOUT]);
    known.extend(WAYS_BACK);
    faults.extend(table.finish(&known));
    match (op, undo) {
        (Some((_, op)), Some(undo)) if faults.is_empty() => {
            let undo = match (phase, undo, op.undo()) {
                (Phase::Verify, ..) => Undo::Nothing { reason: "it only looks".to_owned() },
                (_, Undo::Unwritten, Some(own)) => Undo::Op(own),
                (_, undo, _) => undo,
            };
            Ok(Some(Step { undo, lock_timeout, span: Some(item.span), ..Step::new(phase, store, op) }))
        }
        _ => Err(faults),
    }
}

/// How long a step, or every step of a change, waits for locks.
pub(super) const LOCK_TIMEOUT: &str = "lock_timeout";

/// Takes that, where it is said.
pub(super) fn take_lock_timeout(
    table: &mut Table<'_>,
    backend: &dyn Backend,
) -> Result<Option<Duration>, Diagnostic> {
    let Some((key, node)) = table.take_entry(LOCK_TIMEOUT) else { return Ok(None) };
    if !backend.waits_for_locks() {
        let message = format!("{} has no locks that a statement could be told to wait for", backend.name());
        let fault = Diagnostic::error("no-lock-timeout", message).at(key.span, "says nothing here");
        return Err(fault.help("leave it out"));
    }
    let wrong = |help: String| {
        Diagnostic::error("wrong-value", "a duration is expected here")
            .at(node.span, "not a duration")
            .help(help)
    };
    match duration::parse(node.text()?) {
        Ok(time) if time >= Duration::from_millis(1) => Ok(Some(time)),
        _ => Err(wrong(duration::EXAMPLE.to_owned())),
    }
}

/// The store a step is for; nothing where it is one that is not looked at.
pub(super) fn take_store<'a>(
    table: &mut Table<'_>,
    reading: &Reading<'a>,
) -> Result<Option<(StoreName, &'a dyn Backend)>, Diagnostic> {
    let node = table.require("store").map_err(|fault| with_guess(fault, table))?;
    let name = node.text()?;
    let store = StoreName::from(name);
    if reading.only.is_some_and(|only| *only != store) {
        return Ok(None);
    }
    match reading.backends.get(&store) {
        Some(backend) => Ok(Some((store, &**backend))),
        None => {
            let fault = unknown_store(name, reading.backends, "take its steps out of the file");
            Err(fault.at(node.span, "not in dunlin.toml"))
        }
    }
}

/// A store that is not there: misspelt, or gone for good.
pub(super) fn unknown_store(name: &str, backends: &Backends, way_out: &str) -> Diagnostic {
    let known = || backends.keys().map(StoreName::as_str);
    let help = suggest::help(name, known());
    let help = match suggest::nearest(name, known()) {
        Some(_) => help,
        None => format!(
            "{help}; where that store is gone for good, {way_out}: what ran in the others stays as it is"
        ),
    };
    Diagnostic::error("unknown-store", format!("no store is called `{name}`")).help(help)
}

/// The place of a key that was probably meant to be `store`.
fn with_guess(mut fault: Diagnostic, table: &Table<'_>) -> Diagnostic {
    if let Some(key) = table.keys().find(|key| suggest::nearest(&key.name, ["store"]).is_some()) {
        fault.labels = vec![(key.span, "not known here".to_owned())];
        return fault.help(format!("`{}` seems to be meant for it", key.name));
    }
    fault
}

pub(super) fn one(fault: Diagnostic) -> Vec<Diagnostic> {
    vec![fault]
}

/// Where a step stands, and who reads its ops.
struct Site<'a> {
    backend: &'a dyn Backend,
    phase: Phase,
    source: &'a Source,
    tag: &'a str,
}

impl Site<'_> {
    fn decode(&self, key: &Key, value: &Node) -> Result<AnyOp, Vec<Diagnostic>> {
        let field = Field { name: &key.name, value, source: self.source, tag: self.tag };
        self.backend.decode(self.phase, &field)
    }
}

fn take_op<'a>(
    table: &mut Table<'a>,
    item: &Node,
    site: &Site<'_>,
) -> Result<(&'a Key, AnyOp), Vec<Diagnostic>> {
    let (backend, phase) = (site.backend, site.phase);
    let mut found =
        backend.ops().iter().filter_map(|name| table.take_entry(name)).collect::<Vec<_>>().into_iter();
    match (found.next(), found.next()) {
        (Some((key, value)), None) => Ok((key, site.decode(key, value)?)),
        (Some((first, _)), Some((second, _))) => {
            let message =
                format!("a step does one thing, this one says `{}` and `{}`", first.name, second.name);
            let fault = Diagnostic::error("two-ops", message)
                .at(second.span, "a second op")
                .at(first.span, "the first");
            Err(vec![fault.help(format!("start another `[[{phase}]]` for it"))])
        }
        (None, _) => {
            let is_own = |key: &&Key| WAYS_BACK.contains(&&*key.name);
            let is_near = |key: &Key| suggest::nearest(&key.name, backend.ops().iter().copied()).is_some();
            if table.keys().filter(|key| !is_own(key)).any(is_near) {
                // Reported as an unknown key, with the near one.
                return Err(Vec::new());
            }
            let ops: Vec<String> = backend.ops().iter().map(|op| format!("`{op}`")).collect();
            let fault =
                Diagnostic::error("no-op-given", "this step does nothing").at(item.span, "says no op");
            Err(vec![fault.help(format!("{} takes {}", backend.name(), ops.join(", ")))])
        }
    }
}

/// `undo = <value of the same op>`, `undo = { <op> = … }`, `no_op = "why"` or `irreversible = "why"`.
fn take_undo(table: &mut Table<'_>, op: Option<&Key>, site: &Site<'_>) -> Result<Undo, Vec<Diagnostic>> {
    let mut found =
        WAYS_BACK.iter().filter_map(|name| table.take_entry(name)).collect::<Vec<_>>().into_iter();
    let Some((key, node)) = found.next() else { return Ok(Undo::Unwritten) };
    if let Some((second, _)) = found.next() {
        let fault = Diagnostic::error(
            "two-ways-back",
            format!("a step has one way back, this one says `{}` and `{}`", key.name, second.name),
        );
        return Err(vec![fault.at(second.span, "a second one").at(key.span, "the first")]);
    }
    if key.name != "undo" {
        let reason = node.text().map_err(one)?.to_owned();
        if reason.trim().is_empty() {
            let fault = Diagnostic::error("missing-reason", format!("`{}` needs a reason", key.name))
                .at(node.span, "says nothing");
            return Err(vec![fault]);
        }
        return Ok(if key.name == "no_op" {
            Undo::Nothing { reason }
        } else {
            Undo::Irreversible { reason }
        });
    }
    if let Value::Table(entries) = &node.value
        && let [(name, value)] = entries.as_slice()
        && site.backend.ops().contains(&name.name.as_str())
    {
        return Ok(Undo::Op(site.decode(name, value)?));
    }
    let Some(op) = op else { return Ok(Undo::Unwritten) };
    Ok(Undo::Op(site.decode(op, node)?))
}
