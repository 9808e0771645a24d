//! Indexes over fields that leave a collection. At the contract, once every document has the new field, each gets its
//! like over that field, and then goes: queries go on being quick, what was unique stays so, and no index stays behind
//! that refuses the second document without the field. Those over a field that nothing takes the place of only go. What
//! there was is remembered, for the way back.

use bson::{Bson, Document, doc};

use super::index::{self, default_name};

/// A field, and the one in its place.
pub(crate) type Heir = (String, Option<String>);

/// An index that goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Carried {
    /// As it was.
    pub(crate) old: Document,
    /// The one in its place.
    pub(crate) new: Option<Document>,
}

impl Carried {
    /// Whether the old one has to go before the new one can come: a collection has one index of text at most, and of
    /// those that differ in their filter alone not every server has two.
    pub(crate) fn goes_first(&self) -> bool {
        let key = |index: &Document| index.get("key").cloned();
        is_text(&self.old) || self.new.as_ref().is_some_and(|new| key(new) == key(&self.old))
    }
}

/// Those of some indexes that are over the fields.
pub(crate) fn carried(indexes: &[Document], heirs: &[Heir]) -> Vec<Carried> {
    let one = |old: &Document| {
        let others: Vec<&Document> = indexes.iter().filter(|other| *other != old).collect();
        let new = renamed(old, heirs).map(|new| named_apart(new, old, &others));
        // Somebody made the like of it already.
        let is_new =
            |new: &Document| is_text(new) || !others.iter().any(|other| other.get("key") == new.get("key"));
        Carried { old: old.clone(), new: new.filter(is_new) }
    };
    indexes.iter().filter(|index| leads(index, heirs)).map(one).collect()
}

fn is_text(index: &Document) -> bool {
    index.get_document("key").is_ok_and(|key| key.contains_key("_fts"))
}

/// The path with the field's name exchanged, if it is the field or leads into it.
fn within<'a>(path: &'a str, heirs: &'a [Heir]) -> Option<(&'a Heir, &'a str)> {
    heirs.iter().find_map(|heir| {
        let rest = path.strip_prefix(heir.0.as_str())?;
        (rest.is_empty() || rest.starts_with('.')).then_some((heir, rest))
    })
}

/// Whether an index is over one of the fields: as a key, or as what decides which documents are in it.
fn leads(index: &Document, heirs: &[Heir]) -> bool {
    let parts = ["key", "weights", "partialFilterExpression"].into_iter();
    parts.filter_map(|part| index.get_document(part).ok()).any(|part| reads(part, heirs))
}

/// Whether an index is over one of these fields.
pub(crate) fn is_over(index: &Document, fields: &[String]) -> bool {
    let heirs: Vec<Heir> = fields.iter().map(|field| (field.clone(), None)).collect();
    leads(index, &heirs)
}

fn reads(part: &Document, heirs: &[Heir]) -> bool {
    part.iter().any(|(path, value)| {
        within(path, heirs).is_some()
            || path.starts_with('$')
                && value.as_array().is_some_and(|items| {
                    items.iter().filter_map(Bson::as_document).any(|item| reads(item, heirs))
                })
    })
}

/// The same index over the new fields; none where one of the old ones has no heir.
fn renamed(index: &Document, heirs: &[Heir]) -> Option<Document> {
    let mut new = index.clone();
    for part in ["key", "weights", "partialFilterExpression"] {
        if let Ok(found) = index.get_document(part) {
            new.insert(part, exchanged(found, heirs)?);
        }
    }
    Some(new)
}

fn exchanged(part: &Document, heirs: &[Heir]) -> Option<Document> {
    let mut new = Document::new();
    for (path, value) in part {
        let path = match within(path, heirs) {
            Some(((_, heir), rest)) => format!("{}{rest}", heir.as_ref()?),
            None => path.clone(),
        };
        let value = match value {
            Bson::Array(items) if path.starts_with('$') => {
                let items = items.iter().map(|item| match item {
                    Bson::Document(item) => exchanged(item, heirs).map(Bson::Document),
                    other => Some(other.clone()),
                });
                Bson::Array(items.collect::<Option<_>>()?)
            }
            other => other.clone(),
        };
        new.insert(path, value);
    }
    Some(new)
}

/// With the name that every client would give it, where the old one had such a name, and with one that no other has.
fn named_apart(mut new: Document, old: &Document, others: &[&Document]) -> Document {
    let name = old.get_str("name").unwrap_or_default();
    let usual = default_name(old).is_some_and(|usual| usual == name);
    let mut name = if usual {
        new.remove("name");
        index::named(new.clone()).get_str("name").unwrap_or_default().to_owned()
    } else {
        format!("{name}_renamed")
    };
    while others.iter().any(|other| other.get_str("name").is_ok_and(|taken| taken == name)) {
        name.push('_');
    }
    new.insert("name", name);
    new
}

/// What is remembered.
pub(crate) fn remembered(carried: &[Carried]) -> Document {
    let one = |carried: &Carried| {
        let mut document = doc! { "old": carried.old.clone() };
        document.extend(carried.new.clone().map(|new| ("new".to_owned(), Bson::Document(new))));
        document
    };
    doc! { "indexes": carried.iter().map(one).collect::<Vec<_>>() }
}

/// What was remembered.
pub(crate) fn recalled(kept: &Document) -> Vec<Carried> {
    let listed = kept.get_array("indexes").map(Vec::as_slice).unwrap_or_default();
    let one = |kept: &Bson| {
        let kept = kept.as_document()?;
        let old = kept.get_document("old").ok()?.clone();
        Some(Carried { old, new: kept.get_document("new").ok().cloned() })
    };
    listed.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heirs() -> Vec<Heir> {
        vec![("email".to_owned(), Some("mail".to_owned())), ("fax".to_owned(), None)]
    }

    #[test]
    fn an_index_over_a_field_gets_its_like_over_the_new_one() {
        let indexes = [
            doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
            doc! { "v": 2, "key": { "email": 1, "n": -1 }, "name": "email_1_n_-1", "unique": true },
            doc! { "v": 2, "key": { "email.host": 1 }, "name": "hosts" },
            doc! { "v": 2, "key": { "emails": 1 }, "name": "emails_1" },
            doc! { "v": 2, "key": { "n": 1 }, "name": "n_1", "partialFilterExpression": { "$and": [{ "email": { "$gt": "" } }] } },
            doc! { "v": 2, "key": { "n": 1, "fax": 1 }, "name": "n_1_fax_1" },
        ];
        let found = carried(&indexes, &heirs());
        let new: Vec<Option<String>> = found
            .iter()
            .map(|one| one.new.as_ref().map(|new| new.get_str("name").unwrap().to_owned()))
            .collect();
        assert_eq!(new[0].as_deref(), Some("mail_1_n_-1"));
        assert_eq!(new[1].as_deref(), Some("hosts_renamed"));
        assert_eq!(new[2].as_deref(), Some("n_1"));
        assert!(found[2].goes_first());
        assert_eq!(new[3], None, "nothing takes the place of a fax number");
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].new.as_ref().unwrap().get_bool("unique").ok(), Some(true));
        assert_eq!(found[1].new.as_ref().unwrap().get("key"), Some(&doc! { "mail.host": 1 }.into()));
        assert_eq!(recalled(&remembered(&found)), found);
    }

    #[test]
    fn a_like_that_is_there_already_is_left_alone() {
        let indexes = [
            doc! { "key": { "email": 1 }, "name": "email_1" },
            doc! { "key": { "mail": 1 }, "name": "by_mail" },
        ];
        assert_eq!(carried(&indexes, &heirs()), [Carried { old: indexes[0].clone(), new: None }]);
    }
}
