//! Where commands run: beside the history, in another slot of a cluster, or outside of any script.

use std::collections::BTreeMap;

use dunlin_core::{Error, ErrorKind, Result};
use redis::{Value, cmd};

use crate::op::{Command, Op};
use crate::session::Session;
use crate::store::Store;
use crate::{command, error, quote, slot};

/// How many arguments a script can hand to a command: Lua's limit for `unpack` is 8,000.
const SCRIPT_ARGS: usize = 7000;

/// Where a unit runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the script that writes the history.
    Here,
    /// In a script of another slot.
    Slot { slot: u16, keys: Vec<Vec<u8>> },
    /// By itself, where this slot lives: servers take the command from clients only.
    Apart(u16),
    /// By itself, on every primary.
    Everywhere,
}

/// Where the commands run that begin at an index, remembered from when they were announced.
pub(crate) async fn of_unit(session: &mut Session, op: &Op, at: usize) -> Result<Place> {
    let commands = &op.commands[op.unit(at)];
    if let Some((planned, place)) = &session.planned
        && planned == commands
    {
        return Ok(place.clone());
    }
    let place = of(&session.store, commands).await?;
    if session.store.net.is_cluster() {
        session.planned = Some((commands.to_vec(), place.clone()));
    }
    Ok(place)
}

/// Where a unit runs.
pub(crate) async fn of(store: &Store, unit: &[Command]) -> Result<Place> {
    let here = store.keys.slot();
    let is_apart = |command: &Command| command::is_apart(&command.args) || command.args.len() > SCRIPT_ARGS;
    let is_single = unit.len() == 1;
    if !store.net.is_cluster() {
        return Ok(if is_single && is_apart(&unit[0]) { Place::Apart(here) } else { Place::Here });
    }
    if let Some(command) = unit.iter().find(|command| command::is_everywhere(&command.args)) {
        if command.name().starts_with("FLUSH") {
            let error =
                Error::new(ErrorKind::Unsupported, "in a cluster this would delete dunlin's history too");
            return Err(error.at(command.span).with("statement", command.text()));
        }
        return Ok(Place::Everywhere);
    }
    let mut keys = Vec::new();
    for command in unit {
        keys.extend(keys_of(store, command).await?.into_iter().map(|key| (key, command)));
    }
    let mut by_slot: BTreeMap<u16, (&[u8], &Command)> = BTreeMap::new();
    for (key, command) in &keys {
        by_slot.entry(slot::of(key)).or_insert((key, command));
    }
    let owner = match by_slot.iter().collect::<Vec<_>>().as_slice() {
        [] => here,
        [(slot, _)] => **slot,
        [(_, (one, _)), (_, (other, command)), ..] => return Err(crossing(one, other, command)),
    };
    if is_single && is_apart(&unit[0]) {
        Ok(Place::Apart(owner))
    } else if owner == here {
        Ok(Place::Here)
    } else {
        Ok(Place::Slot { slot: owner, keys: keys.into_iter().map(|(key, _)| key).collect() })
    }
}

fn crossing(one: &[u8], other: &[u8], command: &Command) -> Error {
    let message =
        format!("{} and {} live in different slots of the cluster", quote::quote(one), quote::quote(other));
    Error::new(ErrorKind::Unsupported, message)
        .at(command.span)
        .with("statement", command.text())
        .help("give keys that are used together the same hash tag, as in {user:1}:a and {user:1}:b, or move the data with a step made for it")
}

/// The keys of a command, as the server sees them: it alone knows the commands of its modules.
async fn keys_of(store: &Store, command: &Command) -> Result<Vec<Vec<u8>>> {
    let mut request = cmd("COMMAND");
    request.arg("GETKEYS").arg(&command.args);
    let reply = store.net.ask(store.keys.slot(), &request).await?;
    match reply {
        Ok(Value::Array(keys)) => Ok(keys
            .into_iter()
            .filter_map(|key| if let Value::BulkString(bytes) = key { Some(bytes) } else { None })
            .collect()),
        Ok(_) => Ok(Vec::new()),
        Err(failure) if error::sentence(&failure).contains("no key arguments") => Ok(Vec::new()),
        Err(failure) => Err(error::of_command(&failure, &command.text(), command.span, &store.target.url)),
    }
}
