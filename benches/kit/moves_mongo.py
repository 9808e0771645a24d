"""Moving data in MongoDB: dunlin's walk beside what people do by hand.

A module of the moves bench: `prepare` fills a collection and puts it back, `PEERS` names what is compared, `dunlin` runs
the program over a directory of migrations, `Probe` is another client that writes meanwhile. Run by itself it measures
all of them in interleaved rounds and prints ratios:

    python moves_mongo.py --url 'mongodb://…/bench' --dunlin target/release/dunlin --count 1000000 --rounds 3

Needs pymongo.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# The kit has a `bson` of its own, which is not the one that pymongo needs.
KIT = os.path.dirname(os.path.abspath(__file__))
sys.path = [path for path in sys.path if os.path.abspath(path) != KIT]
sys.modules.pop("bson", None)

import pymongo
from pymongo import UpdateOne, WriteConcern

COLLECTION = "people"
PIPELINE = [{"$set": {"newName": "$oldName"}}]
STEP = """[[backfill]]
store = "app"
update_many = { collection = "people", filter = {}, pipeline = "[{ $set: { newName: '$oldName' } }]" }
undo = { update_many = { collection = "people", filter = {}, update = { "$unset" = { newName = "" } } } }
"""
VERIFY = """[[verify]]
store = "app"
same = { collection = "people", field = "newName", as = "$oldName" }
"""
CONVERT = """[[backfill]]
store = "app"
convert = { collection = "people", field = "age", to = "int" }
undo = { convert = { collection = "people", field = "age", to = "string" } }
"""


def collection(url, w=1):
    client = pymongo.MongoClient(url)
    return client.get_default_database().get_collection(COLLECTION, write_concern=WriteConcern(w))


def prepare(url, count):
    """Documents of about 300 bytes; where they are there already only what a run added is taken away."""
    people = collection(url)
    if people.estimated_document_count() != count:
        people.drop()
        pad = "x" * 190
        for start in range(0, count, 10_000):
            numbers = range(start, min(start + 10_000, count))
            people.insert_many(
                [{"oldName": f"name {n}", "age": str(n), "n": 0, "pad": pad} for n in numbers], ordered=False
            )
    else:
        people.with_options(write_concern=WriteConcern("majority")).update_many({}, {"$unset": {"newName": ""}})
    database = people.database
    for name in ("dunlin_history", "dunlin_journal", "dunlin_lock"):
        database.drop_collection(name)


def update_many(url, w):
    collection(url, w).update_many({}, PIPELINE)


def bulk_write(url, _w=1):
    """What a script does: a cursor, and a thousand updates at a time."""
    people = collection(url, "majority")
    batch = []
    for found in people.find({}, {"oldName": 1}):
        batch.append(UpdateOne({"_id": found["_id"]}, {"$set": {"newName": found["oldName"]}}))
        if len(batch) == 1000:
            people.bulk_write(batch, ordered=False)
            batch = []
    if batch:
        people.bulk_write(batch, ordered=False)


PEERS = {
    "updateMany majority": lambda url: update_many(url, "majority"),
    "updateMany w:1": lambda url: update_many(url, 1),
    "bulkWrite of 1000": bulk_write,
}


def dunlin(binary, url, text, command="up", extra=()):
    """Seconds, peak memory in MiB, and the events of one run."""
    with tempfile.TemporaryDirectory() as folder:
        migrations = os.path.join(folder, "migrations")
        os.mkdir(migrations)
        with open(os.path.join(migrations, "1_move.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        with open(os.path.join(folder, "dunlin.toml"), "w", encoding="utf-8") as file:
            file.write(f'[stores.app]\nurl = "{url}"\n')
        arguments = [binary, "-c", os.path.join(folder, "dunlin.toml"), "--migrations", migrations, "--json", command, *extra]
        began = time.monotonic()
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        events = []
        for line in process.stdout:
            events.append((time.monotonic() - began, json.loads(line)))
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"dunlin failed: {events[-1] if events else status}")
        return time.monotonic() - began, usage.ru_maxrss / 1024, events


def last_tenth(events):
    """The rate over the last tenth of the documents by that over the first."""
    points = []
    for at, event in events:
        seen = event.get("seen") or {}
        if event.get("event") == "started" and not points:
            points.append((at, 0))
        elif "scanned" in seen:
            points.append((at, seen["scanned"]))
        elif event.get("event") == "finished" and points and len(points) > 1:
            # The last bout ends the step: what it came past is the rest.
            points.append((at, event.get("rows", points[-1][1])))
            break
    total = points[-1][1]

    def when(share):
        goal = total * share
        for (before, low), (at, high) in zip(points, points[1:]):
            if low <= goal <= high and high > low:
                return before + (at - before) * (goal - low) / (high - low)
        return points[-1][0]

    return (when(0.1) - when(0)) / (when(1) - when(0.9))


class Probe:
    """Another client that changes one document after the other, a few milliseconds apart."""

    def __init__(self, url):
        people = collection(url)
        sample = people.aggregate([{"$sample": {"size": 3000}}, {"$project": {"_id": 1}}])
        self.ids = [found["_id"] for found in sample]
        self.url, self.times, self.is_over = url, [], False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        people = collection(self.url)
        while not self.is_over:
            began = time.monotonic()
            people.update_one({"_id": random.choice(self.ids)}, {"$inc": {"n": 1}})
            self.times.append((time.monotonic() - began) * 1000)
            time.sleep(random.uniform(0.001, 0.005))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()

    def figures(self):
        times = sorted(self.times)
        return times[len(times) // 2], times[int(len(times) * 0.99)], times[-1]


def rounds(options):
    """One figure for each of all, round by round, each round beginning with another one."""
    names = [*PEERS, "dunlin"]
    if options.only:
        names = [name for name in names if any(only in name for only in options.only.split(","))]
    figures = {name: [] for name in names}
    for number in range(options.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            prepare(options.url, options.count)
            row = {}
            probe = Probe(options.url) if options.probe else None
            if probe:
                probe.__enter__()
            began = time.monotonic()
            if name == "dunlin":
                _, row["memory"], events = dunlin(options.dunlin, options.url, STEP)
                row["last tenth"] = last_tenth(events)
            else:
                PEERS[name](options.url)
            row["s"] = time.monotonic() - began
            if probe:
                probe.__exit__()
                row["p50"], row["p99"], row["max"] = probe.figures()
            figures[name].append(row)
            print(number, name, {key: round(value, 2) for key, value in row.items()}, file=sys.stderr, flush=True)
    return figures


def verify_share(options):
    """The time of a verify by that of the move before it."""
    shares = []
    for _ in range(options.rounds):
        prepare(options.url, options.count)
        _, _, events = dunlin(options.dunlin, options.url, STEP + VERIFY)
        ends = [at for at, event in events if event.get("event") == "finished"]
        starts = [at for at, event in events if event.get("event") == "started"]
        move, check = ends[0] - starts[0], ends[1] - starts[1]
        shares.append(check / move)
        print(f"move {move:.2f} s, verify {check:.2f} s", file=sys.stderr)
    return statistics.median(shares)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--dunlin", required=True)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--verify", action="store_true")
    options = parser.parse_args()
    if options.verify:
        print(f"verify / move: {verify_share(options):.2f}")
        return
    figures = rounds(options)
    ours = figures.get("dunlin", [])
    print("| what | s | dunlin's speed by its | p50 / p99 / max ms |\n|---|---|---|---|")
    for name, rows in figures.items():
        seconds = statistics.median(row["s"] for row in rows)
        ratio = statistics.median(row["s"] / own["s"] for row, own in zip(rows, ours)) if ours else float("nan")
        waits = " / ".join(f"{statistics.median(row[key] for row in rows):.1f}" for key in ("p50", "p99", "max")) if options.probe else ""
        print(f"| {name} | {seconds:.2f} | {ratio:.2f} | {waits} |")
    if ours:
        print(f"memory {max(row['memory'] for row in ours):.0f} MiB, last tenth by first {statistics.median(row['last tenth'] for row in ours):.2f}")


if __name__ == "__main__":
    main()
