#!/usr/bin/env python3
"""Whole changes in MongoDB, from expand to done, beside the one updateMany that would copy the field.

Runs alone: `benches/kit/changes_mongo.py [--rounds 3] [--count 1000000] [--only rename,drop] [--dunlin PROGRAM]`.
"""
import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is left in the checkout
import moves_kit  # noqa: E402
import stores  # noqa: E402
from measure import Command, Failure  # noqa: E402
from moves_kit import Bar, Way  # noqa: E402
from moves_mongo import Mongo  # noqa: E402

ONE = "one updateMany"
# Each with what finds documents that are not as they must be afterwards, and the bar.
CHANGES = {
    "rename": ('rename_field = { collection = "users", from = "oldName", to = "newName" }',
               [{"oldName": {"$exists": True}}, {"newName": {"$exists": False}}], 3),
    "drop": ('drop_field = { collection = "users", field = "oldName" }', [{"oldName": {"$exists": True}}], 4),
    "retype": ('change_type = { collection = "users", field = "age", to = "int" }', [{"age": {"$not": {"$type": "int"}}}], 4),
    "beside": ('change_type = { collection = "users", field = "age", to = "int", as = "years" }',
               [{"age": {"$exists": True}}, {"years": {"$not": {"$type": "int"}}}], 5),
}


class Changes(Mongo):
    """The same collection as that of the moves."""

    def __init__(self, name, urls, work, options):
        super().__init__("mongodb", urls, work, options)
        self.only = getattr(options, "only", None) or list(CHANGES)

    def __enter__(self):
        self.run("fill", self.count)
        for name in self.only:
            directory = self.folder / name
            directory.mkdir(parents=True)
            (directory / f"1_{name}.toml").write_text(f'[[change]]\nstore = "catalog"\n{CHANGES[name][0]}\n')
        return self

    def ways(self):
        """One command first: it is what the others are compared with."""
        whole = lambda name: Command([*self.dunlin(1, name).argv, "--contract", "--yes"])  # noqa: E731
        return [Way(ONE, self.script("update", "majority")), *(Way(f"dunlin, {name}", whole(name)) for name in self.only)]

    def settle(self, way):
        """Fails unless the change was made everywhere, and what it was is kept where that is promised."""
        place = (self.database.host, self.database.port, self.database.name)
        queries = CHANGES[way.name.split(", ")[-1]][1] if way.name != ONE else [{"newName": {"$exists": False}}]
        left = sum(stores.bson.run(*place, {"count": "users", "query": query})["n"] for query in queries)
        if left != 0:
            raise Failure(f"mongodb, {way.name}: {left} documents were not changed")
        for name in ("dunlin_history", "dunlin_journal", "dunlin_lock", "dunlin_archive_1_1"):
            if stores.bson.run(*place, {"listCollections": 1, "filter": {"name": name}})["cursor"]["firstBatch"]:
                stores.bson.run(*place, {"drop": name})

    @staticmethod
    def bars(_name, runs, _is_flat):
        """What dunlin is held to."""
        found = []
        for name, (_, _, limit) in CHANGES.items():
            way = f"dunlin, {name}"
            if way in runs:
                found.append(Bar(f"mongodb, {name}: time, to one updateMany", 1 / moves_kit.ratio(runs, way, ONE), limit))
                found.append(Bar(f"mongodb, {name}: memory", max(run.peak for run in runs[way]), 80, unit=" MiB"))
                waits = moves_kit.wait(runs, way, 0.99) / moves_kit.wait(runs, ONE, 0.99)
                found.append(Bar(f"mongodb, {name}: the writer's p99, to that beside one updateMany", waits, 1))
        return found


STORES = {"mongodb": Changes}


def main():
    """Exits with 1 where a bar is missed, with 2 where nothing could be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--only", type=lambda text: text.split(","), metavar="A,B", help=f"of {', '.join(CHANGES)}")
    parser.add_argument("--dunlin", type=Path, default=stores.REPOSITORY / "target/release/dunlin", metavar="PROGRAM")
    parser.set_defaults(flat=None)
    options = parser.parse_args()
    urls, work = stores.servers(), Path(tempfile.mkdtemp(prefix="dunlin-bench-"))
    try:
        if why := stores.absence("mongodb", urls):
            raise Failure(why)
        with Changes("mongodb", urls, work, options) as store:
            runs = moves_kit.rounds(store, options.rounds)
    except Failure as failure:
        print(f"changes_mongo: {failure}", file=sys.stderr)
        sys.exit(2)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    bars = Changes.bars("mongodb", runs, False)
    print(f"# {options.count:,} documents, {os.cpu_count()} cores, median of {options.rounds} rounds")
    print(moves_kit.text({"mongodb": runs}, bars, {}))
    sys.exit(0 if all(bar.is_met() for bar in bars) else 1)


if __name__ == "__main__":
    main()
