//! What there is to follow of a migration, where it stands with regard to that, and who follows already. Reads only.

use std::collections::BTreeMap;

use dunlin_core::{
    AnyOp, AnyStore, Checksum, Error, History, Migration, Phase, Result, Stand, State, Step, StoreName,
    Version, Window,
};
use futures_util::future::try_join_all;

use crate::lane::{self, Rank};
use crate::run::{Histories, Stores};

/// What there is to follow of a migration in one store.
#[derive(Debug, Clone)]
pub struct Part {
    pub(super) ops: Vec<AnyOp>,
    pub(super) window: Window,
    pub(super) sums: Vec<Checksum>,
}

impl Part {
    /// What there is, if anything.
    pub fn of(migration: &dyn Migration, store: &StoreName) -> Option<Self> {
        let steps = lane::steps(migration, store);
        let count = |is_it: &dyn Fn(&Step) -> bool| steps.iter().filter(|step| is_it(step)).count();
        let window = Window {
            from: count(&|step| step.phase < Phase::Verify),
            to: count(&|step| Rank::of(step) < Rank::REMOVAL),
        };
        let verify = steps.iter().filter(|step| step.phase == Phase::Verify && step.op.follows());
        let ops: Vec<AnyOp> = verify.map(|step| step.op.clone()).collect();
        // Where nothing is ever removed, `up` ends it: applications of the old shape have gone by then.
        (!ops.is_empty() && window.to < steps.len()).then(|| Self { ops, window, sums: lane::sums(&steps) })
    }
}

/// Where a migration stands with regard to being followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It never ran in any store that has something to follow.
    Pending,
    /// In all of them the old shape is being removed, or gone.
    Contracted,
    /// In all of them the new shape is being taken back.
    TakenBack,
    /// In some of them there are both shapes, or will be.
    Open,
}

/// Where it stands by these histories.
pub fn standing(migration: &dyn Migration, histories: &Histories) -> Standing {
    let stand = |(store, history): (&StoreName, &History)| {
        let part = Part::of(migration, store)?;
        let record = history.record(&migration.id().version);
        Some(match part.window.stand(record) {
            Stand::Before | Stand::Within => Standing::Open,
            Stand::Contracted => Standing::Contracted,
            Stand::Back if record.is_some_and(|record| record.state == State::Undoing) => Standing::TakenBack,
            Stand::Back => Standing::Pending,
        })
    };
    histories.iter().filter_map(stand).max().unwrap_or(Standing::Pending)
}

/// Who follows which migration in which store.
pub type Followers = BTreeMap<(Version, StoreName), dunlin_core::Followed>;

/// Asks all stores who follows, side by side. Reads only.
pub async fn followers(stores: &Stores) -> Result<Followers> {
    let ask = |(name, store): (&StoreName, &AnyStore)| {
        let (name, store) = (name.clone(), store.clone());
        async move {
            let told = store.followed().await.map_err(|error| error.with("store", &name))?;
            Ok::<_, Error>(told.into_iter().map(move |one| ((one.version.clone(), name.clone()), one)))
        }
    };
    Ok(try_join_all(stores.iter().map(ask)).await?.into_iter().flatten().collect())
}
