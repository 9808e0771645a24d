//! The order in which migrations run: by version, but what one needs comes before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dunlin_core::{Diagnostic, Migration, Version};

use super::Migrations;

/// All migrations in the order in which they run: by version, but what one needs comes before it.
pub fn in_order(migrations: &Migrations) -> Result<Vec<&Arc<dyn Migration>>, Vec<Diagnostic>> {
    let mut order = Ordering {
        migrations,
        done: BTreeSet::new(),
        path: Vec::new(),
        list: Vec::new(),
        faults: Vec::new(),
    };
    for version in migrations.keys() {
        order.visit(version);
    }
    if order.faults.is_empty() { Ok(order.list) } else { Err(order.faults) }
}

struct Ordering<'a> {
    migrations: &'a Migrations,
    done: BTreeSet<&'a Version>,
    path: Vec<&'a Version>,
    list: Vec<&'a Arc<dyn Migration>>,
    faults: Vec<Diagnostic>,
}

impl<'a> Ordering<'a> {
    fn visit(&mut self, version: &'a Version) {
        if self.done.contains(version) {
            return;
        }
        if self.path.contains(&version) {
            let circle = self.path.iter().skip_while(|known| **known != version).chain([&version]);
            let circle: Vec<String> = circle.map(ToString::to_string).collect();
            let message = format!("migrations need each other: {}", circle.join(" needs "));
            let help = "take one of these out of the `needs` of another";
            self.faults.push(Diagnostic::error("needs-circle", message).help(help));
            return;
        }
        let Some(migration) = self.migrations.get(version) else { return };
        self.path.push(version);
        for needed in migration.needs() {
            if self.migrations.contains_key(needed) {
                self.visit(needed);
            } else {
                let message = format!("{} needs {needed}, which does not exist", migration.id());
                self.faults.push(
                    Diagnostic::error("needs-missing", message)
                        .help("bring that migration in, or correct `needs`"),
                );
            }
        }
        self.path.pop();
        self.done.insert(version);
        self.list.push(migration);
    }
}

/// The place of every version in the order in which migrations run.
#[derive(Debug)]
pub(crate) struct Places<'a>(
    /// Its own place, and the last one of all versions up to it.
    BTreeMap<&'a Version, (usize, usize)>,
);

impl Places<'_> {
    /// The place of a version. One without a file comes right after all lower ones.
    pub(crate) fn of<'v>(&self, version: &'v Version) -> (usize, Option<&'v Version>) {
        match self.0.get(version) {
            Some((place, _)) => (*place, None),
            None => (
                self.0.range::<Version, _>(..version).next_back().map_or(0, |(_, (_, last))| *last),
                Some(version),
            ),
        }
    }
}

/// The places of all migrations; by version alone where they cannot be ordered.
pub(crate) fn places(migrations: &Migrations) -> Places<'_> {
    let versions: Vec<&Version> = match in_order(migrations) {
        Ok(order) => order.into_iter().map(|migration| &migration.id().version).collect(),
        Err(_) => migrations.keys().collect(),
    };
    let mut places: BTreeMap<&Version, (usize, usize)> =
        versions.into_iter().enumerate().map(|(index, version)| (version, (index + 1, 0))).collect();
    let mut so_far = 0;
    for (place, last) in places.values_mut() {
        so_far = so_far.max(*place);
        *last = so_far;
    }
    Places(places)
}
