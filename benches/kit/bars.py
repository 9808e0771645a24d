"""The bars: what dunlin promises of its speed, checked as ratios within one run."""
from dataclasses import dataclass

import tools
from measure import typical
from report import milliseconds, noise
from run import TEN_THOUSAND

TRANSACTIONAL = ("sqlite", "postgres")


@dataclass
class Bar:
    """A number that must not be above another one."""
    name: str
    value: object  # None where it was not measured
    limit: float
    unit: str = ""  # "" for a ratio
    note: str = ""

    def is_met(self):
        """Whether the number is good enough."""
        return self.value is None or self.value <= self.limit

    def shown(self, value):
        """A number with its unit."""
        return f"{value:.2f}{' ' + self.unit if self.unit else ''}" if self.unit else f"x{value:.2f}"

    def measured(self):
        """What was found."""
        return "-" if self.value is None else self.shown(self.value)

    def wanted(self):
        """What it may be at most."""
        return f"<= {self.shown(self.limit)}"

    def verdict(self):
        """ok, or by how much it is missed."""
        if self.value is None:
            return "not measured"
        return "ok" if self.is_met() else f"**short by x{self.value / self.limit:.2f}**"


def all_of(results, count):
    """Every bar, measured or not."""
    bars = []
    for store in TRANSACTIONAL:
        for phase, words in (("status", f"`status`, {count:,} applied"), ("no-op", "`up` with nothing to do")):
            bars.append(against_peers(results, (store, count, phase), words, tools.NAMES))
        each = [tool.name for tool in tools.TOOLS if tool.one_transaction_each]
        bars.append(against_peers(results, (store, count, "up"), f"`up` of {count:,}", each))
    bars += counted(results)
    for store in ("sqlite", "postgres", "mariadb"):
        bars.append(ratio(results, f"{store}: `down {count}` to the floor", (store, count, "dunlin", "down"),
                          (store, count, "floor", "down"), 1.2))
    bars.append(ratio(results, f"mongodb: `up` of {count:,} to migrate-mongo", ("mongodb", count, "dunlin", "up"),
                      ("mongodb", count, "migrate-mongo", "up"), 0.2))
    bars += [flat(results, store, count) for store in ("sqlite", "postgres", "mariadb", "mongodb", "redis")]
    return bars + program(results)


def against_peers(results, place, words, names):
    """dunlin to the fastest of some peers."""
    store, count, phase = place
    peers = [name for name in names if name not in ("dunlin", "floor") and (store, count, name, phase) in results.costs]
    best = min(peers, key=lambda name: typical(results.costs[store, count, name, phase]).wall, default="peers")
    return ratio(results, f"{store}: {words}, to the fastest peer", (store, count, "dunlin", phase),
                 (store, count, best, phase), 1.0)


def ratio(results, name, ours, theirs, limit):
    """One wall to another one."""
    if ours not in results.costs or theirs not in results.costs:
        return Bar(name, None, limit)
    mine, other = (typical(results.costs[key]) for key in (ours, theirs))
    note = (f"{milliseconds(mine.wall)} ms ({noise(results.costs[ours])}) to {theirs[2]}'s {milliseconds(other.wall)} ms "
            f"({noise(results.costs[theirs])}); cpu {milliseconds(mine.cpu)} to {milliseconds(other.cpu)}")
    return Bar(name, mine.wall / other.wall, limit, note=note)


def counted(results):
    """Commits and statements on PostgreSQL."""
    if "dunlin" in results.counted:
        # One statement a run is 0.005 a migration here: not what the bar is about.
        commits, messages, statements = (round(number, 2) for number in results.counted["dunlin"])
        note = f"in {messages:.2f} messages"
    else:
        commits = statements = None
        note = ""
    return [Bar("postgres: commits for each migration", commits, 1.1, "commits"),
            Bar("postgres: statements for each migration", statements, 5, "statements", note)]


def flat(results, store, count):
    """The cost of one of 10,000 migrations to one of fewer, and how that grows for the shell: SQLite's own does."""
    name = f"{store}: cost for each migration, {TEN_THOUSAND:,} to {count:,}"

    def growth(tool):
        many, few = ((store, size, tool, "up") for size in (TEN_THOUSAND, count))
        if many not in results.costs or few not in results.costs:
            return None
        return typical(results.costs[many]).wall / TEN_THOUSAND / (typical(results.costs[few]).wall / count)

    ours, floor = growth("dunlin"), growth("floor")
    if ours is None:
        return Bar(name, None, 1.2)
    if floor is None:
        return Bar(name, ours, 1.2, note="no floor here")
    return Bar(name, ours / max(floor, 1), 1.2, note=f"x{ours:.2f}; the floor itself x{floor:.2f}, which is taken off")


def program(results):
    """The program itself: start, size, memory."""
    start = typical(results.versions["dunlin"]).wall if "dunlin" in results.versions else None
    bars = [Bar("`--version`", start, 10, "ms"), Bar("size of the program", results.megabytes.get("dunlin"), 30, "MB")]
    peaks = {}
    for (store, count, tool, _), runs in results.costs.items():
        if (tool, count) == ("dunlin", TEN_THOUSAND):
            peaks[store] = max(peaks.get(store, 0), typical(runs).peak)
    bars += [Bar(f"{store}: peak memory at {TEN_THOUSAND:,}", peak, 40, "MiB") for store, peak in peaks.items()]
    return bars if peaks else bars + [Bar(f"peak memory at {TEN_THOUSAND:,}", None, 40, "MiB", "run with --ten")]
