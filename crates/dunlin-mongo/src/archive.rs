//! What contracts set aside: collections whose name begins with `dunlin_archive_`, the version and the number of the
//! change. One with more of a name is a collection that was dropped, or documents that were moved aside; one without has
//! the values of fields, under `old`, by the `_id` of their document.

use bson::{Document, doc};
use dunlin_core::{Archive, Error, ErrorKind, Result, Version};
use futures_util::TryStreamExt as _;
use mongodb::Database;
use mongodb::error::Error as DriverError;

use crate::store::Store;

const PREFIX: &str = "dunlin_archive_";

/// All there are, in order of version.
pub(crate) async fn list(db: &Database) -> Result<Vec<Archive>, DriverError> {
    let names: Vec<String> = db.list_collection_names().await?;
    let mut found = Vec::new();
    for name in names {
        let Some((version, rest)) = parts(&name) else { continue };
        let what = match rest {
            Some("quarantine") => "documents that could not be converted".to_owned(),
            Some(rest) => format!("collection {rest}"),
            None => fields(db, &name).await?,
        };
        found.push(Archive { version, name, what, expires: None });
    }
    found.sort();
    Ok(found)
}

/// The version in a name, and what is after the number of the change.
fn parts(name: &str) -> Option<(Version, Option<&str>)> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '_');
    let version = Version::parse(parts.next()?)?;
    parts.next()?.parse::<u32>().ok()?;
    Some((version, parts.next()))
}

/// Which fields an archive has values of; what it holds first says so.
async fn fields(db: &Database, name: &str) -> Result<String, DriverError> {
    let mut first = db.collection::<Document>(name).find(doc! {}).limit(1).await?;
    let old = first.try_next().await?.and_then(|first| first.get_document("old").ok().cloned());
    let fields: Vec<String> = old.iter().flat_map(Document::keys).cloned().collect();
    Ok(if fields.is_empty() { "no values".to_owned() } else { format!("values of {}", fields.join(", ")) })
}

/// Removes one for good.
pub(crate) async fn purge(store: &Store, archive: &Archive) -> Result<()> {
    if parts(&archive.name).is_none() {
        let message = format!("{} is no archive of dunlin's", archive.name);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    // A follower that was killed before the contract may have left its document.
    crate::follow::forget(store, &archive.version).await?;
    let drop = doc! { "drop": &archive.name, "writeConcern": { "w": "majority" } };
    match store.db.run_command(drop).await {
        // Servers before 7.0 report a collection that is not there.
        Err(failure) if crate::error::code(&failure) == Some(26) => Ok(()),
        dropped => dropped.map(|_| ()).map_err(|failure| store.fail(&failure, "cannot purge")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_archive_it_is() {
        let parts = |name| parts(name).map(|(version, rest)| (version.to_string(), rest.map(str::to_owned)));
        let version = || "20261121".to_owned();
        assert_eq!(parts("dunlin_archive_20261121_2"), Some((version(), None)));
        assert_eq!(parts("dunlin_archive_20261121_2_a_b"), Some((version(), Some("a_b".to_owned()))));
        for other in ["dunlin_archive_x_1", "dunlin_archive_1", "dunlin_archive_1_x", "orders"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
