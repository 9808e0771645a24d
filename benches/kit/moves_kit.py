"""What every store's bench of moves shares: the rounds, the client that writes meanwhile, the report.

A store is a context manager with `ways()`, `reset()`, `probe()`, `settle(way)` and a static `bars(name, runs, is_flat)`.
"""
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from measure import Failure, measure, median


@dataclass
class Way:
    """One way of moving the records."""
    name: str
    command: object           # a measure.Command
    follows: bool = False     # it looks at what the way before it left: nothing is put back first
    is_probed: bool = True


@dataclass
class Run:
    """What one way cost once."""
    wall: float               # s
    peak: float               # MiB
    waits: list = field(default_factory=list)  # ms, how long the other client waited each time
    counted: float = 0.0      # what the store counts beside: MB of its log


class Probe(threading.Thread):
    """Another client: `once` changes one record and returns when that is done. Closed loop, a few milliseconds apart."""

    PAUSE = 0.003

    def __init__(self, once):
        super().__init__(daemon=True)
        self.once, self.waits, self.is_over, self.failure = once, [], threading.Event(), None

    def run(self):
        try:
            while not self.is_over.is_set():
                began = time.perf_counter()
                self.once()
                self.waits.append((time.perf_counter() - began) * 1000)
                time.sleep(self.PAUSE)
        except Exception as failure:  # a probe that fails must not look like one that never waited
            self.failure = failure

    def end(self):
        """Its figures."""
        self.is_over.set()
        self.join()
        if self.failure:
            raise Failure(f"the other client failed: {self.failure}")
        return self.waits


def rounds(store, count):
    """All ways, so many times; every round begins with another one."""
    ways, found = store.ways(), {}
    groups = []
    for way in ways:
        groups.append([way]) if not way.follows else groups[-1].append(way)
    for at in range(count):
        for group in groups[at % len(groups):] + groups[:at % len(groups)]:
            for way in group:
                found.setdefault(way.name, []).append(once(store, way))
                print(f"{store.name} {at + 1}/{count} {way.name}: {found[way.name][-1].wall:.2f} s", file=sys.stderr)
    return {way.name: found[way.name] for way in ways}


def once(store, way):
    """One way, from the start."""
    if not way.follows:
        store.reset()
    before = store.counter()
    with store.probe() as change:
        probe = Probe(change)
        if way.is_probed:
            probe.start()
        try:
            cost = measure(way.command)
        finally:
            waits = probe.end() if way.is_probed else []
    run = Run(cost.wall / 1000, cost.peak, waits, store.counter() - before)
    store.settle(way)
    return run


def flat(store):
    """The rates of the first and of the last tenth, records a second, and the peak of memory."""
    store.reset()
    command = store.dunlin(1, is_json=True)
    process = subprocess.Popen([str(word) for word in command.argv], cwd=command.directory, stdout=subprocess.PIPE, text=True)
    seen, step, peak = [], None, 0.0
    for line in process.stdout:
        peak = max(peak, resident(process.pid))
        event = json.loads(line)
        scanned = (event.get("seen") or {}).get("scanned")
        # The first step that goes through records; what follows begins to count anew.
        step = step or (scanned and event["summary"])
        if scanned and event["summary"] == step:
            seen.append((time.perf_counter(), scanned))
    if process.wait() != 0:
        raise Failure(f"dunlin ended with {process.returncode}")
    return {"rates": (rate(seen, 0.0, 0.1), rate(seen, 0.9, 1.0)), "peak": peak}


def resident(pid):
    """MiB that a process had in memory at most so far; nothing of one that has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return sum(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        return 0.0


def rate(seen, start, end):
    """Records a second between two shares of the whole, which begins with the first report: nobody saw how long what came
    before it took.
    """
    first = seen[0][1]
    total = seen[-1][1] - first
    return total * (end - start) / (moment(seen, first + total * end) - moment(seen, first + total * start))


def moment(seen, wanted):
    """When so many records were done: between two reports, in proportion."""
    for (began, before), (ended, after) in zip(seen, seen[1:]):
        if after >= wanted and after > before:
            return began + (ended - began) * max(wanted - before, 0) / (after - before)
    return seen[-1][0]


def wall(runs, name):
    """The median, in seconds."""
    return median([run.wall for run in runs[name]])


def ratio(runs, one, other):
    """How many times as fast one way is as another one: paired within each round, then the median."""
    return median([second.wall / first.wall for first, second in zip(runs[one], runs[other])])


def wait(runs, name, share):
    """The median over the rounds of how long the other client waited at this percentile."""
    return median([percentile(run.waits, share) for run in runs[name]])


def percentile(numbers, share):
    """The number below which this share of them lies."""
    ordered = sorted(numbers) or [0.0]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def plain(runs):
    """For JSON."""
    if "rates" in runs:
        return runs
    return {name: [vars(run) for run in each] for name, each in runs.items()}


def text(found, bars, absent):
    """The report, in Markdown."""
    lines = []
    for store, runs in found.items():
        if "rates" in runs:
            first, last = runs["rates"]
            one, other = runs.get("of", ("in the first tenth", "in the last"))
            lines.append(f"\n{store}: {first:,.0f} records/s {one}, {last:,.0f} {other}, {runs['peak']:.0f} MiB")
            continue
        base = next(iter(runs))
        lines += [f"\n## {store}\n", f"| way | s | speed to {base} | other client p50 / p99 / max ms | log MB | peak MiB |",
                  "|---|---|---|---|---|---|"]
        for name, each in runs.items():
            waits = " / ".join(f"{wait(runs, name, share):.1f}" for share in (0.5, 0.99, 1.0)) if each[0].waits else "-"
            lines.append(f"| {name} | {wall(runs, name):.2f} | x{ratio(runs, name, base):.2f} | {waits} | "
                         f"{median([run.counted for run in each]):.0f} | {max(run.peak for run in each):.0f} |")
    lines += ["\n| bar | measured | wanted | |", "|---|---|---|---|"] if bars else []
    lines += [f"| {bar.name} | {bar.measured()} | {bar.wanted()} | {bar.verdict()} |" for bar in bars]
    lines += [f"\n{store}: not measured: {why}" for store, why in absent.items()]
    return "\n".join(lines)


@dataclass
class Bar:
    """A figure that must not be below, or above, another one."""
    name: str
    value: float
    limit: float
    is_least: bool = False
    unit: str = ""

    def is_met(self):
        """Whether it is good enough, as it is shown."""
        value = round(self.value, 2)
        return value >= self.limit if self.is_least else value <= self.limit

    def measured(self):
        """What was found."""
        return f"{self.value:.2f}{self.unit}"

    def wanted(self):
        """What it must be."""
        return f"{'>=' if self.is_least else '<='} {self.limit:g}{self.unit}"

    def verdict(self):
        """ok, or not."""
        return "ok" if self.is_met() else "**missed**"
