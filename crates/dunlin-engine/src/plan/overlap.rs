//! Migrations that touch the same thing. While one waits for its contract, old and new shape live side by side, kept in
//! step by it: nobody else may change either.

use std::sync::Arc;

use dunlin_core::{Migration, MigrationId, State, Step, StoreName};

use super::Histories;
use crate::lane::{self, Rank};

/// What migrations that wait for their contract have a hand on.
#[derive(Default)]
pub(super) struct Open(Vec<Touched>);

struct Touched {
    id: MigrationId,
    store: StoreName,
    path: String,
    /// Whether it is read there, and nothing more.
    only_read: bool,
}

impl Open {
    /// Takes note of a migration, unless it is done once what is planned has run.
    pub(super) fn add(&mut self, migration: &Arc<dyn Migration>, histories: &Histories, contracts: bool) {
        let waits = |store: &&StoreName| {
            let record =
                histories.get(*store).map(|history| history.live(&migration.id().version).map(|r| r.state));
            match record {
                // Who cannot be asked has not answered.
                None => true,
                Some(state) => !contracts && state != Some(State::Done),
            }
        };
        if !migration.steps().iter().any(|step| Rank::of(step) == Rank::REMOVAL && waits(&&step.store)) {
            return;
        }
        let touched = |step: &Step| {
            let (id, store) = (migration.id().clone(), step.store.clone());
            let of_path =
                move |(path, only_read)| Touched { id: id.clone(), store: store.clone(), path, only_read };
            paths(step).into_iter().map(of_path)
        };
        self.0.extend(migration.steps().iter().flat_map(touched));
    }

    /// Takes a migration out again.
    pub(super) fn forget(&mut self, id: &MigrationId) {
        self.0.retain(|touched| touched.id != *id);
    }

    /// The first open migration that one which has not begun would touch, and where.
    pub(super) fn in_the_way(&self, migration: &dyn Migration) -> Option<(MigrationId, String)> {
        if self.0.is_empty() {
            return None;
        }
        for store in lane::stores(migration) {
            let of_store = self.0.iter().filter(|touched| touched.store == *store);
            let steps = lane::steps(migration, store);
            let paths: Vec<(String, bool)> = steps.into_iter().flat_map(paths).collect();
            for touched in of_store {
                let collides = |(path, only_read): &&(String, bool)| {
                    !(*only_read && touched.only_read) && overlaps(path, &touched.path)
                };
                if let Some((path, _)) = paths.iter().find(collides) {
                    let narrower = if path.len() > touched.path.len() { path } else { &touched.path };
                    return Some((touched.id.clone(), narrower.clone()));
                }
            }
        }
        None
    }
}

/// What a step has to do with, and whether it only reads that.
fn paths(step: &Step) -> Vec<(String, bool)> {
    let touched = step.op.touches().into_iter().map(|path| (path, false));
    touched.chain(step.op.reads().into_iter().map(|path| (path, true))).collect()
}

/// Whether two paths are the same, or one leads into the other.
fn overlaps(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_overlaps_with_its_whole_and_not_with_its_neighbour() {
        assert!(overlaps("users.email", "users.email"));
        assert!(overlaps("users", "users.email") && overlaps("users.email", "users"));
        assert!(!overlaps("users.email", "users.email_address") && !overlaps("users.a", "users.b"));
    }
}
