//! Grouping: which statements succeed or fail together.

use std::ops::Range;
use std::sync::Arc;

use dunlin_core::{Diagnostic, Severity, exact};

use crate::classify::{Class, classify};
use crate::dialect::{Dialect, literal};
use crate::op::{ForeignKeys, Op, Statement, Unit};
use crate::rebuild;
use crate::split::{Fault, Piece, PieceKind};
use crate::text::Text;

/// What the author asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    /// No transaction around the statements.
    pub(crate) no_transaction: bool,
    /// How foreign keys are treated (SQLite), if the author says.
    pub(crate) foreign_keys: Option<ForeignKeys>,
    /// Whether what stands between LOCK TABLES and UNLOCK TABLES is sent so, in one go (MySQL). Nobody knows afterwards how
    /// far it came: only for who looks at the table before each run.
    pub(crate) keeps_locks: bool,
}

/// A statement on its way into a unit.
#[derive(Debug)]
pub(crate) struct Classed<'a> {
    text: Text<'a>,
    class: Class,
    range: Range<usize>,
    statement: Statement,
}

/// Groups statements into an op. What is wrong with them is added to `findings`.
pub(crate) fn group(
    dialect: Dialect,
    mut classed: Vec<Classed<'_>>,
    settings: Settings,
    findings: &mut Vec<Diagnostic>,
) -> Op {
    settle_labels(&mut classed);
    let foreign_keys = settle_foreign_keys(dialect, &mut classed, settings, findings);
    let (units, open) = (Vec::new(), Vec::new());
    let mut grouping =
        Grouping { dialect, settings, findings, units, open, is_begun: false, locked: None, boundary: None };
    for next in classed {
        grouping.add(next);
    }
    grouping.flush();
    Op { dialect, units: exact(&mut grouping.units), foreign_keys }
}

/// The statements among the pieces of a text.
pub(crate) fn statements<'a>(text: Text<'a>, pieces: &[Piece]) -> Vec<Classed<'a>> {
    let mut classed: Vec<Classed<'_>> = Vec::new();
    for piece in pieces {
        let part = &text.content[piece.range.clone()];
        match piece.kind {
            PieceKind::Statement => classed.push(Classed {
                text,
                class: classify(text.dialect, part),
                range: piece.range.clone(),
                statement: Statement {
                    text: text.content.part(piece.range.clone()),
                    span: text.span(&piece.range),
                    copy_data: None,
                    dialect: text.dialect,
                },
            }),
            PieceKind::Copy => {
                if let Some(copy) = classed.last_mut() {
                    copy.statement.copy_data = Some(Box::new(text.content.part(piece.range.clone())));
                }
            }
            _ => {}
        }
    }
    classed
}

impl Classed<'_> {
    fn finding(&self, severity: Severity, fault: fn(Range<usize>) -> Fault) -> Diagnostic {
        self.text.finding(severity, fault(self.range.clone()))
    }
}

/// A new enum label needs a commit of its own only where the same file goes on to use it.
fn settle_labels(classed: &mut [Classed<'_>]) {
    for at in 0..classed.len() {
        let Class::EnumLabel(label) = &classed[at].class else { continue };
        let literal = literal(label);
        let is_used = |other: &Classed<'_>| {
            let is_label = matches!(&other.class, Class::EnumLabel(_));
            !is_label && other.statement.text.contains(&literal)
        };
        let is_used = classed[at + 1..].iter().any(is_used);
        let why = || Class::Alone("a new label can be used only after a commit".to_owned());
        classed[at].class = if is_used { why() } else { Class::Ordinary };
    }
}

fn settle_foreign_keys(
    dialect: Dialect,
    classed: &mut Vec<Classed<'_>>,
    settings: Settings,
    findings: &mut Vec<Diagnostic>,
) -> ForeignKeys {
    let pragma = classed.iter().find(|next| next.class == Class::ForeignKeys);
    let foreign_keys = settings.foreign_keys.unwrap_or_else(|| match pragma {
        Some(_) => ForeignKeys::AsWritten,
        None if dialect != Dialect::Sqlite => ForeignKeys::On,
        None => rebuild::default_keys(classed.iter().map(|next| &*next.statement.text)),
    });
    if let (ForeignKeys::On, Some(pragma)) = (foreign_keys, pragma) {
        findings.push(pragma.finding(Severity::Error, contradiction));
    }
    if foreign_keys == ForeignKeys::Off {
        // The runner does this around each transaction, and checks before the commit.
        classed.retain(|next| next.class != Class::ForeignKeys);
    }
    foreign_keys
}

struct Grouping<'a> {
    dialect: Dialect,
    settings: Settings,
    findings: &'a mut Vec<Diagnostic>,
    units: Vec<Unit>,
    open: Vec<Statement>,
    /// Inside a transaction that the file began itself.
    is_begun: bool,
    /// What is sent under a table's lock, once that is taken.
    locked: Option<Vec<Statement>>,
    /// The statement of the file that keeps what follows out of the transaction before.
    boundary: Option<Diagnostic>,
}

impl Grouping<'_> {
    fn add(&mut self, next: Classed<'_>) {
        if let (Some(locked), false) = (&mut self.locked, next.class == Class::TableLock) {
            return locked.push(next.statement);
        }
        match &next.class {
            Class::TableLock if self.settings.keeps_locks => self.lock(next.statement),
            Class::Ordinary | Class::EnumLabel(_) if self.settings.no_transaction && !self.is_begun => {
                self.alone("no-transaction", next.statement);
            }
            Class::Ordinary | Class::EnumLabel(_) => {
                self.findings.extend(self.boundary.take());
                self.open.push(next.statement);
            }
            Class::ForeignKeys => {
                self.alone("PRAGMA foreign_keys does nothing inside a transaction", next.statement);
            }
            Class::Alone(reason) => self.alone(reason, next.statement),
            Class::TableLock => {
                self.flush();
                if next.statement.head().starts_with("lock") {
                    self.findings.push(next.finding(Severity::Warning, table_lock));
                }
            }
            Class::Begin { has_modes } => {
                self.separate(&next);
                self.is_begun = true;
                if *has_modes {
                    self.findings.push(next.finding(Severity::Warning, modes));
                }
            }
            Class::Commit => {
                self.separate(&next);
                self.is_begun = false;
            }
            Class::Rollback => self.findings.push(next.finding(Severity::Error, rollback)),
            Class::Prepare => self.findings.push(next.finding(Severity::Error, prepare)),
        }
    }

    fn flush(&mut self) {
        if !self.open.is_empty() {
            let statements = exact(&mut self.open);
            self.units.push(Unit { alone: None, statements });
        }
    }

    fn alone(&mut self, reason: &str, statement: Statement) {
        self.flush();
        self.units.push(Unit { alone: Some(Arc::from(reason)), statements: vec![statement] });
    }

    /// Begins what is sent under a table's lock, or ends it.
    fn lock(&mut self, statement: Statement) {
        self.flush();
        match self.locked.take() {
            None => self.locked = Some(vec![statement]),
            Some(mut statements) => {
                statements.push(statement);
                self.units.push(Unit {
                    alone: Some(Arc::from("nobody else writes the table from here to `unlock tables`")),
                    statements,
                });
            }
        }
    }

    /// Ends the open unit where the file says so.
    fn separate(&mut self, next: &Classed<'_>) {
        let matters = self.dialect != Dialect::MySql && !self.settings.no_transaction;
        if matters && !self.open.is_empty() {
            self.boundary = Some(next.finding(Severity::Note, several));
        }
        self.flush();
    }
}

fn contradiction(range: Range<usize>) -> Fault {
    Fault {
        code: "contradiction",
        message: "foreign keys are to stay on, and the file changes them".to_owned(),
        range,
        label: "this changes them",
        help: "delete this statement, or ask for `foreign-keys: as-written`".to_owned(),
    }
}

fn several(range: Range<usize>) -> Fault {
    Fault {
        code: "several-transactions",
        message: "the file is more than one transaction".to_owned(),
        range,
        label: "what comes before stays, even if what follows fails",
        help: "delete this statement to have one transaction for all".to_owned(),
    }
}

fn table_lock(range: Range<usize>) -> Fault {
    Fault {
        code: "table-lock",
        message: "LOCK TABLES is left out".to_owned(),
        range,
        label: "not run, and neither is its UNLOCK TABLES",
        help: "under such a lock nothing could be recorded; delete it, or stop the writers while this runs"
            .to_owned(),
    }
}

fn modes(range: Range<usize>) -> Fault {
    Fault {
        code: "transaction-modes",
        message: "the modes of this transaction are not kept".to_owned(),
        range,
        label: "runs as an ordinary transaction",
        help: "migrations hold a lock, so that no other migration runs beside them; delete the modes"
            .to_owned(),
    }
}

fn rollback(range: Range<usize>) -> Fault {
    Fault {
        code: "rollback-in-migration",
        message: "ROLLBACK in a migration".to_owned(),
        range,
        label: "undoes what the migration did",
        help: "delete it; ROLLBACK TO a savepoint is fine".to_owned(),
    }
}

fn prepare(range: Range<usize>) -> Fault {
    Fault {
        code: "prepared-transaction",
        message: "PREPARE TRANSACTION in a migration".to_owned(),
        range,
        label: "leaves the transaction without an outcome",
        help: "write COMMIT, or nothing at all".to_owned(),
    }
}

#[cfg(test)]
mod tests;
