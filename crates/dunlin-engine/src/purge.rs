//! Removing for good what contracts set aside, and what a way back can no longer bring back because of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dunlin_core::{
    Archive, Error, ErrorKind, MigrationId, Phase, Result, Session, State, StoreName, Timestamp, Version,
};

use crate::event::{Event, Report, StepLabel};
use crate::lock;
use crate::plan::{Direction, Plan};
use crate::run::{Context, Histories, Stores};

/// How long a purge waits before it asks again for what somebody else has in use.
const PAUSE: Duration = Duration::from_millis(100);

/// Which archives are meant.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Those of one migration; of all where none is named.
    pub version: Option<Version>,
    /// Those whose contract ended before this moment.
    pub before: Option<Timestamp>,
}

/// An archive, and the migration it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Where.
    pub store: StoreName,
    /// The migration, which is done.
    pub id: MigrationId,
    /// When its contract ended in that store.
    pub finished: Option<Timestamp>,
    /// What was set aside.
    pub archive: Archive,
}

impl Choice {
    /// Those younger than this are left alone.
    pub fn older_than(&mut self, age: Duration) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let moment = now.saturating_sub(age).as_millis();
        self.before = Some(Timestamp(i64::try_from(moment).unwrap_or(i64::MAX)));
    }

    fn holds(&self, aside: &Aside) -> bool {
        let is_old = |before: Timestamp| aside.finished.is_some_and(|finished| finished <= before);
        self.version.as_ref().is_none_or(|version| *version == aside.id.version)
            && self.before.is_none_or(is_old)
    }
}

/// What there is in these stores, of migrations that are done in every store whose history is known.
pub async fn find(stores: &Stores, histories: &Histories, choice: &Choice) -> Result<Vec<Aside>> {
    let mut found = Vec::new();
    for (name, store) in stores {
        let archives = store.archives().await.map_err(|error| error.with("store", name))?;
        let asides = archives.into_iter().filter_map(|archive| aside(name, archive, histories));
        found.extend(asides.filter(|aside| choice.holds(aside)));
    }
    Ok(found)
}

fn aside(name: &StoreName, archive: Archive, histories: &Histories) -> Option<Aside> {
    let mut records = histories.values().filter_map(|history| history.live(&archive.version));
    if records.any(|record| record.state != State::Done) {
        return None;
    }
    let record = histories.get(name)?.live(&archive.version)?;
    Some(Aside { store: name.clone(), id: record.id.clone(), finished: record.finished, archive })
}

/// What a purge did.
#[derive(Debug, Default)]
pub struct Purged {
    /// What is gone.
    pub gone: Vec<Aside>,
    /// What is still there because something failed or the run was stopped.
    pub left: Vec<Aside>,
}

/// Removes what was found, under the locks. What came into use since, another run removed, or is no longer done, is
/// passed over.
pub async fn purge(
    context: &Context,
    wanted: Vec<Aside>,
    histories: &Histories,
    report: Report<'_>,
) -> (Purged, Result<()>) {
    let mut purged = Purged::default();
    let named = |name: &StoreName| wanted.iter().any(|aside| aside.store == *name);
    let stores: Stores = context.stores.clone().into_iter().filter(|(name, _)| named(name)).collect();
    let me = lock::me(&context.author.who, &context.author.run);
    let mut sessions = match lock::take(&stores, &me, context.lock_wait, &context.cancel, report).await {
        Ok(sessions) => sessions,
        Err(error) => return (Purged { left: wanted, ..purged }, Err(error)),
    };
    let mut result = Ok(());
    let mut histories = histories.clone();
    for (name, session) in &mut sessions {
        match session.history().await {
            Ok(history) => drop(histories.insert(name.clone(), history)),
            Err(error) => result = result.and(Err(error.with("store", name))),
        }
    }
    for wanted in wanted {
        let Some(session) = sessions.get_mut(&wanted.store).filter(|_| result.is_ok()) else {
            purged.left.push(wanted);
            continue;
        };
        // Somebody may have gone back while the locks were waited for.
        let Some(aside) = aside(&wanted.store, wanted.archive.clone(), &histories) else { continue };
        if context.cancel.is_cancelled() {
            purged.left.push(aside);
            continue;
        }
        match one(context, session, &aside, report).await {
            Ok(()) => purged.gone.push(aside),
            Err(error) => {
                result = Err(error.with("store", &aside.store).with("migration", &aside.id));
                purged.left.push(aside);
            }
        }
    }
    let released = lock::release(sessions).await;
    (purged, result.and(released))
}

/// Whatever is in use for a moment is asked for again.
async fn one(
    context: &Context,
    session: &mut Box<dyn Session>,
    aside: &Aside,
    report: Report<'_>,
) -> Result<()> {
    let summary = format!("purge {}", aside.archive.what);
    let step = StepLabel {
        id: &aside.id,
        store: &aside.store,
        phase: Phase::Contract,
        direction: Direction::Up,
        summary: &summary,
        op: None,
        is_resumed: false,
    };
    let mut tries = 1;
    loop {
        let error = match session.purge(&aside.archive).await {
            Err(error) if error.temporary && tries < context.tries => error,
            purged => return purged,
        };
        let delay = lock::jitter(PAUSE * tries);
        report(Event::Retrying { step, error: &error, delay });
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = context.cancel.cancelled() => return Err(error),
        }
        tries += 1;
    }
}

/// Refuses a way back that needs what is gone, before any of it runs.
pub async fn possible(stores: &Stores, histories: &Histories, plan: &Plan) -> Result<()> {
    for item in plan.items.iter().filter(|item| item.direction == Direction::Down && !item.is_begun) {
        let version = &item.migration.id().version;
        let record = histories.get(&item.store).and_then(|history| history.live(version));
        // What is half done may have brought it back, or not have set it aside yet.
        let is_complete = record.is_some_and(|record| item.index < record.steps.len());
        let (Some(op), Some(store), true) = (&item.op, stores.get(&item.store), is_complete) else {
            continue;
        };
        let gone = store
            .gone(&**op, (version, item.index))
            .await
            .map_err(|error| error.with("store", &item.store))?;
        if let Some(what) = gone.first() {
            let lines = store.journal(Some(version), u32::MAX).await;
            let lines = lines.map_err(|error| error.with("store", &item.store))?;
            let purge = lines.iter().rev().find(|event| Archive::is_purge_of(event, what));
            let who = purge.map(|event| (Arc::clone(&event.author.who), Arc::clone(&event.author.host)));
            return Err(no_longer(item.migration.id(), &item.store, what, who));
        }
    }
    Ok(())
}

fn no_longer(id: &MigrationId, store: &StoreName, what: &str, who: Option<(Arc<str>, Arc<str>)>) -> Error {
    let how = match who {
        Some((who, host)) => format!("was purged by {who}@{host}"),
        None => "is no longer there, and the journal does not say who removed it".to_owned(),
    };
    let message = format!("there is no way back from {id} in `{store}`: the old {what} {how}");
    let help = format!(
        "nothing was changed. Go forward with a new migration, or bring the old shape back from a backup and record that: \
         `dunlin mark {} undone --reason …`; `dunlin history {}` has the purge",
        id.version, id.version
    );
    Error::new(ErrorKind::Unsupported, message).help(help).with("code", "purged")
}
