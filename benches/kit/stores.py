"""The stores: a fresh database for each tool, what is in it, and its end.

Every database is made by this run, carries its process id, and is dropped by it. Connections are plain TCP on loopback
with a password (Redis and MongoDB: without), the same for every tool: what is compared is the tools, not TLS handshakes.
"""
import os
import shlex
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import bson
from measure import Failure, ask

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ["sqlite", "postgres", "mariadb", "mongodb", "redis"]
VARIABLES = {"postgres": "POSTGRES", "mariadb": "MYSQL", "mongodb": "MONGO", "redis": "REDIS"}
SHELLS = {"sqlite": "sqlite3", "postgres": "psql", "mariadb": "mariadb", "redis": "redis-cli"}
# A bench may be killed; after so long another one may take its Redis database.
CLAIM_SECONDS = 4 * 3600

# What others may open in the meantime.
SPARE_FILES = 1500


@dataclass
class Database:
    """A database of one tool. `name` is a path in SQLite and a number in Redis."""
    store: str
    name: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    query: str = ""

    def url(self, scheme=None, query=None):
        """The usual URL, with another scheme or other parameters where a tool wants them."""
        usual_scheme, usual_query = USUAL[self.store]
        scheme, query = scheme or usual_scheme, usual_query if query is None else query
        query = "&".join(part for part in (self.query, query) if part)
        login = f"{self.user}:{self.password}@" if self.user else ""
        place = self.name if self.store == "sqlite" else f"//{login}{self.host}:{self.port}/{self.name}"
        return f"{scheme}:{place}" + (f"?{query}" if query else "")


USUAL = {
    "sqlite": ("sqlite", ""),
    "postgres": ("postgres", "sslmode=disable"),
    "mariadb": ("mysql", "ssl-mode=DISABLED"),
    "mongodb": ("mongodb", ""),
    "redis": ("redis", ""),
}


def servers():
    """The servers' URLs by store: from the environment, else from `dev/servers env`."""
    known = dict(os.environ)
    script = REPOSITORY / "dev" / "servers"
    if script.exists():
        done = subprocess.run([script, "env"], capture_output=True, text=True, check=False)
        for word in shlex.split(done.stdout):
            name, found, value = word.partition("=")
            if found:
                known.setdefault(name, value)
    urls = {store: known.get(f"DUNLIN_TEST_{name}_URL") for store, name in VARIABLES.items()}
    return {store: url for store, url in urls.items() if url}


def absence(store, urls):
    """Why a store cannot be measured here; None where it can."""
    if store != "sqlite" and store not in urls:
        return f"no server: run dev/servers up, or set DUNLIN_TEST_{VARIABLES[store]}_URL"
    if store in SHELLS and not shutil.which(SHELLS[store]):
        return f"{SHELLS[store]} is not installed"
    if store == "mongodb" and urlsplit(urls[store]).username:
        return "this bench cannot log in to MongoDB: give it a server without a password"
    return None


def fitting(store, tools, count, urls):
    """How many migrations of so many tools fit into a server at once, in hundreds, and why no more; else None.

    MongoDB keeps a file open for each collection and each index, and ends itself when it may open no more.
    """
    if store != "mongodb":
        return count, None
    url = urlsplit(urls[store])
    process = Path("/proc") / str(bson.run(url.hostname, url.port, "admin", {"serverStatus": 1})["pid"])
    try:
        limits = (process / "limits").read_text().splitlines()
        used = len(list((process / "fd").iterdir()))
    except OSError:
        return count, None  # on another machine, or somebody else's: it is for them to know
    allowed = next(line.split()[3] for line in limits if line.startswith("Max open files"))
    if allowed == "unlimited" or int(allowed) >= used + SPARE_FILES + 2 * count * tools:
        return count, None
    fits = (int(allowed) - used - SPARE_FILES) // (2 * tools) // 100 * 100
    return fits, f"mongod may open {allowed} files, so each of {tools} tools gets {fits:,} migrations: raise its ulimit -n"


def fresh(store, tool, urls, work):
    """An empty database for a tool."""
    name = f"dunlin_bench_{os.getpid()}_{tool.replace('-', '_')}"
    if store == "sqlite":
        path = Path(work) / f"{name}.db"
        path.touch()
        return Database(store, str(path))
    url = urlsplit(urls[store])
    database = Database(store, name, url.hostname, url.port, url.username or "", url.password or "",
                        url.query if store == "mongodb" else "")
    if store == "postgres":
        admin(database, f'create database "{name}"')
    elif store == "mariadb":
        admin(database, f"create database `{name}`")
    elif store == "redis":
        database.name = claim(database)
    return database


def drop(database):
    """Removes a database and all that is in it."""
    store, name = database.store, database.name
    if store == "sqlite":
        for path in Path(name).parent.glob(Path(name).name + "*"):
            path.unlink()
    elif store == "postgres":
        admin(database, f'drop database if exists "{name}" with (force)')
    elif store == "mariadb":
        admin(database, f"drop database if exists `{name}`")
    elif store == "mongodb":
        bson.run(database.host, database.port, name, {"dropDatabase": 1})
    else:
        ask(redis(database) + ["flushdb"])
        ask(redis(database, "0") + ["del", claim_key(name)])


# Tables and their indexes. The tools' own history tables are not named like ours.
COUNTS = {
    "sqlite": "select count(*) from sqlite_master where name like 'bench\\_%' escape '\\'",
    "postgres": "select count(*) from pg_class where relname like 'bench\\_%' and relname not like '%pkey'",
    "mariadb": "select (select count(*) from information_schema.tables where table_schema = database() and table_name"
               " like 'bench\\_%') + (select count(*) from information_schema.statistics where table_schema = database()"
               " and index_name like 'bench\\_%')",
}
# So many of these does one migration make.
OBJECTS = {"sqlite": 2, "postgres": 2, "mariadb": 2, "mongodb": 1, "redis": 1}


def count(database):
    """How many migrations the database shows to have run, from what they made."""
    store = database.store
    if store == "sqlite":
        connection = sqlite3.connect(database.name)
        found = connection.execute(COUNTS[store]).fetchone()[0]
        connection.close()
    elif store == "postgres":
        found = int(ask(psql(database) + ["-c", COUNTS[store]]))
    elif store == "mariadb":
        found = int(ask(mariadb(database) + ["-e", COUNTS[store]], env=password(database)))
    elif store == "mongodb":
        found = collections(database)
    else:
        found = int(ask(redis(database) + ["scard", "bench:all"]))
    return found / OBJECTS[store]


def collections(database):
    """How many collections of ours a MongoDB database has."""
    place = (database.host, database.port, database.name)
    reply = bson.run(*place, {"listCollections": 1, "nameOnly": True, "cursor": {"batchSize": 20000}})
    if reply["cursor"]["id"] != 0:
        raise Failure("too many collections to count in one reply")
    return sum(one["name"].startswith("bench_") for one in reply["cursor"]["firstBatch"])


def commits(database):
    """How many transactions PostgreSQL has committed in a database. Asked from another one, so as not to count."""
    return int(admin(database, f"select xact_commit from pg_stat_database where datname = '{database.name}'"))


def admin(database, statement):
    """Runs a statement outside the database itself."""
    if database.store == "postgres":
        return ask(psql(database, "postgres") + ["-c", statement])
    return ask(mariadb(database, "mysql") + ["-e", statement], env=password(database))


def psql(database, name=None):
    """The shell's command line, on the database or on another one of its server."""
    inside = Database(**{**vars(database), "name": name or database.name})
    return ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", inside.url()]


def mariadb(database, name=None):
    """The shell's command line; the password goes into the environment."""
    place = ["-h", database.host, "-P", str(database.port), "-u", database.user]
    return ["mariadb", "--no-defaults", "--protocol=tcp", *place, "-N", "-B", name or database.name]


def password(database):
    """The environment of `mariadb`."""
    return {"MYSQL_PWD": database.password}


def redis(database, name=None):
    """The shell's command line."""
    login = ["--no-auth-warning", "-a", database.password] if database.password else []
    return ["redis-cli", "-h", database.host, "-p", str(database.port), "-n", name or database.name, *login]


def claim(database):
    """The number of an empty Redis database that no other program has. Claims lie in database 0, as those of the tests."""
    size = int(ask(redis(database, "0") + ["config", "get", "databases"]).split()[-1])
    for number in map(str, range(size - 1, 0, -1)):
        key = [claim_key(number), f"bench-{os.getpid()}", "nx", "ex", str(CLAIM_SECONDS)]
        if ask(redis(database, "0") + ["set", *key]) != "OK":
            continue
        if ask(redis(database, number) + ["dbsize"]).split()[-1] == "0":
            return number
        ask(redis(database, "0") + ["del", claim_key(number)])
    raise Failure("every Redis database is in use")


def claim_key(number):
    """The key that claims a Redis database."""
    return f"dunlin-test-claim:{number}"
