//! A lane: one migration in one store. Its steps run in a fixed order, so a record's list of complete steps is a
//! position in it.

use std::collections::BTreeSet;

use dunlin_core::{Checksum, Cursor, Migration, Phase, Record, State, Step, StoreName, StoredFile};

/// The stores a migration touches.
pub fn stores(migration: &dyn Migration) -> BTreeSet<&StoreName> {
    migration.steps().iter().map(|step| &step.store).collect()
}

/// The steps of a migration in one store, in the order in which they run there.
pub fn steps<'a>(migration: &'a dyn Migration, store: &StoreName) -> Vec<&'a Step> {
    let mut steps: Vec<&Step> = migration.steps().iter().filter(|step| step.store == *store).collect();
    steps.sort_by_key(|step| Rank::of(step));
    steps
}

/// What the stores go through together: none begins a rank before every store has come to the end of the one before.
/// Within contract, what only prepares comes before what removes, and the proof between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    phase: Phase,
    removes: bool,
}

impl Rank {
    /// The first that takes anything away.
    pub const REMOVAL: Self = Self { phase: Phase::Contract, removes: true };

    /// All of them, in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        let of = |phase: Phase| Self { phase, removes: false };
        Phase::ALL.into_iter().map(of).chain([Self::REMOVAL])
    }

    /// The one of a step.
    pub fn of(step: &Step) -> Self {
        Self { phase: step.phase, removes: step.phase == Phase::Contract && !step.op.prepares() }
    }

    /// Its phase.
    pub fn phase(self) -> Phase {
        self.phase
    }
}

/// The sums of those steps.
pub fn sums(steps: &[&Step]) -> Vec<Checksum> {
    steps.iter().map(|step| step.checksum()).collect()
}

/// The sum over the text of a migration's files for one store.
pub fn text_sum(migration: &dyn Migration, store: &StoreName) -> Checksum {
    sum_of(&migration.files(store))
}

fn sum_of(files: &[StoredFile]) -> Checksum {
    Checksum::of(files.iter().map(|file| Checksum::of_text(&file.text).to_string()))
}

/// Whether a migration's files say, letter by letter, what they said when the record was written. Of one without files
/// nobody knows.
pub fn is_unchanged(record: &Record, migration: &dyn Migration, store: &StoreName) -> bool {
    let files = migration.files(store);
    !files.is_empty() && sum_of(&files) == record.text
}

/// Where a lane stands when its first `position` steps are complete.
pub fn state_at(steps: &[&Step], position: usize) -> State {
    match steps.get(position) {
        None => State::Done,
        Some(step) if step.phase == Phase::Contract => State::Expanded,
        Some(_) => State::Applying,
    }
}

/// The same position, without a statement that may be under way. What the backend noted for the statements that ran
/// still holds for those to come.
pub(crate) fn closed(cursor: Cursor) -> Cursor {
    let before = cursor.before.filter(|_| cursor.at > 0);
    Cursor { open: false, before, ..cursor }
}

/// Whether the complete steps of a record are the first ones of this lane: nothing that ran was edited since.
pub fn is_prefix(record: &Record, sums: &[Checksum]) -> bool {
    sums.starts_with(&record.steps)
}
