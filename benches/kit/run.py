"""The runs: rounds over a store, all tools interleaved in each phase, each in a database of its own."""
import sys
from dataclasses import dataclass, field
from pathlib import Path

import files
import stores
import tools
from measure import Failure, ask, measure
from proxy import Proxy

# Short commands are measured so often in each round.
REPEATS = 5
TEN_THOUSAND = 10_000
# More than these do not go back: no bar asks for it, and it takes as long again.
GOES_BACK = 2000
# Migrations by which the history grows where commits and statements are counted.
COUNTED = 200


@dataclass
class Results:
    """Costs by (store, count, tool, phase), failures by (store, count, tool), and what was counted on PostgreSQL."""
    costs: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)
    counted: dict = field(default_factory=dict)  # tool -> (commits, messages, statements) a migration
    versions: dict = field(default_factory=dict)  # tool -> costs of --version
    few: dict = field(default_factory=dict)  # store -> how many migrations `--count` became there
    many: dict = field(default_factory=dict)  # store -> how many `--ten` became there
    absent: dict = field(default_factory=dict)  # (store, tool, or what else of it) -> why
    megabytes: dict = field(default_factory=dict)  # tool -> size of its program

    def add(self, key, cost):
        """One more run."""
        self.costs.setdefault(key, []).append(cost)


@dataclass
class Bench:
    """What all runs need to know."""
    urls: dict
    work: Path
    binaries: tools.Binaries
    results: Results


@dataclass
class Lane:
    """One tool in one round."""
    tool: tools.Tool
    database: stores.Database
    commands: dict
    is_out: bool = False


def say(text):
    """Progress, away from the report."""
    print(text, file=sys.stderr, flush=True)


def layout(bench, tool, store, count):
    """The directory with a tool's migrations, written once for all rounds."""
    directory = bench.work / f"{store}-{tool.name}-{count}"
    if not directory.exists():
        files.write(tool.name, directory, store, 1, count)
    return directory


def rounds(bench, store, chosen, count, number):
    """So many rounds with so many migrations, or with so many as fit; how many these were, or 0."""
    fits, why = stores.fitting(store, len(chosen), count, bench.urls)
    if why:
        bench.results.absent[store, f"{count:,} migrations"] = why
    if fits < 1:
        return 0
    for index in range(number):
        say(f"{store}: {fits:,} migrations, round {index + 1} of {number}")
        # Another one begins each time, so that none always has the quietest or the busiest place.
        turn = index % len(chosen)
        one_round(bench, store, chosen[turn:] + chosen[:turn], fits)
    return fits


def one_round(bench, store, chosen, count):
    """All phases of all tools."""
    lanes = []
    try:
        for tool in chosen:
            lanes.append(lane(bench, store, tool, count))
        phase(bench, lanes, count, "up", count)
        for _ in range(REPEATS):
            phase(bench, lanes, count, "status", None)
        for _ in range(REPEATS):
            phase(bench, [one for one in lanes if one.tool.name != "floor"], count, "no-op", None)
        if count <= GOES_BACK:
            phase(bench, lanes, count, "down", 0)
    finally:
        for one in lanes:
            drop(one.database)


def drop(database):
    """Removes a database; one that does not go is named, and does not keep the others."""
    try:
        stores.drop(database)
    except (Failure, OSError) as failure:
        say(f"{database.store}: {database.name} is still there: {failure}")


def lane(bench, store, tool, count):
    """A tool before a fresh database."""
    directory = layout(bench, tool, store, count)
    database = stores.fresh(store, tool.name, bench.urls, bench.work)
    commands = tools.commands(tool, tools.Place(database, directory, count, bench.binaries))
    commands["no-op"] = commands["up"]
    return Lane(tool, database, commands)


def phase(bench, lanes, count, name, expected):
    """One command of every tool that has it; afterwards the database holds what it must, or the tool is out."""
    for one in lanes:
        if one.is_out or name not in one.commands:
            continue
        store = one.database.store
        try:
            cost = measure(one.commands[name])
            found = None if expected is None else stores.count(one.database)
            if found != expected:
                raise Failure(f"after {name} the database shows {found:g} of {expected} migrations")
            bench.results.add((store, count, one.tool.name, name), cost)
        except Failure as failure:
            one.is_out = True
            say(f"{store}: {one.tool.name}: {name}: {failure}")
            bench.results.failures[store, count, one.tool.name] = f"{name}: {failure}"


def count_statements(bench, chosen):
    """Commits, messages and statements that one more migration costs on PostgreSQL.

    What a run costs in any case, the lock included, is taken off: the history grows by one, and then by many.
    """
    for tool in chosen:
        say(f"postgres: commits and statements of {tool.name}")
        directory = bench.work / f"counted-{tool.name}"
        database = stores.fresh("postgres", f"{tool.name}_counted", bench.urls, bench.work)
        try:
            files.write(tool.name, directory, "postgres", 1, 1)
            counted_up(bench, tool, database, directory)
            files.write(tool.name, directory, "postgres", 2, 2)
            one = counted_up(bench, tool, database, directory)
            files.write(tool.name, directory, "postgres", 3, 3 + COUNTED)
            many = counted_up(bench, tool, database, directory)
            if stores.count(database) != 3 + COUNTED:
                raise Failure("not all migrations were applied")
            bench.results.counted[tool.name] = [(after - before) / COUNTED for before, after in zip(one, many)]
        except Failure as failure:
            say(f"postgres: {tool.name}: {failure}")
        finally:
            drop(database)


def counted_up(bench, tool, database, directory):
    """Commits, messages and statements of one `up`."""
    before = stores.commits(database)
    with Proxy(database.host, database.port) as proxy:
        seen = stores.Database(**{**vars(database), "host": "127.0.0.1", "port": proxy.port})
        measure(tools.commands(tool, tools.Place(seen, directory, COUNTED, bench.binaries))["up"])
        return stores.commits(database) - before, proxy.messages, proxy.statements


def programs(bench):
    """The programs of those tools that are one."""
    peers = bench.binaries.peers
    found = {"dunlin": bench.binaries.dunlin}
    found |= {name: bench.binaries.cargo(name) for name in ("sqlx", "diesel", "refinery")}
    found |= {"dbmate": path for path in peers.glob("npm/dbmate/node_modules/@dbmate/*/bin/dbmate")}
    return {name: path for name, path in found.items() if path.exists()}


def start_times(bench, names, repeats=20):
    """How long `--version` takes, and how large the program is."""
    found = {name: path for name, path in programs(bench).items() if name in names}
    for name, path in found.items():
        bench.results.megabytes[name] = path.stat().st_size / 1e6
    for _ in range(repeats):
        for name, path in found.items():
            cost = measure(tools.Command([path, "--version"]))
            bench.results.versions.setdefault(name, []).append(cost)


def dunlin_version(bench):
    """What dunlin says of itself."""
    return ask([bench.binaries.dunlin, "--version"]) if bench.binaries.dunlin.exists() else "dunlin is not built"
