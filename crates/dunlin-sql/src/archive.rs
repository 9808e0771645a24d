//! What contracts set aside: columns and tables whose names begin with `dunlin_archive_`. Only the catalogue says what
//! there is. Looked for where a name without a schema is: whose an archive elsewhere is, nobody knows.

use dunlin_core::{
    Archive, Error, ErrorKind, EventKind, Record, Result, Session as _, State, StoreUrl, Version,
};

use crate::change::ARCHIVE;
use crate::change::reshape::alter::{drop_column, edit};
use crate::conn::Conn;
use crate::dialect::Dialect;
use crate::evolve::{Look, Site};
use crate::history::Entry;
use crate::inspect::{Role, Rule, Table};
use crate::op::{ForeignKeys, Name, Op, Statement};
use crate::session::Session;
use crate::{declared, error, keys, rewrite, send, transaction};

/// An archive, and where it is.
pub(crate) struct Aside {
    pub(crate) archive: Archive,
    table: Name,
    /// The column; none where the whole table was set aside.
    column: Option<String>,
    /// What the change calls its own.
    tag: String,
}

const POSTGRES: [&str; 2] = [
    "select n.nspname::text, c.relname::text, null::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any (current_schemas(false)) \
     and left(c.relname::text, 15) = $1 order by 1, 2",
    "select n.nspname::text, c.relname::text, a.attname::text from pg_attribute a join pg_class c on c.oid = a.attrelid \
     join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') and n.nspname = any (current_schemas(false)) \
     and a.attnum > 0 and not a.attisdropped and a.attinhcount = 0 and left(a.attname::text, 15) = $1 order by 1, 2, a.attnum",
];

const MYSQL: [&str; 2] = [
    "select table_schema, table_name, null from information_schema.tables where table_schema = database() \
     and table_type = 'BASE TABLE' and left(table_name, 15) = ? order by table_name",
    "select c.table_schema, c.table_name, c.column_name from information_schema.columns c join information_schema.tables t \
     on t.table_schema = c.table_schema and t.table_name = c.table_name and t.table_type = 'BASE TABLE' \
     where c.table_schema = database() and left(c.column_name, 15) = ? order by c.table_name, c.ordinal_position",
];

const SQLITE: [&str; 2] = [
    "select 'main', name, null from sqlite_master where type = 'table' and substr(name, 1, 15) = ?1 order by name",
    "select 'main', m.name, x.name from (select name from sqlite_master where type = 'table' and instr(sql, ?1) > 0) m \
     join pragma_table_info(m.name) x where substr(x.name, 1, 15) = ?1 order by m.name, x.cid",
];

/// The archives of a store.
pub(crate) async fn list(conn: &mut Conn, url: &StoreUrl) -> Result<Vec<Aside>> {
    let questions = match conn.dialect() {
        Dialect::Postgres => POSTGRES,
        Dialect::MySql => MYSQL,
        Dialect::Sqlite => SQLITE,
    };
    let mut found = Vec::new();
    for question in questions {
        let rows = conn.rows(question, &[ARCHIVE.into()]).await;
        for row in rows.map_err(|failure| error::own(&failure, "cannot look for archives", url))? {
            let text = |at: usize| row[at].text().map(str::to_owned);
            let (Some(schema), Some(name)) = (text(0), text(1)) else { continue };
            found.extend(aside(Name { schema: Some(schema), name }, text(2)));
        }
    }
    Ok(found)
}

/// What a name says of itself; nothing where dunlin did not give it.
fn aside(table: Name, column: Option<String>) -> Option<Aside> {
    let name = column.as_deref().unwrap_or(&table.name).to_owned();
    let (version, rest) = name.strip_prefix(ARCHIVE)?.split_once('_')?;
    let (number, was) = rest.split_once('_')?;
    number.parse::<u32>().ok()?;
    let what = match &column {
        Some(_) => format!("column {}.{was}", table.name),
        None => format!("table {was}"),
    };
    let (version, tag) = (Version::parse(version)?, format!("{version}_{number}"));
    Some(Aside { archive: Archive { version, what, name, expires: None }, table, column, tag })
}

/// Removes one, and writes it down.
pub(crate) async fn purge(session: &mut Session, archive: &Archive) -> Result<()> {
    let url = session.store.target.url.clone();
    let found = list(&mut session.conn, &url).await?.into_iter().find(|aside| aside.archive == *archive);
    let Some(aside) = found else { return Ok(()) };
    let record = session.history().await?.live(&archive.version).cloned();
    let Some(record) = record.filter(|record| record.state == State::Done) else {
        let message = format!("{} still needs {}, since it is not done", archive.version, archive.what);
        return Err(Error::new(ErrorKind::Unsupported, message).help("nothing was removed"));
    };
    let look = Look::at_table(&mut session.conn, &aside.table, &url).await?;
    unread(session, &aside, look.table.as_ref()).await?;
    let site = look.site(&aside.table, None);
    let mut texts = Vec::new();
    match (&aside.column, look.table.as_ref()) {
        (Some(column), Some(table)) if is_bound(site.dialect(), table, column) => {
            let triggers = triggers(session, &aside.table).await?;
            texts.extend(rebuilt(&site, table, column, &triggers)?);
        }
        (Some(column), table) => {
            // What bound it is not to speak again.
            let text = table.map(|table| declared::spoken(&table.text, &aside.tag, |_| String::new()));
            texts.extend(edit(&site, text)?);
            texts.extend(drop_column(&site, column)?);
        }
        (None, _) => texts.push(format!("drop table {}", site.named())),
    }
    run(session, &texts, &record, archive).await
}

/// Refuses to remove what others are seen to read. SQLite would not mind: a quoted name that means nothing any more is a
/// text to it.
async fn unread(session: &mut Session, aside: &Aside, table: Option<&Table>) -> Result<()> {
    let dialect = session.tables.dialect;
    let is_it =
        |read: &str| aside.column.as_ref().is_none_or(|column| rewrite::is_same(dialect, read, column));
    let readers = table.iter().flat_map(|table| &table.readers).filter(|(read, _)| is_it(read));
    let mut readers: Vec<String> = readers.map(|(_, reader)| reader.clone()).collect();
    let question = match dialect {
        Dialect::Postgres => None,
        Dialect::MySql => Some(
            "select concat('trigger ', trigger_name) from information_schema.triggers \
             where trigger_schema = database() and instr(action_statement, ?) > 0 order by trigger_name",
        ),
        Dialect::Sqlite => Some(
            "select type || ' ' || name from sqlite_master where type in ('view', 'trigger') and instr(sql, ?1) > 0 order by name",
        ),
    };
    if let Some(question) = question {
        let rows = session.conn.rows(question, &[aside.archive.name.as_str().into()]).await;
        let rows = rows.map_err(|failure| session.fail(&failure, "cannot read views and triggers"))?;
        readers.extend(rows.iter().filter_map(|row| row[0].text().map(str::to_owned)));
    }
    let Some(reader) = readers.first() else { return Ok(()) };
    let message = format!("the {reader} still reads the old {}", aside.archive.what);
    Err(Error::new(ErrorKind::Unsupported, message)
        .help("drop it, or let it read the new shape; nothing was removed"))
}

/// Sends the statements, together with the journal line where a transaction holds both, else between two lines.
async fn run(session: &mut Session, texts: &[String], record: &Record, archive: &Archive) -> Result<()> {
    let dialect = session.tables.dialect;
    let op = Op::script(dialect, &texts.join(";\n")).map_err(|faults| {
        let why = faults.first().map(|fault| fault.message.clone()).unwrap_or_default();
        Error::unexpected(format!("dunlin wrote a script it cannot read: {why}"))
    })?;
    let statements: Vec<&Statement> = op.statements().collect();
    if dialect == Dialect::MySql {
        session.note(record, EventKind::Marked, &archive.purging()).await?;
        for statement in statements {
            session.is_still_ours().await?;
            send::send(session, statement).await?;
        }
        return session.note(record, EventKind::Marked, &archive.purged()).await;
    }
    let known =
        if op.foreign_keys == ForeignKeys::Off { keys::broken(session).await? } else { keys::Broken::new() };
    let keys = keys::before(session, &op).await?;
    let opening = transaction::opening(dialect, &session.store.target, transaction::Access::Writes);
    let sent = send::send_all(session, &opening, &statements).await;
    let purged = match sent {
        Ok(_) => match keys::check(session, &op, &known).await {
            Ok(()) => {
                let (step, kind, said) = (record.steps.len(), EventKind::Marked, archive.purged());
                session.note_and_commit(Entry { record, files: &[], kind, step, detail: Some(&said) }).await
            }
            Err(error) => Err(error),
        },
        Err(failed) => Err(failed.error),
    };
    let purged = transaction::settle(session, purged).await;
    keys::after(session, keys).await?;
    purged
}

/// Whether a constraint holds a column that SQLite cannot drop it from.
fn is_bound(dialect: Dialect, table: &Table, column: &str) -> bool {
    let reads = |body: &str| rewrite::reads(dialect, body, column);
    let by_index = table.indexes.iter().any(|index| index.role == Role::Constraint && reads(&index.body));
    let is_in = |rule: &crate::inspect::Constraint| {
        reads(&rule.body) || rule.columns.iter().any(|other| rewrite::is_same(dialect, other, column))
    };
    let by_rule = table.constraints.iter().any(|rule| rule.rule != Rule::PointedAt && is_in(rule));
    dialect == Dialect::Sqlite && (by_index || by_rule)
}

/// The statements that made the triggers of a table (SQLite).
async fn triggers(session: &mut Session, table: &Name) -> Result<Vec<String>> {
    let question = "select sql from sqlite_master where type = 'trigger' and lower(tbl_name) = lower(?1)";
    let rows = session.conn.rows(question, &[table.name.as_str().into()]).await;
    let rows = rows.map_err(|failure| session.fail(&failure, "cannot read the triggers"))?;
    Ok(rows.iter().filter_map(|row| row[0].text().map(str::to_owned)).collect())
}

/// The table built anew without the column and what binds it, as SQLite's documentation has it under "Making Other Kinds
/// Of Table Schema Changes".
fn rebuilt(site: &Site<'_>, table: &Table, column: &str, triggers: &[String]) -> Result<Vec<String>> {
    let new = "dunlin_purge";
    let text = declared::without_column(&table.text, column, new).ok_or_else(|| {
        Error::unexpected(format!("cannot find `{column}` in the text of `{}`", site.name.name))
    })?;
    let kept = table.columns.iter().filter(|other| !other.is_generated && other.name != column);
    let kept: Vec<String> = kept.map(|other| site.quote(&other.name)).collect();
    let kept = kept.join(", ");
    let (named, quoted) = (site.named(), site.quote(&site.name.name));
    let reads = |body: &str| rewrite::reads(Dialect::Sqlite, body, column);
    let indexes = table.indexes.iter().filter(|index| index.role == Role::Plain && !reads(&index.body));
    let indexes = indexes.map(|index| {
        let unique = if index.is_unique { "unique " } else { "" };
        format!("create {unique}index {} on {quoted} {}", site.quote(&index.name), index.body)
    });
    let mut texts = vec!["pragma legacy_alter_table = on".to_owned(), text];
    texts.push(format!("insert into {new} ({kept}) select {kept} from {named}"));
    if table.text.to_lowercase().contains("autoincrement") {
        let name = site.name.name.replace('\'', "''");
        texts.push(format!("delete from sqlite_sequence where name = '{new}'"));
        texts.push(format!(
            "insert into sqlite_sequence (name, seq) select '{new}', seq from sqlite_sequence where name = '{name}'"
        ));
    }
    texts.extend([format!("drop table {named}"), format!("alter table {new} rename to {quoted}")]);
    texts.extend(indexes);
    texts.extend(triggers.iter().cloned());
    Ok(texts)
}
