//! Old and new columns of a row, kept in step by triggers while old and new clients write: in both directions, whoever
//! writes. Text only.
//!
//! A row is *in step* if its new columns are what its old ones lead to, or its old ones what its new ones lead back to.
//! Where an insert or an update leaves a row out of step, the side that was written decides, and the other one follows; a
//! client that writes both sides itself is left alone. What cannot be computed becomes NULL, so that no writer fails by
//! it: the verify step finds such rows.

use crate::alike::identical;
use crate::dialect::Dialect;
use crate::rewrite;

/// One side's column, and how it is computed from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Half {
    pub(crate) column: String,
    /// Its type, for the variables of a trigger.
    pub(crate) kind: String,
    /// Over the columns of the row.
    pub(crate) expr: String,
    /// What the column holds where a client says nothing; empty for NULL.
    pub(crate) default: Option<String>,
    /// What the server sets it to in every update that does not say it (MySQL), where the other side has that, too.
    pub(crate) auto: Option<String>,
}

/// A row of both shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sync<'a> {
    pub(crate) dialect: Dialect,
    /// The table, as SQL.
    pub(crate) table: String,
    /// What the names of triggers and functions begin with.
    pub(crate) tag: &'a str,
    /// The columns of the table.
    pub(crate) known: &'a [String],
    /// What finds a row again (SQLite): `rowid`, or the primary key.
    pub(crate) key: &'a [String],
    pub(crate) old: &'a [Half],
    /// Without `old`, the new columns are only filled where nobody says anything.
    pub(crate) new: &'a [Half],
}

/// The name of a trigger. It sorts behind those of the user, so that what theirs write is seen (PostgreSQL).
pub(crate) fn name(tag: &str, what: &str) -> String {
    format!("~dunlin_{tag}{what}")
}

const KINDS: [&str; 4] = ["_a", "_b", "_c", "_d"];

impl Sync<'_> {
    /// The statements that make the triggers.
    pub(crate) fn create(&self) -> Vec<String> {
        match self.dialect {
            Dialect::Postgres => self.postgres(),
            Dialect::MySql => vec![self.mysql(true), self.mysql(false)],
            Dialect::Sqlite => self.sqlite(),
        }
    }

    fn is(&self, one: &str, other: &str) -> String {
        identical(self.dialect, one, other)
    }

    fn of(&self, row: &str, column: &str) -> String {
        format!("{row}.{}", self.dialect.quote(column))
    }

    /// An expression over a row of a trigger.
    fn over(&self, row: &str, expr: &str) -> String {
        format!("({})", rewrite::of_row(self.dialect, expr, row, self.known))
    }

    fn is_unchanged(&self, side: &[Half]) -> String {
        all(side, |half| self.is(&self.of("new", &half.column), &self.of("old", &half.column)))
    }

    /// What a column holds where nobody says it, of the type that it has there.
    fn default(&self, half: &Half) -> String {
        let default = half.default.as_deref().unwrap_or("null");
        match self.dialect {
            Dialect::Postgres => format!("cast({default} as {})", plain(&half.kind)),
            _ => default.to_owned(),
        }
    }

    /// Whether the server, and no client, set these columns in an update (MySQL).
    fn is_auto(&self, side: &[Half]) -> Option<String> {
        let one = |half: &Half| Some(self.is(&self.of("new", &half.column), half.auto.as_deref()?));
        side.iter().map(one).collect::<Option<Vec<_>>>().map(|all| all.join(" and "))
    }

    fn is_unsaid(&self, side: &[Half]) -> String {
        all(side, |half| self.is(&self.of("new", &half.column), &self.default(half)))
    }

    /// Whether the new columns are what the old ones lead to, as computed.
    fn is_in_step(&self) -> String {
        let one = |(at, half): (usize, &Half)| self.is(&self.of("new", &half.column), &variable('n', at));
        self.new.iter().enumerate().map(one).collect::<Vec<_>>().join(" and ")
    }

    /// Whether a trigger has anything to look at.
    fn is_relevant(&self, is_update: &str) -> String {
        if self.old.is_empty() {
            return self.is_unsaid(self.new);
        }
        let idle = format!("{} and {}", self.is_unchanged(self.old), self.is_unchanged(self.new));
        format!("not ({is_update} and {idle})")
    }

    /// Whether a column follows another one of its own type as it is: that cannot fail.
    fn is_copy(&self, half: &Half) -> bool {
        let bare = half.expr.trim();
        let is = |other: &Half| {
            other.kind == half.kind
                && (bare == self.dialect.quote(&other.column)
                    || rewrite::is_same(self.dialect, bare, &other.column))
        };
        self.old.iter().chain(self.new).any(is)
    }

    fn postgres(&self) -> Vec<String> {
        let function = self.dialect.quote(&name(self.tag, ""));
        let declared = |half: &Half, variable: String| format!("  {variable} {};\n", plain(&half.kind));
        let computed = |half: &Half, variable: String| {
            let expr = self.over("new", &half.expr);
            if self.is_copy(half) {
                format!("    {variable} := {expr};\n")
            } else {
                format!(
                    "    begin {variable} := {expr}; exception when others then {variable} := null; end;\n"
                )
            }
        };
        let taken = |half: &Half, variable: String| {
            format!("      {} := {variable};\n", self.of("new", &half.column))
        };
        let (mut forth, mut back) = (self.is_unsaid(self.new), String::new());
        if !self.old.is_empty() {
            let (old_stays, new_stays) = (self.is_unchanged(self.old), self.is_unchanged(self.new));
            forth = format!(
                "tg_op = 'INSERT' and {forth} or tg_op = 'UPDATE' and {new_stays} and not ({old_stays})"
            );
            back = format!(
                "    elsif tg_op = 'INSERT' or {old_stays} then\n{}{}",
                lines(self.old, 'o', computed),
                lines(self.old, 'o', taken)
            );
        }
        let body = format!(
            "create or replace function {function}() returns trigger language plpgsql set search_path from current as $dunlin$\ndeclare\n{}{}begin\n  \
             if {} then\n{}    if {} then\n      return new;\n    elsif {forth} then\n{}{back}    end if;\n  end if;\n  return new;\nend\n$dunlin$",
            lines(self.new, 'n', declared),
            lines(self.old, 'o', declared),
            self.is_relevant("tg_op = 'UPDATE'"),
            lines(self.new, 'n', computed),
            self.is_in_step(),
            lines(self.new, 'n', taken),
        );
        // What cannot fail is looked at before the function is called: rows in step, those of the backfill, cost little.
        let is_safe = self.new.iter().all(|half| self.is_copy(half));
        let when = if is_safe && !self.old.is_empty() {
            let in_step =
                all(self.new, |half| self.is(&self.of("new", &half.column), &self.over("new", &half.expr)));
            format!(" when (not ({in_step}))")
        } else {
            String::new()
        };
        let trigger = format!(
            "create trigger {function} before insert or update on {} for each row{when} execute function {function}()",
            self.table
        );
        vec![body, trigger]
    }

    fn mysql(&self, inserts: bool) -> String {
        let (what, event) = if inserts { (KINDS[0], "insert") } else { (KINDS[1], "update") };
        let trigger = self.dialect.quote(&name(self.tag, what));
        let declared =
            |half: &Half, variable: String| format!("  declare {variable} {};\n", plain(&half.kind));
        let computed = |half: &Half, variable: String| {
            let expr = self.over("new", &half.expr);
            format!(
                "    begin declare continue handler for sqlexception set {variable} = null; set {variable} = {expr}; end;\n"
            )
        };
        let taken = |half: &Half, variable: String| {
            format!("      set {} = {variable};\n", self.of("new", &half.column))
        };
        let (mut forth, mut back) = (self.is_unsaid(self.new), String::new());
        if !self.old.is_empty() {
            back = format!("{}{}", lines(self.old, 'o', computed), lines(self.old, 'o', taken));
            if inserts {
                back.insert_str(0, "    else\n");
            } else {
                // What a trigger set in one row MariaDB leaves as it was in the next ones.
                let stays = |side: &[Half]| match self.is_auto(side) {
                    Some(auto) => format!("({auto} or {})", self.is_unchanged(side)),
                    None => self.is_unchanged(side),
                };
                let (old_stays, new_stays) = (stays(self.old), stays(self.new));
                let unsaid = self.is_auto(self.old).unwrap_or_else(|| old_stays.clone());
                forth = format!("{new_stays} and not ({unsaid})");
                back.insert_str(0, &format!("    elseif {old_stays} then\n"));
            }
        }
        let relevant = match (inserts, self.old.is_empty()) {
            (true, false) => "1 = 1".to_owned(),
            _ => self.is_relevant("1 = 1"),
        };
        format!(
            "create trigger {trigger} before {event} on {} for each row\nbegin\n{}{}  if {relevant} then\n{}    \
             if {} then begin end;\n    elseif {forth} then\n{}{back}    end if;\n  end if;\nend",
            self.table,
            lines(self.new, 'n', declared),
            lines(self.old, 'o', declared),
            lines(self.new, 'n', computed),
            self.is_in_step(),
            lines(self.new, 'n', taken),
        )
    }

    fn sqlite(&self) -> Vec<String> {
        let follows = |row: &str, side: &[Half]| {
            all(side, |half| self.is(&self.of(row, &half.column), &self.over(row, &half.expr)))
        };
        let update = |side: &[Half]| {
            let set: Vec<String> = side
                .iter()
                .map(|half| format!("{} = ({})", self.dialect.quote(&half.column), half.expr))
                .collect();
            let keys: Vec<String> = self
                .key
                .iter()
                .map(|column| {
                    format!("{} is {}", quoted_key(column), format_args!("new.{}", quoted_key(column)))
                })
                .collect();
            format!("update {} set {} where {}", self.table, set.join(", "), keys.join(" and "))
        };
        let columns = |side: &[Half]| {
            side.iter().map(|half| self.dialect.quote(&half.column)).collect::<Vec<_>>().join(", ")
        };
        let trigger = |what: &str, event: &str, when: &str, side: &[Half]| {
            format!(
                "create trigger {} after {event} on {} for each row when {when} begin {}; end",
                self.dialect.quote(&name(self.tag, what)),
                self.table,
                update(side)
            )
        };
        let (unsaid, stray) = (self.is_unsaid(self.new), format!("not ({})", follows("new", self.new)));
        let mut made = vec![trigger(KINDS[0], "insert", &format!("({unsaid}) and {stray}"), self.new)];
        if self.old.is_empty() {
            made.push(trigger(KINDS[2], "update", &format!("({unsaid}) and {stray}"), self.new));
            return made;
        }
        let (old_stays, new_stays) = (self.is_unchanged(self.old), self.is_unchanged(self.new));
        let led_back = format!("not ({})", follows("new", self.old));
        made.push(trigger(
            KINDS[1],
            "insert",
            &format!("not ({unsaid}) and {stray} and {led_back}"),
            self.old,
        ));
        let when = format!("not ({old_stays}) and ({new_stays}) and {stray} and {led_back}");
        made.push(trigger(KINDS[2], &format!("update of {}", columns(self.old)), &when, self.new));
        let when = format!("not ({new_stays}) and ({old_stays}) and {stray} and {led_back}");
        made.push(trigger(KINDS[3], &format!("update of {}", columns(self.new)), &when, self.old));
        made
    }
}

/// A condition that holds for all columns of a side.
fn all(side: &[Half], condition: impl Fn(&Half) -> String) -> String {
    let conditions: Vec<String> = side.iter().map(condition).collect();
    if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" and ") }
}

/// A line for each column of a side, and the variable with what it follows to.
fn lines(side: &[Half], mark: char, line: impl Fn(&Half, String) -> String) -> String {
    side.iter().enumerate().map(|(at, half)| line(half, variable(mark, at))).collect()
}

/// The statements that take those of the triggers away that are there.
pub(crate) fn drop(dialect: Dialect, table: &str, tag: &str, present: &[String]) -> Vec<String> {
    let own = |what: &&&str| present.contains(&name(tag, what));
    match dialect {
        Dialect::Postgres if present.contains(&name(tag, "")) => {
            let quoted = dialect.quote(&name(tag, ""));
            vec![format!("drop trigger {quoted} on {table}"), format!("drop function {quoted}()")]
        }
        Dialect::Postgres => Vec::new(),
        Dialect::MySql | Dialect::Sqlite => KINDS
            .iter()
            .filter(own)
            .map(|what| format!("drop trigger {}", dialect.quote(&name(tag, what))))
            .collect(),
    }
}

/// Whether all of the triggers are there (MySQL, which makes one at a time).
pub(crate) fn is_whole(tag: &str, present: &[String]) -> bool {
    KINDS[..2].iter().all(|what| present.contains(&name(tag, what)))
}

/// A type without its collation, for a variable.
fn plain(kind: &str) -> &str {
    kind.split(" collate ").next().unwrap_or(kind)
}

/// `rowid` is no name that may be quoted.
fn quoted_key(column: &str) -> String {
    if column == "rowid" { column.to_owned() } else { Dialect::Sqlite.quote(column) }
}

/// What holds what a column follows to.
fn variable(mark: char, at: usize) -> String {
    format!("dunlin_{mark}{at}")
}
