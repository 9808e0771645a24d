//! Workers at their lanes for one bout, and the book that all of them keep.

use std::time::{Duration, Instant};

use dunlin_core::{Error, ErrorKind, Position, Result, Sizer, Work};
use futures_util::future::join_all;
use tokio::sync::Mutex;

use super::{Lane, Place, Walk, fault, target};
use crate::blocker::{self, Eye, Waiting};
use crate::clause::Clause;
use crate::conn::{Conn, Param, number};
use crate::courtesy::Courtesy;
use crate::dialect::Dialect;
use crate::error;
use crate::keyset::{Key, Value, Values};
use crate::light::{Kept, Light};
use crate::moves::Move;
use crate::moves::render::Stretch;
use crate::session::Session;
use crate::store::Store;
use crate::tables::Tables;
use crate::transaction;

/// How long a chunk waits for a lock, at most: it holds locks itself meanwhile.
const PATIENCE: Duration = Duration::from_millis(250);

/// What came of a bout.
pub(super) struct Bout {
    pub(super) position: Position<Place>,
    pub(super) changed: u64,
}

/// The position as the store has it. Whoever writes it holds this until the commit is through.
#[derive(Debug)]
struct Book {
    position: Position<Place>,
    text: std::sync::Arc<str>,
    changed: u64,
    /// How many records this bout may still take on.
    left: u64,
    /// Whether a worker failed, so that no other one begins a chunk.
    is_closed: bool,
    /// Whether it failed in writing here: what the store has is not certain then.
    is_uncertain: bool,
}

/// What all workers share.
pub(super) struct Crew<'a> {
    pub(super) store: &'a Store,
    tables: &'a Tables,
    token: i64,
    pub(super) op: &'a Move,
    work: &'a Work<'a>,
    pub(super) key: &'a Key,
    kept: &'a [String],
    began: Instant,
    book: Mutex<Book>,
}

/// A worker's own things.
struct Hand<'a> {
    conn: &'a mut Conn,
    waiting: Waiting,
    sizer: &'a mut Sizer,
    courtesy: Option<&'a mut Courtesy>,
}

/// A chunk that was changed and is not committed yet.
struct Chunk {
    bound: Option<Values>,
    scanned: u64,
    changed: u64,
}

/// Works until the bout is over.
pub(super) async fn bout(
    session: &mut Session,
    walk: &mut Walk,
    (op, work): (&Move, &Work<'_>),
    position: Position<Place>,
) -> Result<Bout> {
    let Session { conn, store, tables, token, .. } = session;
    let text = work.running.checkpoint.as_ref().map_or_else(|| "".into(), |checkpoint| checkpoint.0.clone());
    let book =
        Book { position, text, changed: 0, left: work.pace.most(), is_closed: false, is_uncertain: false };
    let (key, kept, began) = (&walk.key, &*walk.kept, Instant::now());
    let crew = Crew { store, tables, token: *token, op, work, key, kept, began, book: Mutex::new(book) };
    let mut hands = vec![(&mut *conn, Waiting::Holder(*token))];
    for (other, number) in &mut walk.others {
        hands.push((other, number.map_or(Waiting::Holder(*token), Waiting::Connection)));
    }
    let (count, mut courtesy) = (hands.len(), Some(&mut walk.courtesy));
    let workers =
        hands.into_iter().zip(&mut walk.sizers).enumerate().map(|(index, ((conn, waiting), sizer))| {
            let hand = Hand { conn, waiting, sizer, courtesy: courtesy.take() };
            crew.work_on(hand, (index, count))
        });
    // Nobody is dropped in the middle of a chunk: all come to their end.
    let mut ends: Vec<Error> = join_all(workers).await.into_iter().filter_map(Result::err).collect();
    ends.sort_by_key(|error| error.temporary);
    let book = crew.book.into_inner();
    match ends.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(Bout { position: book.position, changed: book.changed }),
    }
}

impl Crew<'_> {
    /// Goes through every lane that falls to one of `count` workers.
    async fn work_on(&self, mut hand: Hand<'_>, (index, count): (usize, usize)) -> Result<()> {
        loop {
            let taken = {
                let mut book = self.book.lock().await;
                let lanes = book.position.place.lanes.iter().enumerate();
                let mine = lanes.filter(|(at, lane)| at % count == index && !lane.is_done());
                let Some((at, lane)) = mine.map(|(at, lane)| (at, lane.clone())).next() else {
                    return Ok(());
                };
                let size = u64::from(hand.sizer.size()).min(book.left);
                if book.is_closed || size == 0 {
                    return Ok(());
                }
                book.left -= size;
                (at, lane, u32::try_from(size).unwrap_or(u32::MAX))
            };
            if let Err(error) = self.advance(&mut hand, &taken).await {
                self.book.lock().await.is_closed = true;
                return Err(error);
            }
            if self.began.elapsed() >= self.work.pace.bout {
                return Ok(());
            }
        }
    }

    /// One chunk of a lane.
    async fn advance(&self, hand: &mut Hand<'_>, (at, lane, size): &(usize, Lane, u32)) -> Result<()> {
        let began = Instant::now();
        let result = self.halved(hand, (*at, lane, *size)).await;
        let is_full = match result {
            Ok(is_full) => is_full,
            Err(fault::Failed { error, failure }) => {
                let explained = fault::explain(self, hand.conn, (lane, *size), error, failure).await;
                return Err(explained);
            }
        };
        let took = began.elapsed();
        let target = self.work.pace.target.unwrap_or_else(|| target(self.key.dialect));
        let is_chosen = is_full && *size == hand.sizer.size();
        let Some(courtesy) = hand.courtesy.as_deref_mut().filter(|_| self.key.dialect == Dialect::Sqlite)
        else {
            if is_chosen {
                hand.sizer.learn(took, target);
            }
            return Ok(());
        };
        courtesy.step_aside(hand.conn, hand.sizer, (took, is_chosen), target).await;
        Ok(())
    }

    /// Tries a chunk. On the way back of a change a row over which that fails is met by itself, and gets NULL, as it would
    /// from a trigger: who goes back was told of it.
    async fn halved(
        &self,
        hand: &mut Hand<'_>,
        (at, lane, mut size): (usize, &Lane, u32),
    ) -> Result<bool, fault::Failed> {
        loop {
            match self.attempt(hand, (at, lane, size), self.op).await {
                Err(fault::Failed { failure: Some(failure), .. })
                    if self.op.is_silent && self.work.is_undo() && error::is_about_rows(&failure) =>
                {
                    if size > 1 {
                        size /= 2;
                        continue;
                    }
                    let emptied = self.is_told(hand.conn, lane).await.then(|| self.op.emptied());
                    return self.attempt(hand, (at, lane, 1), emptied.as_ref().unwrap_or(self.op)).await;
                }
                tried => return tried,
            }
        }
    }

    /// Whether the next row is one that who went back was told of: the condition itself fails over it.
    async fn is_told(&self, conn: &mut Conn, lane: &Lane) -> bool {
        let Ok(bound) = self.bound(conn, lane, 1).await else { return false };
        let until: &[Value] = bound.as_deref().unwrap_or(&lane.to);
        let mut clause = Clause::new(self.key.dialect);
        let stretch = Stretch { key: self.key, after: lane.at.as_deref(), until };
        stretch.count(&mut clause, &self.op.rows, self.op.rows.filter.as_ref());
        let counted = conn.planned(&clause.text, &clause.params).await;
        counted.is_err_and(|failure| error::is_about_rows(&failure))
    }

    /// One transaction: the rows, and the position after them. Says whether the chunk was as large as it might be.
    async fn attempt(
        &self,
        hand: &mut Hand<'_>,
        (at, lane, size): (usize, &Lane, u32),
        op: &Move,
    ) -> Result<bool, fault::Failed> {
        let begin = self.opening();
        hand.conn
            .execute(&begin)
            .await
            .map_err(|failure| self.fail(&failure, "cannot begin a transaction"))?;
        let eye = Eye {
            target: &self.store.target,
            tables: self.tables,
            waiting: hand.waiting,
            patience: PATIENCE,
        };
        let (changed, blocker) = eye.on(self.change(hand.conn, (lane, size), op)).await;
        let written = match changed {
            Ok(chunk) => self
                .record(hand.conn, at, lane, &chunk)
                .await
                .map(|()| chunk.bound.is_some())
                .map_err(Into::into),
            Err(failure) => Err(self.failed(failure, blocker)),
        };
        if written.is_err() {
            // On a connection that is gone the server rolls back by itself.
            let _ = hand.conn.execute("rollback").await;
        }
        written
    }

    /// Opens a transaction that waits for locks no longer than others can wait for it.
    fn opening(&self) -> String {
        let text = transaction::opening_text(self.tables.dialect, &self.store.target);
        let patience = PATIENCE.min(self.store.target.lock_timeout).as_millis();
        match self.tables.dialect {
            // Rows and position are one transaction, so that a server that crashes loses both or none: nobody need wait
            // for the log. The end of the step is a commit that waits, and covers all that came before it.
            Dialect::Postgres => {
                format!("{text}; set local lock_timeout = {patience}; set local synchronous_commit = off")
            }
            Dialect::MySql | Dialect::Sqlite => text,
        }
    }

    /// Changes a chunk of rows, without committing.
    pub(super) async fn change_rows(&self, conn: &mut Conn, lane: &Lane, size: u32) -> sqlx::Result<()> {
        self.change(conn, (lane, size), self.op).await.map(drop)
    }

    async fn change(&self, conn: &mut Conn, (lane, size): (&Lane, u32), op: &Move) -> sqlx::Result<Chunk> {
        let bound = self.bound(conn, lane, size).await?;
        let until: &[Value] = bound.as_deref().unwrap_or(&lane.to);
        let stretch = Stretch { key: self.key, after: lane.at.as_deref(), until };
        let scanned = if bound.is_some() {
            u64::from(size)
        } else {
            let mut clause = Clause::new(self.key.dialect);
            stretch.count(&mut clause, &self.op.rows, None);
            number(&conn.planned(&clause.text, &clause.params).await?)
        };
        let mut clause = Clause::new(self.key.dialect);
        stretch.change(&mut clause, op, self.kept);
        let changed = conn.run_planned(&clause.text, &clause.params).await?;
        Ok(Chunk { bound, scanned, changed })
    }

    /// The key of the row with this number, counted from where a lane stands.
    pub(super) async fn bound(
        &self,
        conn: &mut Conn,
        lane: &Lane,
        size: u32,
    ) -> sqlx::Result<Option<Values>> {
        let stretch = Stretch { key: self.key, after: lane.at.as_deref(), until: &lane.to };
        let mut clause = Clause::new(self.key.dialect);
        stretch.bound(&mut clause, &self.op.rows, size);
        Ok(conn.planned(&clause.text, &clause.params).await?.first().and_then(|row| self.key.values(row)))
    }

    /// Writes the position after a chunk, and commits.
    async fn record(&self, conn: &mut Conn, at: usize, lane: &Lane, chunk: &Chunk) -> Result<()> {
        let mut book = self.book.lock().await;
        if book.is_uncertain {
            // What another worker wrote last nobody knows: this chunk is done again later.
            return Err(stale());
        }
        let mut position = book.position.clone();
        position.scanned += chunk.scanned;
        let end = chunk.bound.clone().unwrap_or_else(|| lane.to.clone());
        position.near = self.key.describe(&end);
        (position.place.lanes[at].at, position.is_clean) = (Some(end), false);
        let changed = book.changed + chunk.changed;
        let record = self.work.partly(position.checkpoint(), changed);
        let written = self.write(conn, &Light::after(&Param::Text(book.text.clone()), &record)).await;
        book.is_uncertain = written.is_err();
        written?;
        (book.position, book.changed) = (position, changed);
        book.text = record.checkpoint.map_or_else(|| "".into(), |checkpoint| checkpoint.0);
        Ok(())
    }

    async fn write(&self, conn: &mut Conn, light: &Light) -> Result<()> {
        let kept = light.write(conn, self.tables, (self.token, self.store.lease_millis())).await;
        match kept.map_err(|failure| self.fail(&failure, "cannot write the position"))? {
            Kept::Yes => {}
            Kept::Moved => return Err(stale()),
            Kept::Lost => return Err(Session::lost()),
        }
        conn.execute("commit").await.map(drop).map_err(|failure| self.fail(&failure, "cannot commit"))
    }

    pub(super) fn fail(&self, failure: &sqlx::Error, doing: &str) -> Error {
        error::own(failure, doing, &self.store.target.url)
    }

    /// A failure of the chunk's own statement.
    fn failed(&self, failure: sqlx::Error, blocker: Option<String>) -> fault::Failed {
        let error = fault::of(self.op, &failure, &self.store.target.url);
        fault::Failed { error: blocker::named(error, blocker), failure: Some(failure) }
    }
}

/// The position is not what it was when the chunk began.
fn stale() -> Error {
    Error::new(ErrorKind::Statement, "the position moved on while a chunk was under way").temporary()
}
