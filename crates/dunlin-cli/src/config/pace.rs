//! How data is moved: `[pace]` for all stores, `[stores.NAME.pace]` over it for one.

use std::num::NonZeroU32;
use std::time::Duration;

use dunlin_core::node::{Key, Table, Value};
use dunlin_core::{Diagnostic, Node, Pace, StoreUrl};

use super::merge;
use super::read::Reader;
use super::url;
use crate::kind::Kind;

const KEYS: [&str; 8] =
    ["target", "jobs", "rate", "max_lag", "max_latency", "max_waiting", "max_running", "replicas"];

/// The settings that mean something to one kind of store only.
const OF_KINDS: [(&str, &str); 4] = [
    ("max_latency", "Redis"),
    ("max_waiting", "PostgreSQL"),
    ("max_running", "MySQL"),
    ("replicas", "MySQL"),
];

/// The word that switches a limit off.
const OFF: &str = "off";

impl Reader<'_> {
    /// Reads the pace of a store: what holds for all, and over it what holds for this one.
    pub(super) fn pace(&mut self, all: Option<&Node>, own: Option<&Node>, kind: Option<&Kind>) -> Pace {
        if let (Some(own), Some(kind)) = (own, kind) {
            self.check_kind(own, kind);
        }
        let node = match (all, own) {
            (Some(all), Some(own)) => merge::merge(all, own),
            (all, own) => match all.or(own) {
                Some(node) => node.clone(),
                None => return Pace::default(),
            },
        };
        let Some(table) = self.values.keep(node.table()) else { return Pace::default() };
        self.read_pace(table)
    }

    fn read_pace(&mut self, mut table: Table<'_>) -> Pace {
        let mut pace = Pace::default();
        let least = Duration::from_millis(1);
        if let Some(node) = table.take("target") {
            pace.target = self.values.duration(node, least);
        }
        if let Some(jobs) = table.take("jobs").and_then(|node| self.number(node)) {
            pace.jobs = jobs;
        }
        pace.rate = table.take("rate").and_then(|node| self.number(node));
        for (name, limit) in [("max_lag", &mut pace.max_lag), ("max_latency", &mut pace.max_latency)] {
            if let Some(node) = table.take(name) {
                *limit = if is_off(node) { None } else { self.values.duration(node, least) };
            }
        }
        for (name, limit) in [("max_waiting", &mut pace.max_waiting), ("max_running", &mut pace.max_running)]
        {
            if let Some(node) = table.take(name) {
                *limit = if is_off(node) { None } else { self.number(node) };
            }
        }
        if let Some(node) = table.take("replicas") {
            pace.replicas = self.replicas(node);
        }
        self.values.faults.extend(table.finish(&KEYS));
        pace
    }

    fn number(&mut self, node: &Node) -> Option<NonZeroU32> {
        let number = match node.value {
            Value::Integer(number) => u32::try_from(number).ok().and_then(NonZeroU32::new),
            _ => None,
        };
        if number.is_none() {
            let fault = Diagnostic::error("wrong-value", "a whole number from 1 on is expected here");
            self.values.faults.push(fault.at(node.span, "not such a number"));
        }
        number
    }

    fn replicas(&mut self, node: &Node) -> Vec<StoreUrl> {
        let Some(items) = self.values.keep(node.items()) else { return Vec::new() };
        let mut replicas = Vec::new();
        for item in items {
            let Some(text) = self.values.text(item) else { continue };
            let read =
                url::parse(&text, "the url of a replica").map_err(|fault| fault.at(item.span, "this url"));
            replicas.extend(self.values.keep(read).map(|location| location.url));
        }
        replicas
    }

    fn check_kind(&mut self, own: &Node, kind: &Kind) {
        let Value::Table(entries) = &own.value else { return };
        for (Key { name, span }, _) in entries {
            let owner = OF_KINDS.iter().find(|(known, _)| known == name).map(|(_, owner)| *owner);
            if let Some(owner) = owner.filter(|owner| *owner != kind.name) {
                let message = format!("`{name}` is for {owner}, and this store is {}", kind.name);
                let fault = Diagnostic::error("setting-unsupported", message);
                self.values.faults.push(fault.at(*span, "has no effect here").help("remove it"));
            }
        }
    }
}

fn is_off(node: &Node) -> bool {
    node.text().is_ok_and(|text| text == OFF)
}
