//! The relational half: who our users are.

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};

use crate::{Error, Shape, What, Work};

/// What this application says to PostgreSQL.
#[derive(Debug)]
pub(crate) struct Statements {
    sign_up: &'static str,
    change: &'static str,
    read: &'static str,
    pub(crate) all: &'static str,
}

pub(crate) const OLD: Statements = Statements {
    sign_up: "insert into users (id, name, email) values ($1, $2, $3)",
    change: "update users set email = greatest(email, $2) where id = $1",
    read: "select email from users where id = $1",
    all: "select id, name, email from users order by id",
};

pub(crate) const NEW: Statements = Statements {
    sign_up: "insert into users (id, name, email_address) values ($1, $2, $3)",
    change: "update users set email_address = greatest(email_address, $2) where id = $1",
    read: "select email_address from users where id = $1",
    all: "select id, name, email_address from users order by id",
};

/// A connection.
#[derive(Debug)]
pub struct App(pub(crate) PgConnection);

impl App {
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        Ok(Self(PgConnection::connect(url).await?))
    }

    pub(crate) async fn carry_out(&mut self, shape: Shape, work: Work) -> Result<(), Error> {
        let places = shape.places(OLD, NEW);
        let mut done = Ok(());
        // Twice, for a change that comes or goes between the two.
        for statements in places.iter().chain(&places) {
            done = self.attempt(statements, work).await;
            if !done.as_ref().is_err_and(is_of_another_shape) {
                break;
            }
        }
        done
    }

    async fn attempt(&mut self, statements: &Statements, work: Work) -> Result<(), Error> {
        let query = match work.what {
            What::SignUp => {
                sqlx::query(statements.sign_up).bind(work.user).bind(work.name()).bind(work.email())
            }
            What::Change => sqlx::query(statements.change).bind(work.user).bind(work.email()),
            What::Leave => sqlx::query("delete from users where id = $1").bind(work.user),
            What::Read => {
                let row = sqlx::query(statements.read).bind(work.user).fetch_one(&mut self.0).await?;
                let seen = [row.try_get(0)?];
                return if work.is_kept(&seen) { Ok(()) } else { Err(format!("reads {seen:?}").into()) };
            }
        };
        match query.execute(&mut self.0).await?.rows_affected() {
            1 => Ok(()),
            rows => Err(format!("{rows} rows").into()),
        }
    }
}

/// Whether a column is not there: `undefined_column`.
pub(crate) fn is_of_another_shape(error: &Error) -> bool {
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| error.code().as_deref() == Some("42703"))
}
