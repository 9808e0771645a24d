//! What one walk over the keys of a server works with: connections to that server and, where keys cross slots, to others.

use std::collections::BTreeMap;

use dunlin_core::{Result, StoreUrl};
use tokio::sync::Mutex;

use crate::address::Place;
use crate::connect::shown;
use crate::crew::Crew;
use crate::slot;
use crate::wire::Wire;

/// Who owns which slots, as it was when the walk began.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    pub(crate) is_cluster: bool,
    pub(crate) slots: Vec<(u16, u16, Place)>,
    /// Whether fields of hashes have TTLs of their own, from Redis 7.4 on.
    pub(crate) has_field_ttls: bool,
}

impl Map {
    /// The slot of a key; without a cluster all are one.
    pub(crate) fn slot(&self, key: &[u8]) -> u16 {
        if self.is_cluster { slot::of(key) } else { 0 }
    }

    /// Who owns a slot; where nobody does, whoever is asked says so.
    pub(crate) fn owner(&self, slot: u16) -> Place {
        let range = self.slots.iter().find(|(from, to, _)| (*from..=*to).contains(&slot));
        range.or(self.slots.first()).map_or(Place::Hosts(Vec::new()), |(.., place)| place.clone())
    }
}

/// Connections beside the one on which pages are read.
#[derive(Debug)]
pub(crate) struct Hands<'a> {
    crew: &'a Mutex<Crew>,
    pub(crate) map: &'a Map,
    url: StoreUrl,
    wires: BTreeMap<String, (Place, Wire)>,
}

impl<'a> Hands<'a> {
    pub(crate) fn new(crew: &'a Mutex<Crew>, map: &'a Map, url: &StoreUrl) -> Self {
        Self { crew, map, url: url.clone(), wires: BTreeMap::new() }
    }

    /// Where the store is.
    pub(crate) fn url(&self) -> StoreUrl {
        self.url.clone()
    }

    /// The connection to whoever owns a slot.
    pub(crate) async fn at(&mut self, slot: u16) -> Result<&mut Wire> {
        let place = self.map.owner(slot);
        let name = shown(&place);
        if !self.wires.contains_key(&name) {
            let wire = self.crew.lock().await.wire(&place).await?;
            self.wires.insert(name.clone(), (place, wire));
        }
        Ok(&mut self.wires.get_mut(&name).expect("it was just put there").1)
    }

    /// The connection to whoever owns a key's slot.
    pub(crate) async fn of(&mut self, key: &[u8]) -> Result<&mut Wire> {
        self.at(self.map.slot(key)).await
    }

    /// Sends what was gathered for all servers, so that they work side by side.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        for (_, wire) in self.wires.values_mut() {
            wire.flush().await?;
        }
        Ok(())
    }

    /// Gives the connections back.
    pub(crate) async fn rest(self) {
        let mut crew = self.crew.lock().await;
        for (place, wire) in self.wires.into_values() {
            crew.give(&place, wire);
        }
    }
}
