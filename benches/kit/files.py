"""The migrations themselves, in each tool's own layout: a table of five columns, an index, and the way back.

`write` adds the migrations first to last to a directory; a longer history is the same directory with more added.
"""
import os

COLUMNS = "id integer primary key, name varchar(100) not null, email varchar(200), score integer default 0, made timestamp"
NULLABLE = COLUMNS + " null"


def up(number, store):
    """The statements that apply a migration."""
    # MariaDB gives the first timestamp column a default that SQL does not know.
    columns = NULLABLE if store == "mariadb" else COLUMNS
    table = f"bench_{number:05}"
    return [f"create table {table} ({columns})", f"create index {table}_email on {table} (email)"]


def down(number, _store):
    """The statements that undo a migration."""
    return [f"drop table bench_{number:05}"]


def script(statements):
    """Statements as a text."""
    return ";\n".join(statements) + ";\n"


def write_text(path, text):
    """A file, and its directory where that is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def sqlx(directory, store, number):
    """`<version>_<name>.up.sql` and `.down.sql`."""
    name = f"{number:06}_bench"
    write_text(directory / f"{name}.up.sql", script(up(number, store)))
    write_text(directory / f"{name}.down.sql", script(down(number, store)))


def diesel(directory, store, number):
    """A directory for each migration."""
    home = directory / f"{number:06}_bench"
    write_text(home / "up.sql", script(up(number, store)))
    write_text(home / "down.sql", script(down(number, store)))


def refinery(directory, store, number):
    """`V<version>__<name>.sql`; there is no way back."""
    write_text(directory / f"V{number}__bench.sql", script(up(number, store)))


def dbmate(directory, store, number):
    """Both ways in one file, under marker comments."""
    text = f"-- migrate:up\n{script(up(number, store))}\n-- migrate:down\n{script(down(number, store))}"
    write_text(directory / f"{number:06}_bench.sql", text)


KNEX = """exports.up = (knex) => knex.schema.createTable("bench_{0:05}", (table) => {{
  table.integer("id").primary();
  table.string("name", 100).notNullable();
  table.string("email", 200).index("bench_{0:05}_email");
  table.integer("score").defaultTo(0);
  table.timestamp("made").nullable();
}});
exports.down = (knex) => knex.schema.dropTable("bench_{0:05}");
"""


def knex(directory, _store, number):
    """A module for each migration."""
    write_text(directory / f"{number:06}_bench.js", KNEX.format(number))


ALEMBIC = '''"""bench"""
import sqlalchemy as sa
from alembic import op

revision = "{0:06}"
down_revision = {1!r}


def upgrade():
    op.create_table(
        "bench_{0:05}",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("email", sa.String(200)),
        sa.Column("score", sa.Integer, server_default="0"),
        sa.Column("made", sa.DateTime),
    )
    op.create_index("bench_{0:05}_email", "bench_{0:05}", ["email"])


def downgrade():
    op.drop_table("bench_{0:05}")
'''


def alembic(directory, _store, number):
    """A module for each migration, which names the one before it."""
    before = f"{number - 1:06}" if number > 1 else None
    write_text(directory / "versions" / f"{number:06}_bench.py", ALEMBIC.format(number, before))


MIGRATE_MONGO = """module.exports = {{
  async up(db) {{
    await db.createCollection("bench_{0:05}");
    await db.collection("bench_{0:05}").createIndex({{ email: 1 }});
  }},
  async down(db) {{
    await db.collection("bench_{0:05}").drop();
  }},
}};
"""


def migrate_mongo(directory, _store, number):
    """A module for each migration."""
    write_text(directory / f"{number:06}_bench.js", MIGRATE_MONGO.format(number))


REDIS_UP = 'HSET bench:{0:05} name "" email "" score 0\nSADD bench:all {0:05}\n'
REDIS_DOWN = "SREM bench:all {0:05}\nDEL bench:{0:05}\n"
MONGOSH_UP = 'db.createCollection("bench_{0:05}");\ndb.bench_{0:05}.createIndex({{ email: 1 }});\n'
MONGOSH_DOWN = "db.bench_{0:05}.drop();\n"


def dunlin(directory, store, number):
    """Both ways in one file, in the language of the store."""
    name = f"{number:06}_bench"
    if store == "mongodb":
        text = f"// Up\n{MONGOSH_UP}\n// Down\n{MONGOSH_DOWN}".format(number)
        write_text(directory / f"{name}.js", text)
    elif store == "redis":
        write_text(directory / f"{name}.redis", f"# Up\n{REDIS_UP}\n# Down\n{REDIS_DOWN}".format(number))
    else:
        text = f"-- Up\n{script(up(number, store))}\n-- Down\n{script(down(number, store))}"
        write_text(directory / f"{name}.sql", text)


# How a shell keeps a history in the same transaction. MariaDB and MongoDB have no transactions around DDL.
HISTORY = "create table if not exists history (version varchar(20) primary key, made timestamp default current_timestamp)"
MONGOSH_RECORD = 'db.history.insertOne({{ _id: "{0:06}", made: new Date() }});\n'
MONGOSH_ERASE = 'db.history.deleteOne({{ _id: "{0:06}" }});\n'


def floor(directory, store, first, last):
    """One script for the database's own shell, with a transaction and a history row for each migration."""
    numbers = range(first, last + 1)
    ways = {"up": (numbers, floor_up), "down": (reversed(numbers), floor_down)}
    for way, (order, text) in ways.items():
        head = script([HISTORY]) if way == "up" and store in ("sqlite", "postgres", "mariadb") else ""
        with open(directory / f"{way}.txt", "w", encoding="ascii") as out:
            out.write(head)
            out.writelines(text(number, store) for number in order)


def floor_up(number, store):
    """A migration, as a shell is told it."""
    if store == "mongodb":
        return (MONGOSH_UP + MONGOSH_RECORD).format(number)
    if store == "redis":
        return "MULTI\n" + REDIS_UP.format(number) + f"HSET history {number:06} done\nEXEC\n"
    return transaction(store, up(number, store) + [f"insert into history (version) values ('{number:06}')"])


def floor_down(number, store):
    """The way back, as a shell is told it."""
    if store == "mongodb":
        return (MONGOSH_DOWN + MONGOSH_ERASE).format(number)
    if store == "redis":
        return "MULTI\n" + REDIS_DOWN.format(number) + f"HDEL history {number:06}\nEXEC\n"
    return transaction(store, down(number, store) + [f"delete from history where version = '{number:06}'"])


def transaction(store, statements):
    """Statements in one transaction, where the store has one for them."""
    return script(statements if store == "mariadb" else ["begin", *statements, "commit"])


LAYOUTS = {"dunlin": dunlin, "sqlx": sqlx, "diesel": diesel, "refinery": refinery, "dbmate": dbmate, "knex": knex,
           "alembic": alembic, "migrate-mongo": migrate_mongo}


def write(tool, directory, store, first, last):
    """Adds the migrations first to last of a tool."""
    directory.mkdir(parents=True, exist_ok=True)
    if tool == "floor":
        floor(directory, store, first, last)
    else:
        for number in range(first, last + 1):
            LAYOUTS[tool](directory, store, number)
    # A run may start while these are still on their way to the disk: that would be in its time.
    os.sync()
