//! What speaks against a plan, asked of its stores before anything of it runs: also against contracts that come later.

use std::collections::BTreeSet;

use dunlin_core::{Ahead, Result, StoreName, Version};

use crate::lane;
use crate::plan::{Direction, Item, Plan};
use crate::run::Stores;

/// Refuses a plan that would be refused on its way, as far as its stores can tell now. What a reader should know
/// besides, by store. Reads only.
pub async fn ask(stores: &Stores, plan: &Plan) -> Result<Vec<(StoreName, String)>> {
    let mut told = Vec::new();
    for (name, store) in stores {
        let items: Vec<&Item> = plan.items.iter().filter(|item| item.store == *name).collect();
        let now: Vec<Ahead<'_>> = items.iter().filter_map(|item| ahead(item)).collect();
        if now.is_empty() {
            continue;
        }
        let later = later(&items, name);
        let found = store.foresee(&now, &later).await.map_err(|error| error.with("store", name))?;
        told.extend(found.into_iter().map(|words| (name.clone(), words)));
    }
    Ok(told)
}

fn ahead(item: &Item) -> Option<Ahead<'_>> {
    Some(Ahead {
        op: item.op.as_deref()?,
        version: &item.migration.id().version,
        index: item.index,
        is_undo: item.direction == Direction::Down,
        is_begun: item.is_begun,
    })
}

/// The steps that the migrations of a plan still have once it has run.
fn later<'a>(items: &[&'a Item], store: &StoreName) -> Vec<Ahead<'a>> {
    let mut seen = BTreeSet::<&Version>::new();
    let mut later = Vec::new();
    // The last step of each is what comes first from behind.
    for item in items.iter().rev().filter(|item| item.direction == Direction::Up) {
        let version = &item.migration.id().version;
        if !seen.insert(version) {
            continue;
        }
        let rest = lane::steps(&*item.migration, store).into_iter().enumerate().skip(item.index + 1);
        let rest = rest.map(|(index, step)| Ahead {
            op: &*step.op,
            version,
            index,
            is_undo: false,
            is_begun: false,
        });
        later.splice(0..0, rest);
    }
    later
}
