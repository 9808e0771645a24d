"""Moving rows in PostgreSQL, MariaDB and SQLite: dunlin's walk beside one UPDATE over the whole table."""
import contextlib
import os
import random
import sqlite3
import subprocess

import moves_kit
import stores
from measure import Command, Failure, ask
from moves_kit import Bar, Way

EXPR = {"sqlite": "first || ' ' || last", "postgres": "first || ' ' || last", "mariadb": "concat(first, ' ', last)"}
SERIES = {
    "sqlite": "(with recursive s(i) as (select 1 union all select i + 1 from s where i < {0}) select i from s) s",
    "postgres": "generate_series(1, {0}) s(i)",
    "mariadb": "(select seq as i from seq_1_to_{0}) s",
}
# About 190 bytes a row.
VALUES = {
    "sqlite": "i, 'first' || i, 'last' || (i * 7 % 1000003), printf('%.120c', 'x')",
    "postgres": "i, 'first' || i, 'last' || (i::bigint * 7 % 1000003), repeat('x', 120)",
    "mariadb": "i, concat('first', i), concat('last', i * 7 % 1000003), repeat('x', 120)",
}
TEXT = {"sqlite": "text", "postgres": "text", "mariadb": "varchar(160)"}
JOBS = {"sqlite": (1,), "postgres": (1, 2), "mariadb": (1, 2)}


class Sql:
    """A database with a table `users`, and one like it from which it is put back."""

    def __init__(self, name, urls, work, options):
        self.name, self.options, self.count = name, options, options.flat or options.count
        self.database = stores.fresh(name, "moves", urls, work)
        self.program = options.dunlin.resolve()
        self.folder = work / f"moves-{name}"

    def __enter__(self):
        text, name = TEXT[self.name], self.name
        key = "integer primary key" if name == "sqlite" else "bigint primary key"
        columns = f"id {key}, first {text}, last {text}, pad {text}, full_name {text}, touched integer not null default 0"
        if name == "sqlite":
            self.run("pragma journal_mode = wal")
        self.run(f"create table base ({columns})")
        self.run(f"insert into base (id, first, last, pad) select {VALUES[name]} from {SERIES[name].format(self.count)}")
        self.columns = columns
        for part, op in (("move", "update = { table = \"users\", set = { full_name = \"%s\" } }"),
                         ("check", "same = { table = \"users\", expr = \"full_name\", as = \"%s\" }")):
            phase = "backfill" if part == "move" else "verify"
            directory = self.folder / part
            directory.mkdir(parents=True)
            (directory / f"1_{part}.toml").write_text(f"[[{phase}]]\nstore = \"app\"\n{op % EXPR[name]}\n")
        return self

    def __exit__(self, *_):
        stores.drop(self.database)

    def shell(self, statement):
        """The command that sends one statement."""
        if self.name == "sqlite":
            return Command(["sqlite3", "-cmd", ".timeout 20000", self.database.name, statement])
        if self.name == "postgres":
            return Command([*stores.psql(self.database), "-c", statement])
        return Command([*stores.mariadb(self.database), "-e", statement], env=stores.password(self.database))

    def run(self, statement):
        """What a statement yields."""
        command = self.shell(statement)
        return ask(command.argv, env=command.env)

    def reset(self):
        """The rows as they were, on pages as full as they were, and nothing of dunlin's."""
        for table in ("users", "dunlin_history", "dunlin_journal", "dunlin_lock"):
            self.run(f"drop table if exists {table}")
        self.run(f"create table users ({self.columns})")
        self.run("insert into users select * from base")
        after = {"postgres": ["vacuum analyze users", "checkpoint"], "mariadb": ["analyze table users"],
                 "sqlite": ["analyze users", "pragma wal_checkpoint(truncate)"]}
        for statement in after[self.name]:
            self.run(statement)

    def dunlin(self, jobs, part="move", is_json=False):
        """The program over one of our folders."""
        argv = [self.program, "up", "--url", self.database.url(), "--migrations", self.folder / part, "--jobs", jobs]
        return Command(argv + (["--json"] if is_json else []))

    def ways(self):
        """One statement first: it is what the others are compared with."""
        single = f"update users set full_name = {EXPR[self.name]}"
        found = [Way("one UPDATE", self.shell(single))]
        for jobs in JOBS[self.name]:
            found.append(Way(f"dunlin, {jobs} worker{'s' if jobs > 1 else ''}", self.dunlin(jobs)))
        if self.name == "sqlite":
            found.append(Way("one UPDATE, alone", self.shell(single), is_probed=False))
            found.append(Way("dunlin, alone", self.dunlin(1), is_probed=False))
        found.append(Way("dunlin, verify", self.dunlin(1, "check"), follows=True, is_probed=False))
        return found

    def settle(self, way):
        """Fails unless all rows were moved; makes the way free for a verify."""
        left = self.run(f"select count(*) from users where full_name is null or full_name <> {EXPR[self.name]}")
        if int(left) != 0:
            raise Failure(f"{self.name}, {way.name}: {left} rows were not moved")
        if way.name.startswith("dunlin") and not way.follows:
            self.run("delete from dunlin_history")
            self.run("delete from dunlin_journal")

    def counter(self):
        """MB of the write-ahead log so far (PostgreSQL)."""
        if self.name != "postgres":
            return 0.0
        return int(float(self.run("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))) / 1e6

    @contextlib.contextmanager
    def probe(self):
        """A call that changes one row, at random, over a connection of its own."""
        change = "update users set touched = touched + 1 where id = {}"
        if self.name == "sqlite":
            connection = sqlite3.connect(self.database.name, timeout=30, isolation_level=None, check_same_thread=False)
            yield lambda: connection.execute(change.format(self.any()))
            connection.close()
            return
        command = self.shell("")
        argv = command.argv[:-2] + ([] if self.name == "postgres" else ["--unbuffered"])
        shell = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, **command.env})

        def once():
            shell.stdin.write(f"{change.format(self.any())}; select 1;\n")
            shell.stdin.flush()
            if shell.stdout.readline().strip() != "1":
                raise Failure("it was not answered")
        yield once
        shell.stdin.close()
        shell.wait()

    def any(self):
        """Some row."""
        return random.randint(1, self.count)

    @staticmethod
    def bars(name, runs, is_flat):
        """What dunlin is held to."""
        if is_flat:
            first, last = runs["rates"]
            return [Bar(f"{name}: last tenth to the first", last / first, 0.9, is_least=True),
                    Bar(f"{name}: memory", runs["peak"], 80, unit=" MiB")]
        speed = lambda way, base="one UPDATE": moves_kit.ratio(runs, way, base)  # noqa: E731
        one = "dunlin, 1 worker"
        found = [Bar(f"{name}: memory", max(run.peak for run in runs[one]), 80, unit=" MiB")]
        if name == "sqlite":
            check = "dunlin, alone"
            found += [Bar("sqlite: speed alone, to one UPDATE", speed(check, "one UPDATE, alone"), 0.8, is_least=True),
                      Bar("sqlite: speed beside a writer, to alone", speed(one, "one UPDATE, alone"), 0.25, is_least=True),
                      Bar("sqlite: the writer's p99", moves_kit.wait(runs, one, 0.99), 30, unit=" ms")]
        else:
            check = one
            found += [Bar(f"{name}: speed, to one UPDATE", speed(one), 1.0, is_least=True),
                      Bar(f"{name}: the writer's p99", moves_kit.wait(runs, one, 0.99), 20 if name == "postgres" else 30, unit=" ms")]
        if name == "postgres":
            logs = {way: moves_kit.median([run.counted for run in runs[way]]) for way in (one, "one UPDATE")}
            found += [Bar("postgres: speed of two workers, to one UPDATE", speed("dunlin, 2 workers"), 1.3, is_least=True),
                      Bar("postgres: log, to one UPDATE", logs[one] / logs["one UPDATE"], 1.0)]
        share = moves_kit.wall(runs, "dunlin, verify") / moves_kit.wall(runs, check)
        return found + [Bar(f"{name}: verify, to the move", share, 0.25)]


STORES = {name: Sql for name in ("postgres", "mariadb", "sqlite")}
