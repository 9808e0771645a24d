//! Indexes built and dropped while everybody works, whoever asks for it.

use crate::change::own_name;
use crate::change::reshape::alter::ONLINE;
use crate::dialect::Dialect;
use crate::evolve::Site;
use crate::inspect::{Index, Part, Role};
use crate::lex::{Kind, Lexer};

/// The statements that build an index, and leave out what is in effect already.
pub(crate) fn build(site: &Site<'_>, index: &Index) -> Vec<String> {
    let (table, name) = (site.named(), site.quote(&index.name));
    let found = site.table().ok().and_then(|table| table.index(&index.name));
    let is_there = found.is_some_and(|found| !found.is_invalid);
    let kind = kind(index);
    let mut made = Vec::new();
    match site.dialect() {
        Dialect::MySql | Dialect::Sqlite if is_there => {}
        Dialect::MySql => {
            // No one writes while the server builds what it finds words or places by.
            let online = if index.word.is_empty() { ONLINE } else { ", algorithm=inplace, lock=shared" };
            made.push(format!("alter table {table} add {kind}index {name} {}{online}", index.body));
        }
        // SQLite wants the schema before the index, not before the table.
        Dialect::Sqlite => {
            let (schema, table) = (schema(site), site.quote(&site.name.name));
            made.push(format!("create {kind}index {schema}{name} on {table} {}", index.body));
        }
        Dialect::Postgres => {
            let body = placed(&index.body, &index.place);
            let parts = site.table().map(|table| &*table.parts).unwrap_or_default();
            if site.table().is_ok_and(|table| table.is_partitioned) {
                made.extend(in_parts(site, (index, &body), found, parts));
            } else if !is_there {
                made.push(format!("create {kind}index concurrently {name} on {table} {body}"));
            }
            if !index.comment.is_empty() && found.is_none_or(|found| found.comment != index.comment) {
                let comment = index.comment.replace('\'', "''");
                made.push(format!("comment on index {}{name} is '{comment}'", schema(site)));
            }
        }
    }
    made
}

/// Makes a constraint of the index that was built for one (PostgreSQL).
pub(crate) fn constraint(site: &Site<'_>, index: &Index) -> Option<String> {
    let table = site.table().ok()?;
    let is_rule = index.role == Role::Constraint && index.is_unique && site.dialect() == Dialect::Postgres;
    let is_made = table.index(&index.name).is_some_and(|found| found.role != Role::Plain);
    // PostgreSQL makes no constraint of the index of a table of parts; the index says as much.
    let (table, name) =
        (is_rule && !table.is_partitioned && !is_made).then(|| (site.named(), site.quote(&index.name)))?;
    Some(format!("alter table {table} add constraint {name} unique using index {name}{}", index.timing))
}

/// The statement that drops an index; a constraint of the same name goes with it.
pub(crate) fn drop(site: &Site<'_>, index: &Index) -> String {
    let (table, name) = (site.named(), site.quote(&index.name));
    match site.dialect() {
        Dialect::MySql => format!("alter table {table} drop index {name}{ONLINE}"),
        Dialect::Postgres if index.role != Role::Plain => {
            format!("alter table {table} drop constraint {name}")
        }
        Dialect::Postgres => {
            let is_partitioned = site.table().is_ok_and(|table| table.is_partitioned);
            let concurrently = if is_partitioned { "" } else { "concurrently " };
            format!("drop index {concurrently}{}{name}", schema(site))
        }
        Dialect::Sqlite => format!("drop index {}{name}", schema(site)),
    }
}

fn kind(index: &Index) -> String {
    let word = if index.is_unique { "unique" } else { &index.word };
    if word.is_empty() { String::new() } else { format!("{word} ") }
}

/// The schema that the table is in, where it is said.
fn schema(site: &Site<'_>) -> String {
    site.name.schema.as_ref().map(|schema| site.quote(schema) + ".").unwrap_or_default()
}

/// PostgreSQL builds no index of a table of parts beside those who write. Each part gets its own that way, and the one of
/// the whole takes them up.
fn in_parts(
    site: &Site<'_>,
    (index, body): (&Index, &str),
    found: Option<&Index>,
    parts: &[Part],
) -> Vec<String> {
    let (kind, name) = (kind(index), site.quote(&index.name));
    let mut made = Vec::new();
    if found.is_none() {
        made.push(format!("create {kind}index {name} on only {} {body}", site.named()));
    }
    let of_part = |part: &Part| own_name(&part.table.name, &index.name);
    let full = |part: &Part, name: &str| {
        let schema = part.table.schema.as_ref().map(|schema| site.quote(schema) + ".").unwrap_or_default();
        schema + &site.quote(name)
    };
    let is_missing = |part: &&Part| {
        let mut others = part.attached.iter().map(|(whole, _)| whole);
        !others.any(|whole| *whole == index.name || parts.iter().any(|part| of_part(part) == *whole))
    };
    let missing: Vec<&Part> = parts.iter().filter(is_missing).collect();
    for part in &missing {
        let own = of_part(part);
        if part.indexes.contains(&own) {
            continue;
        }
        let (how, only) = if part.is_leaf { ("concurrently ", "") } else { ("", "only ") };
        let table = part.table.quoted(Dialect::Postgres);
        made.push(format!("create {kind}index {how}{} on {only}{table} {body}", site.quote(&own)));
    }
    // From the leaves up: a whole is complete when its parts are.
    for part in missing.iter().rev() {
        let whole = match parts.iter().find(|other| Some(&other.table) == part.of.as_ref()) {
            Some(other) => full(other, &of_part(other)),
            None => format!("{}{name}", schema(site)),
        };
        made.push(format!("alter index {whole} attach partition {}", full(part, &of_part(part))));
    }
    made
}

/// The body with the tablespace, which comes before the condition.
fn placed(body: &str, place: &str) -> String {
    if place.is_empty() {
        return body.to_owned();
    }
    let place = format!("tablespace {}", Dialect::Postgres.quote(place));
    let (mut depth, mut at) = (0_i32, body.len());
    for token in Lexer::new(Dialect::Postgres, body) {
        match (token.kind, &body[token.start..token.end]) {
            (Kind::Symbol, "(") => depth += 1,
            (Kind::Symbol, ")") => depth -= 1,
            (Kind::Word, word) if depth == 0 && word.eq_ignore_ascii_case("where") => {
                at = token.start;
                break;
            }
            _ => {}
        }
    }
    format!("{} {place} {}", body[..at].trim_end(), &body[at..]).trim_end().to_owned()
}
