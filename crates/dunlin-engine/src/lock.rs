//! Taking the migration locks of several stores: in one order, with a bounded wait, naming who holds them.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use dunlin_core::{AnyStore, Attempt, Error, ErrorKind, Holder, Result, RunId, Session, StoreName};
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Report};

/// The sessions of a run, by store.
pub type Sessions = BTreeMap<StoreName, Box<dyn Session>>;

/// How often a held lock is asked for again.
const POLL: Duration = Duration::from_millis(150);

/// This process, as a holder of locks.
pub fn me(who: &str, run: &RunId) -> Holder {
    Holder {
        who: who.into(),
        host: host().into(),
        pid: std::process::id(),
        process: process(std::process::id()).unwrap_or_default().into(),
        run: run.clone(),
        token: 0,
        since: None,
        expires: None,
    }
}

/// The user this process runs as: in the words of its environment, else by the system's list of users.
pub fn user() -> String {
    let named = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .filter(|name| !name.is_empty());
    named.or_else(listed_user).unwrap_or_else(|| "unknown".to_owned())
}

fn listed_user() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let id = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().next()?;
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let mut users = users.lines().map(|line| line.split(':'));
    users.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

/// This machine's name.
pub fn host() -> String {
    let read = |path: &str| fs::read_to_string(path).ok().map(|name| name.trim().to_owned());
    let name = read("/proc/sys/kernel/hostname")
        .or_else(|| read("/etc/hostname"))
        .or_else(|| std::env::var("HOSTNAME").ok());
    name.or_else(|| std::env::var("COMPUTERNAME").ok()).unwrap_or_else(|| "unknown".to_owned())
}

/// What tells a process from every other one that ever had its number: the boot, the process namespace, the start
/// time. `None` where the system does not say, or where there is no such process.
fn process(pid: u32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; the start time is the 20th after it.
    let start = status.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?;
    Some(format!("{} {} {start}", boot.trim(), namespace.display()))
}

/// Whether a holder is certainly dead: it ran in this boot and process namespace, and its process is gone.
fn is_dead(holder: &Holder) -> bool {
    let here = process(std::process::id()).unwrap_or_default();
    let place = |process: &str| process.rsplit_once(' ').map(|(place, _)| place.to_owned());
    let same_place = !holder.process.is_empty() && place(&holder.process) == place(&here);
    same_place && process(holder.pid).as_deref() != Some(&*holder.process)
}

/// A random factor between a half and one and a half, so that runners that wait do not wake together.
pub fn jitter(delay: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1000;
    delay.mul_f64(0.5 + f64::from(u32::try_from(random).unwrap_or_default()) / 1000.0)
}

/// Takes the locks of `stores`, in the order of their names. If one cannot be had, those already taken are released.
pub async fn take(
    stores: &BTreeMap<StoreName, AnyStore>,
    me: &Holder,
    wait: Duration,
    cancel: &CancellationToken,
    report: Report<'_>,
) -> Result<Sessions> {
    let deadline = Instant::now() + wait;
    let mut sessions = Sessions::new();
    for (name, store) in stores {
        match take_one(name, store, me, deadline, cancel, report).await {
            Ok(session) => sessions.insert(name.clone(), session),
            Err(error) => {
                let error = error.with("store", name);
                return Err(match release(sessions).await {
                    Ok(()) => error,
                    Err(second) => error.with("and then", second),
                });
            }
        };
    }
    Ok(sessions)
}

#[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
async fn take_one(
    name: &StoreName,
    store: &AnyStore,
    me: &Holder,
    deadline: Instant,
    cancel: &CancellationToken,
    report: Report<'_>,
) -> Result<Box<dyn Session>> {
    let mut named = None;
    let mut taken_from = None;
    loop {
        let holder = match store.try_lock(me).await? {
            Attempt::Taken(session) => return Ok(session),
            Attempt::Held(holder) => holder,
        };
        let token = holder.as_ref().map(|holder| holder.token);
        // Where that does not free it, a server keeps the lock of a connection it has not missed yet.
        if let Some(holder) = holder.as_ref().filter(|holder| taken_from != token && is_dead(holder)) {
            report(Event::TakenOver { store: name, holder });
            store.unlock(holder.token).await?;
            taken_from = token;
            continue;
        }
        if named != Some(token) {
            report(Event::Waiting { store: name, holder: holder.as_ref() });
            named = Some(token);
        }
        if Instant::now() >= deadline {
            return Err(held(name, holder.as_ref()));
        }
        tokio::select! {
            () = tokio::time::sleep(jitter(POLL)) => {}
            () = cancel.cancelled() => return Err(Error::new(ErrorKind::Locked, format!("stopped while waiting for the lock of `{name}`"))),
        }
    }
}

fn held(name: &StoreName, holder: Option<&Holder>) -> Error {
    let who = holder.map_or("another run".to_owned(), |holder| {
        format!("{} on {}, process {}", holder.who, holder.host, holder.pid)
    });
    let error = Error::new(ErrorKind::Locked, format!("the migration lock of `{name}` is held by {who}"));
    error.help("wait longer with --lock-wait; `dunlin lock status` shows the holder, `dunlin lock release` takes the lock away from a dead one")
}

/// Gives the locks back in reverse order, all of them whatever happens; the first failure is returned.
pub async fn release(sessions: Sessions) -> Result<()> {
    let mut result = Ok(());
    for (name, session) in sessions.into_iter().rev() {
        let released = session.release().await.map_err(|error| error.with("store", name));
        result = result.and(released);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_process_is_not_dead_and_a_gone_one_is() {
        let mut holder = me("ann", &RunId("r".into()));
        assert!(!is_dead(&holder));
        holder.process = format!("{} 1", holder.process.rsplit_once(' ').unwrap().0).into();
        assert!(is_dead(&holder));
        holder.process = "".into();
        assert!(!is_dead(&holder), "nothing known is no proof");
    }
}
