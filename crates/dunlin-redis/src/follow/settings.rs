//! Whether the servers say what is written: `notify-keyspace-events`, which is off unless somebody turns it on.

use dunlin_core::{Error, ErrorKind, Result};
use redis::{Value, cmd};

use super::Shape;
use crate::address::Place;
use crate::connect::{shown, text};
use crate::error;
use crate::moves::Form;
use crate::moves::Look;
use crate::store::Store;
use crate::survey::Survey;

const SETTING: &str = "notify-keyspace-events";
/// All classes of writes that `A` stands for, but what expires and is evicted.
const ALL: &str = "g$lshzt";

/// The letters that are needed: by key, what all types have in common, and the types that are followed.
fn needed(shapes: &[Shape]) -> String {
    let classes = shapes.iter().map(|shape| match &shape.look {
        Look::InStep { form: Form::Field { .. }, .. } => "gh",
        Look::InStep { form: Form::Encoding(_), .. } => "g$h",
        _ => ALL,
    });
    let all: String = classes.collect();
    let wanted: String = ALL.chars().filter(|class| all.contains(*class)).collect();
    format!("K{wanted}")
}

/// What a server is set to once the missing letters are there; nothing where none is missing.
fn completed(set: &str, needed: &str) -> Option<String> {
    let is_there = |letter: &char| set.contains(*letter) || set.contains('A') && ALL.contains(*letter);
    let missing: String = needed.chars().filter(|letter| !is_there(letter)).collect();
    (!missing.is_empty()).then(|| format!("{set}{missing}"))
}

/// Refuses servers that do not say enough, or has them say it where that is allowed. What a person should know.
pub(super) async fn check(
    store: &Store,
    survey: &Survey,
    shapes: &[Shape],
    configures: bool,
) -> Result<Vec<String>> {
    let needed = needed(shapes);
    let (mut notes, mut lacking) = (Vec::new(), Vec::new());
    for (place, _) in survey.servers.values() {
        let Some(set) = read(store, place).await? else {
            notes.push(format!(
                "{} does not tell its settings: it must have {SETTING} {needed}, or nothing is heard of what is written",
                shown(place)
            ));
            continue;
        };
        let Some(completed) = completed(&set, &needed) else { continue };
        if configures {
            write(store, place, &completed).await?;
            notes.push(format!(
                "set {SETTING} from \"{set}\" to \"{completed}\" on {}; it stays",
                shown(place)
            ));
        } else {
            lacking.push((shown(place), completed));
        }
    }
    if lacking.is_empty() { Ok(notes) } else { Err(refusal(&lacking)) }
}

fn refusal(lacking: &[(String, String)]) -> Error {
    let names: Vec<&str> = lacking.iter().map(|(name, _)| name.as_str()).collect();
    let send = if names.len() == 1 { "sends" } else { "send" };
    let message =
        format!("{} {send} too few notifications for a follower to hear of every write", names.join(", "));
    let mut commands: Vec<String> =
        lacking.iter().map(|(_, completed)| format!("`CONFIG SET {SETTING} {completed}`")).collect();
    commands.dedup();
    let on = if names.len() > 1 { "on each of them, " } else { "" };
    let help = format!(
        "{on}{} turns it on, or `--configure` does that; it costs a little work with every write, and `CONFIG REWRITE` keeps it",
        commands.join(" or ")
    );
    Error::new(ErrorKind::Unsupported, message).help(help).with("code", "no-notifications")
}

/// What a server is set to; nothing where it does not say.
async fn read(store: &Store, place: &Place) -> Result<Option<String>> {
    let reply = store.net.call_at(place, cmd("CONFIG").arg("GET").arg(SETTING)).await?;
    match reply {
        Ok(Value::Array(pair)) => Ok(pair.get(1).and_then(text)),
        Ok(_) => Ok(None),
        // Managed servers have no CONFIG, and logins may lack it.
        Err(failure) if failure.kind() != redis::ErrorKind::Io => Ok(None),
        Err(failure) => {
            Err(error::own(&failure, "cannot ask how a server is set", &store.target.url).temporary())
        }
    }
}

async fn write(store: &Store, place: &Place, value: &str) -> Result<()> {
    let reply = store.net.call_at(place, cmd("CONFIG").arg("SET").arg(SETTING).arg(value)).await?;
    reply.map(drop).map_err(|failure| error::own(&failure, "cannot set a server up", &store.target.url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_added() {
        assert_eq!(completed("", "Kgh"), Some("Kgh".to_owned()));
        assert_eq!(completed("AK", "Kg$lshzt"), None);
        assert_eq!(completed("AE", "Kgh"), Some("AEK".to_owned()));
        assert_eq!(completed("Egx", "Kg$h"), Some("EgxK$h".to_owned()));
        assert_eq!(completed("hKg", "Kgh"), None);
    }
}
