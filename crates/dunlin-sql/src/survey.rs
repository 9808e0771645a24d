//! The walk of verify ops through a table: chunk by chunk, reading only. Each chunk is counted first; only where
//! something is wrong it is listed.

mod halves;
mod part;

use std::time::Instant;

use dunlin_core::position::Position;
use dunlin_core::{Check, Checked, Error, ErrorKind, Line, Op as CoreOp, Result, Sizer, StoreUrl, Violation};
use serde::{Deserialize, Serialize};

use crate::chunk::start::estimate;
use crate::chunk::target;
use crate::clause::Clause;
use crate::conn::{Cell, Conn, number};
use crate::dialect::Dialect;
use crate::error;
use crate::keyset::{self, Key, Values};
use crate::moves::{Expr, Rows};
use crate::none::Nothing;
use crate::same::Same;
use crate::verify::SHOWN;
pub(crate) use part::Part;

/// Reading holds nobody up, so that chunks may be larger than those that write.
const SIZES: (u32, u32, u32) = (5_000, 500, 50_000);

/// A verify op that goes through rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Survey<'a> {
    Nothing(&'a Nothing),
    Same(&'a Same),
}

/// Where it stands, and what it found so far.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    key: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Values>,
    /// None where the table is empty, or was gone through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Values>,
    size: u32,
    /// How many rows there are, where a sample of them is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    found: Vec<Violation>,
    unlisted: u64,
}

impl Place {
    /// Keeps what was found wrong in a part, of which so much is listed.
    fn note(&mut self, wrong: u64, listed: Vec<Violation>) {
        self.unlisted += wrong.saturating_sub(u64::try_from(listed.len()).unwrap_or(u64::MAX));
        self.found.extend(listed);
    }
}

impl<'a> Survey<'a> {
    /// The survey that an op is.
    pub(crate) fn of(op: &'a dyn CoreOp) -> Option<Self> {
        op.kind::<Nothing>().map(Self::Nothing).or_else(|| op.kind::<Same>().map(Self::Same))
    }

    pub(crate) fn rows(self) -> &'a Rows {
        match self {
            Self::Nothing(op) => &op.rows,
            Self::Same(op) => &op.side.rows,
        }
    }

    pub(crate) fn others(self) -> Option<&'a Rows> {
        match self {
            Self::Nothing(_) => None,
            Self::Same(op) => op.other(),
        }
    }

    /// The condition under which a row is wrong, where one pass over its table tells. After a move PostgreSQL's index
    /// leads to old versions, too, so that finding the bound first costs more than it saves.
    fn wrong(self, dialect: Dialect) -> Option<String> {
        match self {
            _ if dialect != Dialect::Postgres || self.is_sample() => None,
            Self::Nothing(op) => op.rows.filter.as_ref().map(Expr::sql),
            Self::Same(op) => op.wrong(),
        }
    }

    /// Goes on for one bout.
    pub(crate) async fn run(self, conn: &mut Conn, check: &Check<'_>, url: &StoreUrl) -> Result<Checked> {
        let from: Option<Position<Place>> =
            check.from.and_then(|checkpoint| Position::looked(checkpoint, check.op));
        let from =
            from.filter(|position: &Position<Place>| position.place.rows.is_some() == self.is_sample());
        let rows = self.rows();
        let wanted = from.as_ref().map(|position| position.place.key.as_slice()).or(rows.key.as_deref());
        let mut key = keyset::find(conn, &rows.table, wanted, url).await?;
        let mut other = match self.others() {
            Some(rows) => Some(keyset::find(conn, &rows.table, rows.key.as_deref(), url).await?),
            None => None,
        };
        if let (Some(others), Some(other)) = (self.others(), &mut other)
            && !key.meet(other)
        {
            return Err(unmatched((rows, &key), (others, other)));
        }
        let view = View { survey: self, key: &key, other: other.as_ref() };
        let went = view.bout(conn, check, from).await;
        went.map_err(|failure| error::of_parts(&failure, &self.texts(), url))
    }

    /// The statements of one chunk that goes by these keys, as people see them.
    pub(crate) fn shown(self, key: &Key, other: Option<&Key>) -> Vec<Line> {
        let (rows, dialect) = (self.rows(), key.dialect);
        let part = Part { key, other, after: Some(&[]), until: &[], only: self.is_sample() };
        let text = |write: &dyn Fn(&mut Clause)| {
            let mut clause = Clause::shown(dialect);
            write(&mut clause);
            clause.text
        };
        let statements = match self.wrong(dialect) {
            Some(wrong) => vec![text(&|clause| part.pass(clause, rows, &wrong, 1))],
            None => {
                let whole = self.is_sample().then(|| text(&|clause| self.count_all(clause, key)));
                let chunk =
                    [text(&|clause| self.bound(clause, &part, 1)), text(&|clause| self.count(clause, &part))];
                whole.into_iter().chain(chunk).collect()
            }
        };
        rows.lines(dialect, statements)
    }

    /// The same, by keys that the catalogue has, as far as it has them.
    pub(crate) async fn looked(self, conn: &mut Conn, url: &StoreUrl) -> Result<Vec<Line>> {
        let dialect = conn.dialect();
        let (rows, others) = (self.rows(), self.others());
        let mut key = keyset::look(conn, rows, url).await?.unwrap_or_else(|| rows.guess(dialect));
        let mut other = match others {
            Some(rows) => Some(keyset::look(conn, rows, url).await?.unwrap_or_else(|| rows.guess(dialect))),
            None => None,
        };
        if let Some(other) = &mut other {
            key.meet(other);
        }
        Ok(self.shown(&key, other.as_ref()))
    }

    /// Whether a change asks, and no author whose words may be wrong.
    fn is_of_change(self) -> bool {
        matches!(self, Self::Nothing(Nothing { words: Some(_), .. }))
    }

    fn is_sample(self) -> bool {
        matches!(self, Self::Same(Same { sample: Some(_), .. }))
    }

    /// Finds where a part of `size` rows ends. A sample is of the rows that are compared, and of the first side's.
    fn bound(self, clause: &mut Clause, part: &Part<'_>, size: u32) {
        let others = self.others().filter(|_| !self.is_sample());
        let filter = self.rows().filter.as_ref().filter(|_| self.is_sample());
        Part { only: false, ..*part }.bound(clause, (self.rows(), filter), others, size);
    }

    /// Counts the rows that a sample is of.
    fn count_all(self, clause: &mut Clause, key: &Key) {
        let rows = self.rows();
        clause.push(&format!("select count(*) from {}{}", rows.table.quoted(key.dialect), key.hint()));
        if let Some(filter) = &rows.filter {
            clause.push(" where ").push(&filter.sql());
        }
    }

    /// Counts what is wrong in a part; after that, where two tables are compared, the rows of the first.
    fn count(self, clause: &mut Clause, part: &Part<'_>) {
        match self {
            Self::Nothing(op) => op.count(clause, part),
            Self::Same(op) => op.count(clause, part),
        }
    }

    /// The user's own parts of the statements.
    fn texts(self) -> Vec<(&'a str, Option<dunlin_core::Span>)> {
        let mut exprs: Vec<&Expr> = Vec::new();
        exprs.extend(self.rows().filter.as_ref());
        exprs.extend(self.others().and_then(|rows| rows.filter.as_ref()));
        if let Self::Same(op) = self {
            exprs.extend(op.exprs());
        }
        exprs.into_iter().map(|expr| (&*expr.text, expr.span)).collect()
    }
}

/// A survey that knows its keys.
struct View<'a> {
    survey: Survey<'a>,
    key: &'a Key,
    other: Option<&'a Key>,
}

impl View<'_> {
    async fn bout(
        &self,
        conn: &mut Conn,
        check: &Check<'_>,
        from: Option<Position<Place>>,
    ) -> sqlx::Result<Checked> {
        let mut position = match from {
            Some(position) => position,
            None => self.fresh(conn, check).await?,
        };
        let mut sizer = Sizer::new(position.place.size, SIZES.1, SIZES.2);
        let target = check.pace.target.unwrap_or_else(|| target(self.key.dialect));
        let began = Instant::now();
        let mut left = check.pace.most();
        loop {
            let chunk = Instant::now();
            let stride = stride(&position);
            let size =
                stride.unwrap_or_else(|| sizer.size().min(u32::try_from(left).unwrap_or(u32::MAX)).max(1));
            let (is_over, scanned) = self.halved(conn, &mut position.place, size, stride.is_some()).await?;
            position.scanned += scanned;
            left = left.saturating_sub(scanned);
            if is_over || stride.is_some() && position.total == Some(position.scanned) {
                let Place { found, unlisted, .. } = position.place;
                return Ok(Checked::Wholly { violations: found, unlisted, scanned: position.scanned });
            }
            if size == sizer.size() {
                sizer.learn(chunk.elapsed(), target);
            }
            if began.elapsed() >= check.pace.bout || left == 0 {
                position.place.size = sizer.size();
                position.near =
                    position.place.at.as_deref().map(|at| self.key.describe(at)).unwrap_or_default();
                return Ok(Checked::Partly(position.checkpoint()));
            }
        }
    }

    async fn fresh(&self, conn: &mut Conn, check: &Check<'_>) -> sqlx::Result<Position<Place>> {
        let rows = self.survey.rows();
        let mut clause = Clause::new(self.key.dialect);
        part::last(&mut clause, (self.key, rows), self.other.zip(self.survey.others()));
        let to = conn.planned(&clause.text, &[]).await?.first().and_then(|row| self.key.values(row));
        let mut place = Place {
            key: self.key.names(),
            at: None,
            to,
            size: SIZES.0,
            rows: None,
            found: Vec::new(),
            unlisted: 0,
        };
        let total = match self.survey {
            Survey::Same(Same { sample: Some(sample), .. }) => {
                let mut clause = Clause::new(self.key.dialect);
                self.survey.count_all(&mut clause, self.key);
                let rows = number(&conn.planned(&clause.text, &clause.params).await?);
                place.rows = Some(rows);
                place.to = place.to.filter(|_| rows > 0);
                Some(rows.min(sample.get().into()))
            }
            _ => estimate(conn, &rows.table, self.key).await?,
        };
        Ok(Position { total, ..Position::new(check.op, place) })
    }

    /// Looks at one chunk. Says whether it was the last one, and how many rows it had.
    async fn chunk(
        &self,
        conn: &mut Conn,
        place: &mut Place,
        size: u32,
        is_sample: bool,
    ) -> sqlx::Result<(bool, u64)> {
        let Some(to) = &place.to else { return Ok((true, 0)) };
        let whole =
            Part { key: self.key, other: self.other, after: place.at.as_deref(), until: to, only: false };
        if let Some(wrong) = self.survey.wrong(self.key.dialect) {
            let (rows, found, last) = self.pass(conn, &whole, size, &wrong).await?;
            let part = Part { until: last.as_ref().unwrap_or(to), ..whole };
            let listed = self.listed(conn, &part, found, place.found.len()).await?;
            place.note(found, listed);
            place.at = last.or(place.at.take());
            return Ok((rows < u64::from(size), rows));
        }
        let mut clause = Clause::new(self.key.dialect);
        self.survey.bound(&mut clause, &whole, size);
        let found = conn.planned(&clause.text, &clause.params).await?;
        let bound = found.first().and_then(|row| self.key.values(row));
        let is_over = bound.is_none();
        if is_sample && is_over {
            return Ok((true, 0));
        }
        let part = Part { until: bound.as_ref().unwrap_or(to), only: is_sample, ..whole };
        let (wrong, rows) = self.count(conn, &part).await?;
        let scanned = match rows {
            _ if is_sample => 1,
            Some(rows) => rows,
            None if is_over => self.rows_in(conn, &part).await?,
            None => u64::from(size),
        };
        let listed = self.listed(conn, &part, wrong, place.found.len()).await?;
        place.note(wrong, listed);
        place.at = bound;
        Ok((is_over, scanned))
    }

    /// What is wrong in a part, as many as there is room for.
    async fn listed(
        &self,
        conn: &mut Conn,
        part: &Part<'_>,
        wrong: u64,
        shown: usize,
    ) -> sqlx::Result<Vec<Violation>> {
        let room = SHOWN.saturating_sub(shown);
        if wrong > 0 && room > 0 { self.list(conn, part, room).await } else { Ok(Vec::new()) }
    }

    /// Reads a chunk of one table once: how many rows it has, how many of them are wrong, and the last key.
    async fn pass(
        &self,
        conn: &mut Conn,
        part: &Part<'_>,
        size: u32,
        wrong: &str,
    ) -> sqlx::Result<(u64, u64, Option<Values>)> {
        let mut clause = Clause::new(self.key.dialect);
        part.pass(&mut clause, self.survey.rows(), wrong, size);
        let rows = conn.planned(&clause.text, &clause.params).await?;
        let Some(row) = rows.first() else { return Ok((0, 0, None)) };
        let count = |cell: &Cell| cell.int().and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
        Ok((count(&row[0]), count(&row[1]), self.key.values(&row[2..])))
    }

    async fn rows_in(&self, conn: &mut Conn, part: &Part<'_>) -> sqlx::Result<u64> {
        let mut clause = Clause::new(self.key.dialect);
        let table = self.survey.rows().table.quoted(self.key.dialect);
        clause.push(&format!("select count(*) from {table}{} where ", self.key.hint()));
        self.key.range(&mut clause, part.after, Some(part.until));
        Ok(number(&conn.planned(&clause.text, &clause.params).await?))
    }

    async fn count(&self, conn: &mut Conn, part: &Part<'_>) -> sqlx::Result<(u64, Option<u64>)> {
        let mut clause = Clause::new(self.key.dialect);
        self.survey.count(&mut clause, part);
        let found = conn.planned(&clause.text, &clause.params).await?;
        let rows = found.first().and_then(|row| row.get(1)).and_then(Cell::int);
        Ok((number(&found), rows.and_then(|rows| u64::try_from(rows).ok())))
    }

    async fn list(&self, conn: &mut Conn, part: &Part<'_>, limit: usize) -> sqlx::Result<Vec<Violation>> {
        let mut clause = Clause::new(self.key.dialect);
        match self.survey {
            Survey::Nothing(op) => op.list(&mut clause, part, limit),
            Survey::Same(op) => op.list(&mut clause, part, limit),
        }
        let rows = conn.planned(&clause.text, &clause.params).await?;
        let violation = |row: &Vec<Cell>| {
            let (key, values) = row.split_at(self.key.columns.len());
            let names = self.key.columns.iter().map(|column| &column.name);
            let pairs: Vec<String> =
                names.zip(key).map(|(name, value)| format!("{name} = {}", shown(value))).collect();
            let values = match (self.survey, values) {
                (Survey::Same(op), [one, other]) => Some(op.values(&shown(one), &shown(other))),
                _ => None,
            };
            Violation { record: pairs.join(", "), values }
        };
        Ok(rows.iter().map(violation).collect())
    }
}

/// How many rows further the next one of a sample is, so that all of them are spread evenly.
fn stride(position: &Position<Place>) -> Option<u32> {
    let (rows, total) = (position.place.rows?, position.total?);
    let at = |number: u64| u64::try_from(u128::from(number) * u128::from(rows) / u128::from(total.max(1)));
    let stride = at(position.scanned + 1).ok()?.saturating_sub(at(position.scanned).ok()?);
    Some(u32::try_from(stride).unwrap_or(u32::MAX).max(1))
}

/// Two tables whose rows cannot be matched.
fn unmatched((rows, key): (&Rows, &Key), (others, other): (&Rows, &Key)) -> Error {
    let side = |rows: &Rows, key: &Key| format!("{} by {}", rows.table.name, key.names().join(", "));
    let message = format!("{} cannot be matched with {}", side(rows, key), side(others, other));
    Error::new(ErrorKind::Unsupported, message)
        .help("nothing was changed; name keys of as many columns with `key`")
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(value) => value.to_string(),
        Cell::Text(text) => text.clone(),
    }
}
