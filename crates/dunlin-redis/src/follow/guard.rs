//! What lets a follower write: its field in dunlin's own hash of followers, which also says where it stands.

use std::sync::Arc;
use std::time::Duration;

use dunlin_core::history::{FORMAT, damaged, readable};
use dunlin_core::{Activity, Error, ErrorKind, Follow, Followed, Result, Stand, Timestamp, Version};
use redis::{Value, cmd};
use serde::{Deserialize, Serialize};

use crate::connect::text;
use crate::history::{self, field};
use crate::lock::{unknown_reply, words};
use crate::store::{Store, server_time};
use crate::{error, script};

const DOING: &str = "cannot write where the follower stands";
/// How often somebody who writes the history at the same moment is given way.
const TRIES: u32 = 20;

/// The right to write.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    store: Store,
    pub(super) version: Version,
    life: String,
}

/// A field.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    format: i64,
    version: String,
    life: String,
    who: Arc<str>,
    host: Arc<str>,
    run: Arc<str>,
    activity: String,
    #[serde(default)]
    at: f64,
    lag: f64,
    heard: f64,
    mended: f64,
}

impl Guard {
    /// Opens it where the record is within the window.
    pub(super) async fn open(store: &Store, what: &Follow<'_>) -> Result<Option<Self>> {
        let version = &what.id.version;
        let author = what.author;
        let entry = Entry {
            format: i64::from(FORMAT),
            version: version.as_str().to_owned(),
            // Another one each time: who knew an earlier life of the field does not know this one.
            life: dunlin_core::Checksum::of([&*author.run.0, &now_text()]).to_string(),
            who: author.who.clone(),
            host: author.host.clone(),
            run: author.run.0.clone(),
            activity: Activity::Pass.word().to_owned(),
            at: 0.0,
            lag: 0.0,
            heard: 0.0,
            mended: 0.0,
        };
        let entry = serde_json::to_string(&entry).expect("a struct of texts and numbers");
        for tries in 1..=TRIES {
            let Some(found) = record(store, version).await? else { return Ok(None) };
            if what.window.stand(Some(&history::record(&found)?)) != Stand::Within {
                return Ok(None);
            }
            let reply = run(store, version, &["open", "", &found, &entry]).await?;
            match reply.first().map(String::as_str) {
                Some("ok") => {
                    let life = reply.get(1).cloned().unwrap_or_default();
                    return Ok(Some(Self { store: store.clone(), version: version.clone(), life }));
                }
                _ => tokio::time::sleep(Duration::from_millis(u64::from(10 * tries))).await,
            }
        }
        let message = "the history is written all the while, so nobody can begin to follow just now";
        Err(Error::new(ErrorKind::Connect, message).temporary())
    }

    /// What connections of the follower are called, behind what all of dunlin's are.
    pub(crate) fn name(version: &Version) -> String {
        format!("f{}", field(version))
    }

    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    /// Whether it still is.
    pub(crate) async fn is_open(&self) -> Result<bool> {
        let reply = run(&self.store, &self.version, &["ask", &self.life]).await?;
        Ok(reply.first().is_some_and(|word| word == "ok"))
    }

    /// The same, where it must be.
    pub(crate) async fn must_be_open(&self) -> Result<()> {
        if self.is_open().await? { Ok(()) } else { Err(closed()) }
    }

    /// Says what the follower did.
    pub(super) async fn beat(
        &self,
        activity: Activity,
        (heard, mended): (u64, u64),
        lag: Duration,
    ) -> Result<()> {
        let [lag, heard, mended] = [lag.as_millis().to_string(), heard.to_string(), mended.to_string()];
        let args = ["beat", &self.life, activity.word(), &lag, &heard, &mended];
        let reply = run(&self.store, &self.version, &args).await?;
        if reply.first().is_some_and(|word| word == "ok") { Ok(()) } else { Err(closed()) }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::LeaseLost, "this follower was closed").temporary()
}

fn now_text() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos().to_string()
}

/// The record of a version, as it is stored.
async fn record(store: &Store, version: &Version) -> Result<Option<String>> {
    let reply = store
        .ask(cmd("HGET").arg(&store.keys.history).arg(field(version)), "cannot read the history")
        .await?;
    Ok(text(&reply))
}

/// Runs the script with a verb and what it takes.
async fn run(store: &Store, version: &Version, words_in: &[&str]) -> Result<Vec<String>> {
    let mut args = vec![words_in[0].as_bytes().to_vec(), field(version).into_bytes()];
    args.extend(words_in[1..].iter().map(|word| word.as_bytes().to_vec()));
    let keys = [&store.keys.follow, &store.keys.history];
    let reply = store.net.eval(store.keys.slot(), &script::FOLLOW, &keys, &args).await?;
    let reply: Value = reply.map_err(|failure| error::own_state(&failure, DOING, &store.net))?;
    let words = words(&reply);
    if words.is_empty() { Err(unknown_reply(&reply)) } else { Ok(words) }
}

/// Lets nobody write any more; whether anybody could.
pub(super) async fn close(store: &Store, version: &Version) -> Result<bool> {
    let reply = run(store, version, &["close", ""]).await?;
    Ok(reply.first().is_some_and(|word| word == "ok"))
}

/// Removes the field.
pub(super) async fn forget(store: &Store, version: &Version) -> Result<()> {
    run(store, version, &["forget", ""]).await.map(drop)
}

/// All fields there are.
pub(super) async fn told(store: &Store) -> Result<Vec<Followed>> {
    let doing = "cannot read who follows";
    let Value::Array(fields) = store.ask(cmd("HGETALL").arg(&store.keys.follow), doing).await? else {
        return Ok(Vec::new());
    };
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    // A login that only reads may not ask for the time.
    let time = store.net.ask(store.keys.slot(), &cmd("TIME")).await;
    let now = time.ok().and_then(std::result::Result::ok).and_then(|reply| server_time(&reply));
    fields.chunks_exact(2).filter_map(|pair| text(&pair[1])).map(|text| one(&text, now)).collect()
}

fn one(text: &str, now: Option<i64>) -> Result<Followed> {
    let entry: Entry =
        serde_json::from_str(text).map_err(|error| damaged("a follower", text).caused_by(error))?;
    readable(entry.format)?;
    let version = Version::parse(&entry.version).ok_or_else(|| damaged("a version", &entry.version))?;
    let whole = |number: f64| format!("{:.0}", number.max(0.0)).parse::<u64>().unwrap_or_default();
    let at = i64::try_from(whole(entry.at)).unwrap_or_default();
    let silent = now.map(|now| Duration::from_millis(u64::try_from(now - at).unwrap_or_default()));
    let activity = if entry.life == "closing" { Activity::Stopped } else { Activity::of(&entry.activity) };
    Ok(Followed {
        version,
        who: entry.who,
        host: entry.host,
        at: Timestamp(at),
        silent,
        activity,
        lag: Duration::from_millis(whole(entry.lag)),
        heard: whole(entry.heard),
        mended: whole(entry.mended),
    })
}
