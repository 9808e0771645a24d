//! SQLite has one writer at a time, and who waits for it only looks now and then. So every chunk leaves a gap, and while
//! others write, chunks are short and gaps as long as they.

use std::time::{Duration, Instant};

use dunlin_core::Sizer;

use crate::conn::Conn;
use crate::dialect::Dialect;

/// How long a chunk takes while others write.
const SHORT: Duration = Duration::from_millis(3);
/// The gap while nobody else writes.
const GAP: Duration = Duration::from_millis(1);
/// For how long after somebody wrote it is taken for granted that more will come.
const MEMORY: Duration = Duration::from_secs(2);
/// For how long it is listened before the first chunk.
const LISTEN: Duration = Duration::from_millis(25);

/// Who else writes.
#[derive(Debug)]
pub(crate) struct Courtesy {
    version: Option<i64>,
    heard: Option<Instant>,
}

impl Courtesy {
    /// Listens for a moment.
    pub(crate) async fn new(conn: &mut Conn) -> sqlx::Result<Self> {
        let mut courtesy = Self { version: None, heard: None };
        if conn.dialect() == Dialect::Sqlite {
            courtesy.version = version(conn).await?;
            tokio::time::sleep(LISTEN).await;
            courtesy.listen(conn).await;
        }
        Ok(courtesy)
    }

    /// A number that changes whenever another connection committed.
    async fn listen(&mut self, conn: &mut Conn) {
        // Who cannot be heard now is heard after the next chunk.
        let Ok(now) = version(conn).await else { return };
        if now != self.version {
            self.heard = Some(Instant::now());
        }
        self.version = now;
    }

    fn are_others_about(&self) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() < MEMORY)
    }

    /// Leaves the gap after a chunk that took so long, and steers the next one's size.
    pub(crate) async fn step_aside(
        &mut self,
        conn: &mut Conn,
        sizer: &mut Sizer,
        (took, is_full): (Duration, bool),
        target: Duration,
    ) {
        self.listen(conn).await;
        let is_short = self.are_others_about();
        let target = if is_short { SHORT.min(target) } else { target };
        if is_full || took > target {
            sizer.learn(took, target);
        }
        tokio::time::sleep(if is_short { took.max(GAP) } else { GAP }).await;
    }
}

async fn version(conn: &mut Conn) -> sqlx::Result<Option<i64>> {
    Ok(conn.cell("select data_version from pragma_data_version", &[]).await?.int())
}
