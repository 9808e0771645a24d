//! Whether the archive has the values of a chunk as they are. Both sides are read in order of `_id` and compared here,
//! byte by byte: a `$lookup` for each document costs the server some times as much.

use bson::raw::RawDocument;
use bson::{Document, RawBsonRef, RawDocumentBuf};
use mongodb::error::Error as DriverError;
use mongodb::{ClientSession, Database, SessionCursor};

/// One side.
struct Side {
    cursor: SessionCursor<Document>,
    /// The document the cursor is at.
    at: Option<RawDocumentBuf>,
}

impl Side {
    async fn open(
        db: &Database,
        command: Document,
        transaction: &mut ClientSession,
    ) -> Result<Self, DriverError> {
        let cursor = db.run_cursor_command(command).session(&mut *transaction).await?;
        let mut side = Self { cursor, at: None };
        side.advance(transaction).await?;
        Ok(side)
    }

    async fn advance(&mut self, transaction: &mut ClientSession) -> Result<(), DriverError> {
        let is_more = self.cursor.advance(transaction).await?;
        self.at = is_more.then(|| self.cursor.current().to_owned());
        Ok(())
    }
}

/// Whether whatever is now is kept as it is.
pub(super) async fn is_kept(
    db: &Database,
    (now, kept): (Document, Document),
    transaction: &mut ClientSession,
) -> Result<bool, DriverError> {
    let mut now = Side::open(db, now, transaction).await?;
    let mut kept = Side::open(db, kept, transaction).await?;
    while let Some(value) = &now.at {
        // What was archived of documents that are gone, or that have nothing more to take away, is passed by.
        loop {
            let Some(other) = &kept.at else { return Ok(false) };
            if has_same_id(value, other) {
                if !is_same(value, other) {
                    return Ok(false);
                }
                break;
            }
            kept.advance(transaction).await?;
        }
        now.advance(transaction).await?;
    }
    Ok(true)
}

fn has_same_id(value: &RawDocument, other: &RawDocument) -> bool {
    match (value.get("_id"), other.get("_id")) {
        // Not a number is one all the same.
        (Ok(Some(RawBsonRef::Double(one))), Ok(Some(RawBsonRef::Double(two)))) => {
            one.to_bits() == two.to_bits()
        }
        (Ok(one), Ok(two)) => one == two,
        _ => false,
    }
}

fn is_same(value: &RawDocument, other: &RawDocument) -> bool {
    let sides = (value.get_document("old"), other.get_document("old"));
    matches!(sides, (Ok(one), Ok(two)) if one.as_bytes() == two.as_bytes())
}
