//! Events as JSON lines, for programs.

use std::time::Duration;

use dunlin_core::{Doing, Holder, MigrationId, Pulse, StoreName};
use dunlin_engine::Event;
use dunlin_engine::event::StepLabel;
use dunlin_engine::follow::End;
use dunlin_engine::plan::Direction;
use serde_json::{Value, json};

fn of_step(event: &str, step: StepLabel<'_>) -> Value {
    json!({
        "schema": "dunlin.event/1",
        "event": event,
        "store": step.store.as_str(),
        "version": step.id.version.as_str(),
        "slug": &*step.id.slug,
        "phase": step.phase.word(),
        "direction": direction(step.direction),
        "summary": step.summary,
    })
}

fn of_follower(event: &str, store: &StoreName, id: &MigrationId) -> Value {
    json!({
        "schema": "dunlin.event/1",
        "event": event,
        "store": store.as_str(),
        "version": id.version.as_str(),
        "slug": &*id.slug,
    })
}

fn followed(object: Value, pulse: &Pulse, (heard, mended): (u64, u64)) -> Value {
    let mut object = object;
    object["doing"] = json!(super::trail::word(&pulse.doing));
    object["heard"] = json!(heard);
    object["mended"] = json!(mended);
    object["left"] = json!(pulse.left.iter().map(|left| &left.record).collect::<Vec<_>>());
    object["lag_ms"] = json!(u64::try_from(pulse.lag.as_millis()).unwrap_or(u64::MAX));
    object["notes"] = json!(pulse.notes);
    if let Doing::Pass(seen) = &pulse.doing {
        object["seen"] = json!(seen);
    }
    object
}

/// The word for the end of following.
pub(crate) fn ending(end: &End) -> &'static str {
    match end {
        End::Stopped => "stopped",
        End::Until => "until",
        End::InStep => "in-step",
        End::Contracted => "contracted",
        End::TakenBack => "taken-back",
    }
}

/// The word for a direction.
pub(crate) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

pub(super) fn line(event: &Event<'_>) -> Value {
    let with = |mut object: Value, name: &str, value: Value| {
        object[name] = value;
        object
    };
    let holder = |event: &str, store: &dunlin_core::StoreName, holder: Option<&Holder>| {
        let holder = holder.map(|holder| json!({ "who": &*holder.who, "host": &*holder.host, "pid": holder.pid, "run": &*holder.run.0 }));
        json!({ "schema": "dunlin.event/1", "event": event, "store": store.as_str(), "holder": holder })
    };
    let millis = |time: &Duration| json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    match event {
        Event::Waiting { store, holder: who } => holder("waiting", store, *who),
        Event::TakenOver { store, holder: who } => holder("taken-over", store, Some(who)),
        Event::Started(step) => with(of_step("started", *step), "resumed", json!(step.is_resumed)),
        Event::Advanced { step, changed, seen } => {
            with(with(of_step("advanced", *step), "rows", json!(changed)), "seen", json!(seen))
        }
        Event::Throttled { step, reason } => with(of_step("throttled", *step), "reason", json!(reason)),
        Event::Noted { step, note } => with(of_step("noted", *step), "note", json!(note)),
        Event::Foreseen { store, note } => {
            json!({ "schema": "dunlin.event/1", "event": "foreseen", "store": store.as_str(), "note": note })
        }
        Event::Irreversible { step, loss } => {
            let object = with(of_step("irreversible", *step), "takes_away", json!(loss.what));
            with(object, "reason", json!(loss.reason))
        }
        Event::Retrying { step, error, delay } => {
            with(with(of_step("retrying", *step), "message", json!(error.message)), "delay_ms", millis(delay))
        }
        Event::Finished { step, changed, compared, elapsed } => {
            let mut object = of_step("finished", *step);
            object["rows"] = json!(changed);
            object["compared"] = json!(compared);
            object["elapsed_ms"] = millis(elapsed);
            object
        }
        Event::Followed { id, store, pulse, heard, mended } => {
            followed(of_follower("followed", store, id), pulse, (*heard, *mended))
        }
        Event::FollowerWaits { id, store, reason } => {
            with(of_follower("follower-waits", store, id), "reason", json!(reason))
        }
        Event::FollowerLost { id, store, error, delay } => {
            let object = with(of_follower("follower-lost", store, id), "message", json!(error.message));
            with(object, "delay_ms", millis(delay))
        }
        Event::Unfollowed { id, store, end } => {
            with(of_follower("unfollowed", store, id), "end", json!(ending(end)))
        }
        _ => json!({ "schema": "dunlin.event/1", "event": "other" }),
    }
}
