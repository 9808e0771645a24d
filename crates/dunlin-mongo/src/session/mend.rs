//! Bringing documents in step that somebody wrote since they were, in the course of a look: the look would otherwise find
//! whatever the old application wrote a moment ago, on a busy collection always something.

use bson::Document;
use dunlin_core::{Result, async_trait};
use mongodb::error::{Error as DriverError, TRANSIENT_TRANSACTION_ERROR};
use mongodb::{ClientSession, Database};

use super::{Failure, Session, outcome, transaction};
use crate::check::Look;
use crate::op::Command;
use crate::same::Mender;
use crate::store::Store;
use crate::{fence, lock};

/// What came of mending documents in a transaction.
pub(crate) enum Ran {
    /// So many were changed, and all were looked at; whether all are in step.
    Looked(u64, bool),
    /// A document refused.
    Failed(Failure),
    /// Whoever mends may not, any more.
    Fenced,
}

#[async_trait]
impl Mender for Session {
    async fn mend(&mut self, look: &Look, commands: (&Document, &Document)) -> Result<Option<bool>> {
        self.check_lease().await?;
        let written = look.command();
        if !self.store.topology.has_transactions() {
            let db = self.store.database(&written);
            let response = db.run_command(commands.0.clone()).await;
            let response = response.map_err(|failure| self.of_command(&failure, &written))?;
            outcome(&response, &written).map_err(|failure| failure.error(&self.store, &written))?;
            return Ok(None);
        }
        self.ledger.settle(&self.store).await?;
        match self.mended(look, commands).await {
            Ok(Ran::Looked(_, is_in_step)) => Ok(Some(is_in_step)),
            Ok(Ran::Failed(failure)) => Err(failure.error(&self.store, &written)),
            Ok(Ran::Fenced) => Err(self.ledger.refused(&self.store).await),
            Err(failure) if failure.contains_label(TRANSIENT_TRANSACTION_ERROR) => Ok(None),
            Err(failure) => Err(self.of_command(&failure, &written)),
        }
    }
}

impl Session {
    async fn mended(&mut self, look: &Look, commands: (&Document, &Document)) -> Result<Ran, DriverError> {
        let mut transaction = self.transaction().await;
        transaction.start_transaction().write_concern(lock::in_order()).await?;
        // Whoever lost the lock writes nothing: the fence is changed along with the documents.
        let may = fence::touch(&self.store.db, self.ledger.mark(), &mut transaction).await;
        let ran = inside(&self.store, look, commands, (may, &mut transaction)).await;
        if !matches!(ran, Ok(Ran::Looked(..))) {
            // The server ends a transaction nobody commits; that the abort did not reach it changes nothing.
            let _ = transaction.abort_transaction().await;
            return ran;
        }
        // Where the answer is lost, the fence tells whether it went on.
        self.ledger.doubt();
        transaction::commit(&mut transaction).await?;
        self.ledger.touched();
        ran
    }
}

/// Mends and looks, in a transaction that has made sure whether it may.
pub(crate) async fn inside(
    store: &Store,
    look: &Look,
    (mend, found): (&Document, &Document),
    (may, transaction): (Result<bool, DriverError>, &mut ClientSession),
) -> Result<Ran, DriverError> {
    if !may? {
        return Ok(Ran::Fenced);
    }
    let db: Database = store.database(&look.command());
    let response = db.run_command(mend.clone()).session(&mut *transaction).await?;
    let changed = match outcome(&response, &Command::new(mend.clone())) {
        Ok(changed) => changed,
        Err(failure) => return Ok(Ran::Failed(failure)),
    };
    let response = db.run_command(found.clone()).session(&mut *transaction).await?;
    let batch = response.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    Ok(Ran::Looked(changed, batch.is_ok_and(Vec::is_empty)))
}
