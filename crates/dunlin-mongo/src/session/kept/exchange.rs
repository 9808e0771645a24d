//! Indexes over fields that leave, exchanged for those over the fields that come: see [`crate::change::carry`].

use bson::Bson;
use dunlin_core::Result;

use super::{Shape, remembered_now};
use crate::change::carry::{self, Heir};
use crate::unique;

impl Shape<'_> {
    pub(super) async fn carry(&self, heirs: &[Heir]) -> Result<()> {
        let kept = remembered_now(&self.db, self.keep).await.map_err(|failure| self.fail(&failure))?;
        if kept.is_none() {
            let carried = carry::carried(&self.indexes().await?, heirs);
            if carried.is_empty() {
                return Ok(());
            }
            self.remember(carry::remembered(&carried)).await?;
        }
        self.exchange().await
    }

    pub(super) async fn uncarry(&self) -> Result<()> {
        let kept = remembered_now(&self.db, self.keep).await.map_err(|failure| self.fail(&failure))?;
        if kept.is_none() {
            // There were none, or all of it is done.
            return Ok(());
        }
        self.exchange().await?;
        self.forget().await
    }

    /// What was sent before it was cut off may be sent again: an index is made once, and dropped where it is.
    async fn exchange(&self) -> Result<()> {
        for command in self.keep.exchanged(&carry::recalled(&self.must_be_kept().await?)) {
            match command.get("index") {
                Some(name) => self.drop_named(name).await?,
                None => {
                    let made = command.get_array("indexes").into_iter().flatten();
                    for index in made.filter_map(Bson::as_document).filter(|one| unique::is_unique(one)) {
                        self.refuse_duplicates(index).await?;
                    }
                    self.send(command).await?;
                }
            }
        }
        Ok(())
    }
}
