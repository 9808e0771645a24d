//! A shop with two stores, for the tests of commands that work on stores.

use super::Case;

const CONFIG: &str = "[stores.app]\nurl = \"sqlite:app.db?create=true\"\n[stores.audit]\nurl = \"sqlite:audit.db?create=true\"\n";

/// Users in both stores, orders in one. Nothing has run yet.
pub(super) fn shop() -> Case {
    Case::new()
        .variable("USER", "ann")
        .file("dunlin.toml", CONFIG)
        .file(
            "migrations/1_users.app.sql",
            "-- Up\ncreate table users (id integer primary key, email text);\ninsert into users (email) values ('a@x');\n-- Down\ndrop table users;\n",
        )
        .file("migrations/1_users.audit.sql", "-- Up\ncreate table log (line text);\n-- Down\ndrop table log;\n")
        .file("migrations/2_orders.app.sql", "-- Up\ncreate table orders (id integer primary key);\n-- Down\ndrop table orders;\n")
}

/// The same with one store, called `app`.
pub(super) fn stall() -> Case {
    Case::new().variable("USER", "ann").variable("DATABASE_URL", "sqlite:app.db?create=true").file(
        "migrations/1_users.sql",
        "-- Up\ncreate table users (id integer primary key);\n-- Down\ndrop table users;\n",
    )
}

/// A migration whose second statement cannot be run.
pub(super) const BROKEN: &str =
    "-- Up\ncreate table fine (id int);\ncreate tabel broken (id int);\n-- Down\ndrop table fine;\n";
