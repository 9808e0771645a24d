//! A table, and a column `a` that becomes `b`: triggers keep the two in step, so that both applications may do anything
//! from the end of expand on.

use async_trait::async_trait;
use dunlin::StoreUrl;
use dunlin_testkit::scratch::Connection;
use dunlin_testkit::{Kind, Scratch};
use tokio::sync::Mutex;

use super::{Change, Client, Deed, Records, Standing};
use crate::sql::changes::shape_of;

pub(super) struct Place {
    scratch: Scratch,
    change: Change,
    text: String,
    /// The applications' connection: it lives through all changes of the table.
    connection: Mutex<Connection>,
}

impl Place {
    pub(super) async fn open(kind: Kind, change: Change, first: &Records) -> Self {
        let mut scratch = Scratch::of(kind).await;
        if kind == Kind::Postgres {
            scratch.url = StoreUrl::new(format!("{}?sslmode=disable", scratch.url.expose()));
        }
        let id = if kind == Kind::Sqlite { "integer" } else { "bigint" };
        let a = if change == Change::Retype { "varchar(20)" } else { "bigint" };
        let table = format!(
            "create table users (id {id} primary key, other varchar(9) default 'x', a {a} not null); create index users_a on users (a)"
        );
        let mut connection = scratch.connect().await;
        connection.sql(&table).await.unwrap();
        for (id, value) in first {
            connection.sql(&format!("insert into users (id, a) values ({id}, '{value}')")).await.unwrap();
        }
        let (int, text) = if kind == Kind::Mysql { ("signed", "char") } else { ("bigint", "varchar(20)") };
        let text = match change {
            Change::Rename => "rename_column = { table = 'users', from = 'a', to = 'b' }".to_owned(),
            Change::Retype => format!("change_type = {{ table = 'users', column = 'a', type = 'bigint', up = 'cast(a as {int})', down = 'cast(a as {text})' }}"),
            Change::Transform => "[change.transform]\ntable = 'users'\nup = { b = { type = 'bigint', as = 'a + 1000', not_null = true } }\ndown = { a = 'b - 1000' }".to_owned(),
        };
        Self { scratch, change, text, connection: Mutex::new(connection) }
    }

    /// The column of an application, and how far what is in it is from what is meant.
    fn column(&self, client: Client) -> (&'static str, i64) {
        match (client, self.change) {
            (Client::Old, _) | (_, Change::Retype) => ("a", 0),
            (Client::New, Change::Rename) => ("b", 0),
            (Client::New, Change::Transform) => ("b", 1000),
        }
    }
}

#[async_trait]
impl super::Place for Place {
    fn name(&self) -> &'static str {
        "app"
    }

    fn url(&self) -> &StoreUrl {
        &self.scratch.url
    }

    fn change(&self) -> &str {
        &self.text
    }

    fn may(&self, client: Client, _: Deed, standing: Standing) -> bool {
        self.reads(client, standing)
    }

    async fn act(&self, client: Client, _: Standing, deed: Deed, (id, value): (i64, i64)) {
        let (column, more) = self.column(client);
        let value = value + more;
        let statement = match deed {
            Deed::Insert => format!("insert into users (id, {column}) values ({id}, '{value}')"),
            Deed::Update => format!("update users set {column} = '{value}' where id = {id}"),
            Deed::Delete => format!("delete from users where id = {id}"),
        };
        let done = self.connection.lock().await.sql(&statement).await;
        done.unwrap_or_else(|error| panic!("{} refuses {statement}: {error}", self.scratch.kind));
    }

    async fn read(&self, client: Client, _: Standing) -> Records {
        let (column, more) = self.column(client);
        let rows = self.connection.lock().await.rows(&format!("select id, {column} from users")).await;
        let number = |cell: &Option<String>| cell.as_deref().unwrap_or("no value").parse::<i64>().unwrap();
        rows.unwrap().iter().map(|row| (number(&row[0]), number(&row[1]) - more)).collect()
    }

    async fn picture(&self) -> Vec<String> {
        let mut lines = shape_of(&self.scratch).await;
        let columns = match self.connection.lock().await.rows("select id, b from users where 1 = 0").await {
            Ok(_) => "b",
            Err(_) => "a",
        };
        let query = format!("select id, other, {columns} from users order by id");
        for row in self.scratch.rows(&query).await {
            lines.push(
                row.into_iter().map(|cell| cell.unwrap_or_else(|| "-".into())).collect::<Vec<_>>().join(" "),
            );
        }
        lines
    }
}
