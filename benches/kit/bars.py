"""The bars: what dunlin promises of its speed, checked as ratios within one run."""
from dataclasses import dataclass

import tools
from measure import typical
from report import milliseconds, noise

TRANSACTIONAL = ("sqlite", "postgres")
SQL = ("sqlite", "postgres", "mariadb")


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
        # As it is shown: one statement a run is 0.005 a migration, and not what that bar is about.
        return self.value is None or round(self.value, 2) <= self.limit

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


def all_of(results):
    """Every bar of the stores that were measured."""
    found = []
    for store, count in results.few.items():
        if store in TRANSACTIONAL:
            found += transactional(results, store, count)
        if store == "postgres":
            found += counted(results)
        if store in SQL:
            found.append(ratio(results, f"{store}: `down {count}`, to the floor", (store, count, "dunlin", "down"),
                               (store, count, "floor", "down"), 1.2))
        if store == "mongodb":
            found.append(ratio(results, f"mongodb: `up` of {count:,}, to migrate-mongo", (store, count, "dunlin", "up"),
                               (store, count, "migrate-mongo", "up"), 0.2))
    for store, count in results.many.items():
        found += [flat(results, store, count), memory(results, store, count)]
    return found + program(results)


def transactional(results, store, count):
    """What a store that has transactions around all of its statements is held to."""
    each = [tool.name for tool in tools.TOOLS if tool.one_transaction_each]
    return [against_peers(results, (store, count, "status"), f"`status`, {count:,} applied", tools.NAMES),
            against_peers(results, (store, count, "no-op"), f"`up` with nothing to do, {count:,} applied", tools.NAMES),
            against_peers(results, (store, count, "up"), f"`up` of {count:,}", each)]


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
    quickest = min(c.wall for c in results.costs[ours]) / min(c.wall for c in results.costs[theirs])
    note = (f"{milliseconds(mine.wall)} ms ({noise(results.costs[ours])}) to {theirs[2]}'s {milliseconds(other.wall)} ms "
            f"({noise(results.costs[theirs])}); quickest runs x{quickest:.2f}; "
            f"cpu {milliseconds(mine.cpu)} to {milliseconds(other.cpu)}")
    return Bar(name, mine.wall / other.wall, limit, note=note)


def counted(results):
    """Commits and statements on PostgreSQL."""
    if "dunlin" in results.counted:
        commits, messages, statements = results.counted["dunlin"]
        note = f"in {messages:.2f} messages"
    else:
        commits = statements = None
        note = ""
    return [Bar("postgres: commits for each migration", commits, 1.1, "commits"),
            Bar("postgres: statements for each migration", statements, 5, "statements", note)]


def flat(results, store, many):
    """The cost of one of many migrations to one of few, and how that grows for the shell: SQLite's own does."""
    few = results.few[store]
    name = f"{store}: cost for each migration, of {many:,} to of {few:,}"

    def growth(tool):
        costs = [results.costs.get((store, count, tool, "up")) for count in (many, few)]
        if None in costs:
            return None
        return typical(costs[0]).wall / many / (typical(costs[1]).wall / few)

    ours, floor = growth("dunlin"), growth("floor")
    if ours is None or floor is None:
        return Bar(name, ours, 1.2)
    return Bar(name, ours / max(floor, 1), 1.2, note=f"x{ours:.2f}; the floor itself x{floor:.2f}, which is taken off")


def memory(results, store, many):
    """The largest peak of all phases."""
    peaks = [typical(runs).peak for (at, count, tool, _), runs in results.costs.items()
             if (at, count, tool) == (store, many, "dunlin")]
    return Bar(f"{store}: peak memory, {many:,} migrations", max(peaks, default=None), 40, "MiB")


def program(results):
    """The program itself: its start, its size."""
    start = typical(results.versions["dunlin"]).wall if "dunlin" in results.versions else None
    return [Bar("`--version`", start, 10, "ms"), Bar("size of the program", results.megabytes.get("dunlin"), 30, "MB")]
