//! Bringing documents in step that somebody wrote since they were, in the course of a look: the look would otherwise find
//! whatever the old application wrote a moment ago, on a busy collection always something.

use bson::Document;
use dunlin_core::Result;
use mongodb::error::{Error as DriverError, TRANSIENT_TRANSACTION_ERROR};
use mongodb::{ClientSession, Database};

use super::{Failure, Session, outcome, transaction};
use crate::check::Look;
use crate::op::Command;
use crate::{fence, lock};

/// What came of mending a chunk in a transaction.
enum Ran {
    /// It was changed and looked at; whether all of it is in step.
    Looked(bool),
    /// A document refused.
    Failed(Failure),
    /// The fence is not as this session knows it.
    Fenced,
}

impl Session {
    /// Mends a chunk, and looks at it again in the same transaction: whether all of it is in step then. Nothing is known
    /// where there is no transaction, or where another write came in between.
    pub(crate) async fn mend(
        &mut self,
        look: &Look,
        (mend, found): (&Document, &Document),
    ) -> Result<Option<bool>> {
        self.check_lease().await?;
        let written = look.command();
        let db = self.store.database(&written);
        if !self.store.topology.has_transactions() {
            let response = db.run_command(mend.clone()).await;
            let response = response.map_err(|failure| self.of_command(&failure, &written))?;
            outcome(&response, &written).map_err(|failure| failure.error(&self.store, &written))?;
            return Ok(None);
        }
        self.ledger.settle(&self.store).await?;
        match self.mended(&db, mend, found).await {
            Ok(Ran::Looked(is_in_step)) => Ok(Some(is_in_step)),
            Ok(Ran::Failed(failure)) => Err(failure.error(&self.store, &written)),
            Ok(Ran::Fenced) => Err(self.ledger.refused(&self.store).await),
            Err(failure) if failure.contains_label(TRANSIENT_TRANSACTION_ERROR) => Ok(None),
            Err(failure) => Err(self.of_command(&failure, &written)),
        }
    }

    async fn mended(&mut self, db: &Database, mend: &Document, found: &Document) -> Result<Ran, DriverError> {
        let mut transaction = self.store.client.start_session().await?;
        transaction.start_transaction().write_concern(lock::in_order()).await?;
        let ran = self.inside(db, (mend, found), &mut transaction).await;
        if !matches!(ran, Ok(Ran::Looked(_))) {
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

    async fn inside(
        &self,
        db: &Database,
        (mend, found): (&Document, &Document),
        transaction: &mut ClientSession,
    ) -> Result<Ran, DriverError> {
        // Whoever lost the lock writes nothing: the fence is changed along with the documents.
        if !fence::touch(&self.store.db, self.ledger.mark(), transaction).await? {
            return Ok(Ran::Fenced);
        }
        let response = db.run_command(mend.clone()).session(&mut *transaction).await?;
        if let Err(failure) = outcome(&response, &Command::new(mend.clone())) {
            return Ok(Ran::Failed(failure));
        }
        let response = db.run_command(found.clone()).session(&mut *transaction).await?;
        let batch = response.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        Ok(Ran::Looked(batch.is_ok_and(Vec::is_empty)))
    }
}
