//! Expressions over the path of a field. Along a path that two fields share, lists are gone through element by element:
//! `items.price` is the price of every item, however many there are.

use bson::{Bson, Document, bson, doc};

/// The names along a path.
fn names(path: &str) -> Vec<&str> {
    path.split('.').collect()
}

/// The first name: the field of the document itself.
pub(super) fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// Everything but the last name.
pub(super) fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(parent, _)| parent)
}

/// The last name.
pub(super) fn leaf(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, leaf)| leaf)
}

/// What holds a field, from the outermost on.
pub(super) fn parents(path: &str) -> Vec<String> {
    let names = names(path);
    (1..names.len()).map(|end| names[..end].join(".")).collect()
}

/// Whether one path is the other, or leads into it.
pub(super) fn meet(one: &str, other: &str) -> bool {
    let leads = |short: &str, long: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    leads(one, other) || leads(other, one)
}

/// The value of a field.
pub(super) fn value(path: &str) -> Bson {
    Bson::String(format!("${path}"))
}

/// The type of an expression's value; `missing` where there is none.
pub(super) fn kind(expression: impl Into<Bson>) -> Bson {
    bson!({ "$type": expression.into() })
}

/// Whether a field is there.
pub(super) fn is_there(path: &str) -> Bson {
    bson!({ "$ne": [kind(value(path)), "missing"] })
}

/// What finds documents that have a field.
pub(super) fn has(path: &str) -> Document {
    doc! { path: { "$exists": true } }
}

/// What finds documents that do not have a field.
pub(super) fn lacks(path: &str) -> Document {
    doc! { path: { "$exists": false } }
}

/// Whether two values are the same, types included.
pub(super) fn same(one: &Bson, other: &Bson) -> Bson {
    let told_apart = |side: &Bson| bson!([side.clone(), kind(side.clone())]);
    bson!({ "$eq": [told_apart(one), told_apart(other)] })
}

/// The same where null and nothing are one.
pub(super) fn alike(one: &Bson, other: &Bson) -> Bson {
    let filled = |side: &Bson| bson!({ "$ifNull": [side.clone(), Bson::Null] });
    same(&filled(one), &filled(other))
}

/// Whether documents, and nothing else, are on the way to a field, as far as there is anything.
pub(super) fn is_open(path: &str) -> Vec<Bson> {
    let open = |parent: &String| bson!({ "$in": [kind(value(parent)), ["missing", "object"]] });
    parents(path).iter().map(open).collect()
}

/// The root of a path with `change` made to every document that the path leads to. What is no document stays.
pub(super) fn within(path: &str, change: &dyn Fn(&str) -> Bson) -> Bson {
    descend(&format!("${}", root(path)), &names(path)[1..], 0, change)
}

fn descend(at: &str, rest: &[&str], depth: usize, change: &dyn Fn(&str) -> Bson) -> Bson {
    let name = format!("e{depth}");
    let element = format!("$${name}");
    let mapped = bson!({ "$map": { "input": at, "as": name, "in": inside(&element, rest, depth, change) } });
    bson!({ "$cond": [{ "$isArray": [at] }, mapped, inside(at, rest, depth, change)] })
}

fn inside(at: &str, rest: &[&str], depth: usize, change: &dyn Fn(&str) -> Bson) -> Bson {
    let changed = match rest.split_first() {
        None => change(at),
        Some((name, rest)) => {
            let inner = format!("{at}.{name}");
            bson!({ "$mergeObjects": [at, { *name: descend(&inner, rest, depth + 1, change) }] })
        }
    };
    bson!({ "$cond": [{ "$eq": [kind(at), "object"] }, changed, at] })
}

/// Stages that take a field away, and what held it where that holds nothing else.
pub(super) fn removal(path: &str) -> Vec<Bson> {
    let emptied = |parent: &String| {
        let left = bson!({ "$cond": [
            { "$eq": [value(parent), { "$literal": {} }] }, "$$REMOVE", value(parent),
        ] });
        bson!({ "$set": { parent: left } })
    };
    let mut stages = vec![bson!({ "$unset": path })];
    stages.extend(parents(path).iter().rev().map(emptied));
    stages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_meet_where_one_leads_into_the_other() {
        assert!(meet("a", "a.b") && meet("a.b", "a") && meet("a.b", "a.b"));
        assert!(!meet("a", "ab") && !meet("a.b", "a.c"));
    }

    #[test]
    fn what_holds_a_field_is_listed_from_the_outside() {
        assert_eq!(parents("a.b.c"), ["a", "a.b"]);
        assert!(parents("a").is_empty());
        assert_eq!((root("a.b"), parent("a.b"), leaf("a.b")), ("a", Some("a"), "b"));
    }
}
