"""Moving documents in MongoDB: dunlin's walk beside one updateMany, and beside a script of bulkWrites."""
import contextlib
import os
import subprocess
from pathlib import Path

import moves_kit
import stores
from measure import Command, Failure, ask
from moves_kit import Bar, Way

SCRIPT = Path(__file__).with_suffix(".js")
DRIVER = Path.home() / ".cache/dunlin/peers/npm/migrate-mongo/node_modules"
PARTS = {
    "move": '[[backfill]]\nstore = "catalog"\n'
            "update_many = { collection = \"users\", filter = {}, pipeline = \"[{ $set: { newName: '$oldName' } }]\" }\n",
    "check": '[[verify]]\nstore = "catalog"\nsame = { collection = "users", field = "newName", as = "$oldName" }\n',
}
ONE, LIGHT, BULK, OURS = "one updateMany", "one updateMany, w: 1", "bulkWrites of 1000", "dunlin"


class Mongo:
    """A database with a collection `users`, and one like it from which it is put back."""

    def __init__(self, name, urls, work, options):
        self.name, self.options, self.count = name, options, options.flat or options.count
        if not DRIVER.is_dir():
            raise Failure("the mongodb driver is not there (benches/peers migrate-mongo)")
        self.database = stores.fresh(name, "moves", urls, work)
        self.program = options.dunlin.resolve()
        self.folder = work / f"moves-{name}"

    def __enter__(self):
        self.run("fill", self.count)
        for part, text in PARTS.items():
            directory = self.folder / part
            directory.mkdir(parents=True)
            (directory / f"1_{part}.toml").write_text(text)
        return self

    def __exit__(self, *_):
        stores.drop(self.database)

    def script(self, what, *arguments):
        """The command that does one thing by the driver."""
        argv = ["node", SCRIPT, what, self.database.url(), *arguments]
        return Command([str(word) for word in argv], env={"NODE_PATH": str(DRIVER)})

    def run(self, what, *arguments):
        """What it prints."""
        command = self.script(what, *arguments)
        return ask(command.argv, env=command.env)

    def reset(self):
        """The documents as they were, and nothing of dunlin's."""
        self.run("reset")

    def dunlin(self, _jobs, part="move", is_json=False):
        """The program over one of our folders."""
        argv = [self.program, "up", "--url", self.database.url(), "--migrations", self.folder / part]
        return Command(argv + (["--json"] if is_json else []))

    def ways(self):
        """One command first: it is what the others are compared with."""
        return [
            Way(ONE, self.script("update", "majority")),
            Way(LIGHT, self.script("update", "1")),
            Way(BULK, self.script("bulk")),
            Way(OURS, self.dunlin(1)),
            Way("dunlin, verify", self.dunlin(1, "check"), follows=True, is_probed=False),
        ]

    def settle(self, way):
        """Fails unless all documents were moved; makes the way free for a verify."""
        left = int(self.run("left"))
        if left != 0:
            raise Failure(f"{self.name}, {way.name}: {left} documents were not moved")
        if way.name == OURS:
            for name in ("dunlin_history", "dunlin_journal", "dunlin_lock"):
                stores.bson.run(self.database.host, self.database.port, self.database.name, {"drop": name})

    def counter(self):
        """Nothing is counted here."""
        return 0.0

    @contextlib.contextmanager
    def probe(self):
        """A call that changes one document, at random, over a connection of its own."""
        command = self.script("probe")
        shell = subprocess.Popen(command.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, **command.env})
        shell.stdout.readline()

        def once():
            shell.stdin.write("\n")
            shell.stdin.flush()
            if shell.stdout.readline().strip() != "done":
                raise Failure("it was not answered")
        yield once
        shell.stdin.close()
        shell.wait()

    @staticmethod
    def bars(name, runs, is_flat):
        """What dunlin is held to."""
        if is_flat:
            first, last = runs["rates"]
            return [Bar(f"{name}: last tenth to the first", last / first, 0.9, is_least=True),
                    Bar(f"{name}: memory", runs["peak"], 80, unit=" MiB")]
        speed = lambda base: moves_kit.ratio(runs, OURS, base)  # noqa: E731
        waits = moves_kit.wait(runs, OURS, 0.99)
        share = moves_kit.wall(runs, "dunlin, verify") / moves_kit.wall(runs, OURS)
        return [
            Bar(f"{name}: memory", max(run.peak for run in runs[OURS]), 80, unit=" MiB"),
            Bar(f"{name}: speed, to one updateMany at majority", speed(ONE), 0.85, is_least=True),
            Bar(f"{name}: speed, to bulkWrites of 1000", speed(BULK), 3, is_least=True),
            Bar(f"{name}: the writer's p99", waits, 30, unit=" ms"),
            Bar(f"{name}: the writer's p99, to that beside one updateMany", waits / moves_kit.wait(runs, ONE, 0.99), 1),
            Bar(f"{name}: verify, to the move", share, 0.25),
        ]


STORES = {"mongodb": Mongo}
