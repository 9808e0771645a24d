"""The tools: which stores each of them takes, and the command lines of its work.

A tool is a function from a place (store, database, directory, binaries) to its commands by name: `up`, `status`, `down`.
A missing `down` means that the tool cannot go back a thousand migrations in one command, a missing `status` that it has
none. Doing nothing (`no-op`) is `up` once more.
"""
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import stores
from measure import Command

SQL = ("sqlite", "postgres", "mariadb")


@dataclass
class Place:
    """Where a tool is to work."""
    database: stores.Database
    directory: Path
    count: int
    binaries: "Binaries"


@dataclass
class Binaries:
    """Where the tools are."""
    dunlin: Path
    peers: Path

    def cargo(self, name):
        """A program that cargo built."""
        return self.peers / "bin" / name

    def npm(self, package, path):
        """A program inside an npm package's own folder."""
        return self.peers / "npm" / package / "node_modules" / path


def dunlin(place):
    """dunlin, from its command line alone: no configuration file."""
    base = [place.binaries.dunlin, "--url", place.database.url(), "--migrations", place.directory]
    down = ["down", str(place.count), "--allow-data-loss", "-y"]
    return {"up": base + ["up"], "status": base + ["status"], "down": base + down}


def floor(place):
    """The database's own shell."""
    database, up, down = place.database, place.directory / "up.txt", place.directory / "down.txt"
    history = "select version from history order by version"
    if database.store == "sqlite":
        # -bail: a shell goes on after an error, and would look fast.
        shell = ["sqlite3", "-batch", "-bail", database.name]
        return {"up": Command(shell, stdin=up), "down": Command(shell, stdin=down), "status": shell + [history]}
    if database.store == "postgres":
        shell = stores.psql(database)
        return {"up": shell + ["-f", up], "down": shell + ["-f", down], "status": shell + ["-c", history]}
    if database.store == "mariadb":
        shell, env = stores.mariadb(database), stores.password(database)
        return {"up": Command(shell, stdin=up, env=env), "down": Command(shell, stdin=down, env=env),
                "status": Command(shell + ["-e", history], env=env)}
    if database.store == "mongodb":
        shell = ["node", place.binaries.npm("mongosh", "mongosh/bin/mongosh.js"), "--quiet", "--norc", database.url()]
        find = ["--eval", "db.history.find().sort({ _id: 1 }).toArray()"]
        return {"up": shell + ["--file", up], "down": shell + ["--file", down], "status": shell + find}
    shell = stores.redis(database)
    return {"up": Command(shell, stdin=up), "down": Command(shell, stdin=down), "status": shell + ["hgetall", "history"]}


def sqlx(place):
    """sqlx-cli."""
    base = [place.binaries.cargo("sqlx"), "migrate"]
    where = ["--source", place.directory, "--database-url", place.database.url()]
    return {"up": base + ["run"] + where, "status": base + ["info"] + where,
            "down": base + ["revert", "--target-version", "0"] + where}


def diesel(place):
    """diesel_cli."""
    store, url = place.database.store, place.database.url()
    if store == "sqlite":
        url = place.database.name
    elif store == "mariadb":
        url = place.database.url(query="")
    base = [place.binaries.cargo("diesel"), "--database-url", url, "migration"]
    where = ["--migration-dir", place.directory]
    return {"up": base + ["run"] + where, "status": base + ["list"] + where,
            "down": base + ["revert", "--all"] + where}


REFINERY = {"sqlite": "Sqlite", "postgres": "Postgres", "mariadb": "Mysql"}


def refinery(place):
    """refinery_cli: no status, no way back."""
    database, config = place.database, place.directory / "refinery.toml"
    lines = ["[main]", f'db_type = "{REFINERY[database.store]}"']
    if database.store == "sqlite":
        lines.append(f'db_path = "{database.name}"')
    else:
        lines += [f'db_host = "{database.host}"', f'db_port = "{database.port}"', f'db_user = "{database.user}"',
                  f'db_pass = "{database.password}"', f'db_name = "{database.name}"']
    config.write_text("\n".join(lines) + "\n")
    return {"up": [place.binaries.cargo("refinery"), "migrate", "-c", config, "-p", place.directory]}


def dbmate(place):
    """dbmate's program itself, without the script of its npm package. It goes back one migration at a time."""
    programs = sorted(place.binaries.peers.glob("npm/dbmate/node_modules/@dbmate/*/bin/dbmate"))
    base = [programs[0], "--url", place.database.url(query=None if place.database.store == "postgres" else ""),
            "--migrations-dir", place.directory, "--no-dump-schema"]
    return {"up": base + ["migrate"], "status": base + ["status"]}


KNEX = """module.exports = {{
  client: "{client}",
  connection: {connection},
  useNullAsDefault: true,
  migrations: {{ directory: "{directory}", loadExtensions: [".js"] }},
}};
"""
KNEX_CLIENTS = {"sqlite": "better-sqlite3", "postgres": "pg", "mariadb": "mysql2"}


def knex(place):
    """knex. It puts all pending migrations into one transaction where the store lets it."""
    database = place.database
    # Beside the migrations, which are all files of their folder.
    config = place.directory.with_name(place.directory.name + "_knexfile.js")
    url = '{ filename: "%s" }' % database.name if database.store == "sqlite" else f'"{database.url(query="")}"'
    text = KNEX.format(client=KNEX_CLIENTS[database.store], connection=url, directory=place.directory)
    config.write_text(text)
    base = ["node", place.binaries.npm("knex", "knex/bin/cli.js"), "--knexfile", config]
    # It wants to find itself beside the configuration, or here.
    env = {"NODE_PATH": str(place.binaries.npm("knex", ""))}
    verbs = {"up": ["migrate:latest"], "status": ["migrate:list"], "down": ["migrate:rollback", "--all"]}
    return {name: Command(base + verb, env=env) for name, verb in verbs.items()}


ALEMBIC_ENV = """import sqlalchemy as sa
from alembic import context

with sa.create_engine(context.config.get_main_option("url")).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
ALEMBIC_SCHEMES = {"sqlite": "sqlite", "postgres": "postgresql+psycopg", "mariadb": "mysql+pymysql"}


def alembic(place):
    """alembic. It puts all pending migrations into one transaction where the store has one."""
    database, directory = place.database, place.directory
    query = None if database.store == "postgres" else ""
    url = database.url(scheme=ALEMBIC_SCHEMES[database.store], query=query)
    if database.store == "sqlite":
        url = f"sqlite:///{quote(database.name)}"
    (directory / "env.py").write_text(ALEMBIC_ENV)
    config = directory / "alembic.ini"
    config.write_text(f"[alembic]\nscript_location = {directory}\nurl = {url.replace('%', '%%')}\n")
    base = [place.binaries.peers / "alembic/bin/alembic", "-c", config]
    return {"up": base + ["upgrade", "head"], "status": base + ["history", "--indicate-current"],
            "down": base + ["downgrade", "base"]}


MIGRATE_MONGO = """module.exports = {{
  mongodb: {{ url: "{url}", databaseName: "{name}", options: {{}} }},
  migrationsDir: "{directory}",
  changelogCollectionName: "changelog",
  migrationFileExtension: ".js",
  moduleSystem: "commonjs",
}};
"""


def migrate_mongo(place):
    """migrate-mongo. What one `up` applied is a block, and a block goes back in one command."""
    database = place.database
    config = place.directory.with_name(place.directory.name + "_config.js")
    config.write_text(MIGRATE_MONGO.format(url=database.url(), name=database.name, directory=place.directory))
    base = ["node", place.binaries.npm("migrate-mongo", "migrate-mongo/bin/migrate-mongo.js")]
    return {"up": base + ["up", "-f", config], "status": base + ["status", "-f", config],
            "down": base + ["down", "--block", "-f", config]}


@dataclass
class Tool:
    """A tool, the stores it takes, and whether each migration is a transaction of its own where the store has them."""
    name: str
    commands: object
    stores: tuple
    one_transaction_each: bool = True
    peer: str = ""  # its name in benches/peers; the tool is had when that is installed


TOOLS = [
    Tool("dunlin", dunlin, tuple(stores.NAMES)),
    Tool("floor", floor, tuple(stores.NAMES)),
    Tool("sqlx", sqlx, SQL, peer="sqlx"),
    Tool("diesel", diesel, SQL, peer="diesel"),
    Tool("refinery", refinery, SQL, peer="refinery"),
    Tool("dbmate", dbmate, SQL, peer="dbmate"),
    Tool("knex", knex, SQL, one_transaction_each=False, peer="knex"),
    Tool("alembic", alembic, SQL, one_transaction_each=False, peer="alembic"),
    Tool("migrate-mongo", migrate_mongo, ("mongodb",), peer="migrate-mongo"),
]
NAMES = [tool.name for tool in TOOLS]


def commands(tool, place):
    """A tool's commands at a place, ready to be measured."""
    found = tool.commands(place)
    return {name: one if isinstance(one, Command) else Command(one) for name, one in found.items()}


def absence(tool, store, binaries, ready):
    """Why a tool cannot be measured on a store; None where it can."""
    if tool.name == "dunlin" and not binaries.dunlin.exists():
        return f"{binaries.dunlin} is not built: cargo build --release"
    if tool.name == "floor" and store == "mongodb":
        return None if "mongosh" in ready else "mongosh is not installed (benches/peers mongosh)"
    if tool.peer and tool.peer not in ready:
        return f"not installed (benches/peers {tool.peer})"
    if tool.name == "diesel" and store == "mariadb" and not knows_mysql(binaries.cargo("diesel")):
        return "built without MySQL: its client library is missing here"
    return None


def knows_mysql(program):
    """Whether diesel was built with MySQL: it names its backends in its version."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return "mysql" in said.lower()


def installed(binaries):
    """The peers that benches/peers has installed."""
    ready = binaries.peers / "ready"
    found = {path.name for path in ready.iterdir()} if ready.exists() else set()
    return found if shutil.which("node") else found - {"knex", "migrate-mongo", "mongosh"}
