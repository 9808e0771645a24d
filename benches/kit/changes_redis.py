"""A whole change in Redis: `rename_keys` from the look at what is there to the end of its contract, in two commands as a
team would give them, beside the best that can be written by hand.
"""
import shlex

import moves_kit
from measure import Command, measure
from moves_kit import Bar, Way
from moves_redis import Mixed, Redis

CHANGE = 'rename_keys = { from = "user_{id}", to = "user:{id}:profile" }'
WHOLE = "dunlin, whole change"
FEW = 100_000
# 100,000 keys a second where the server moves one in 1.8 µs.
MOVES = 5.5


class Whole(Redis):
    """The same keys as those of the moves."""

    def __enter__(self):
        super().__enter__()
        directory = self.folder / "change"
        directory.mkdir(exist_ok=True)
        (directory / "1_change.toml").write_text(f'[[change]]\nstore = "cache"\n{CHANGE}\n')
        return self

    def whole(self):
        """`up`, and then `contract`."""
        place = ["--url", self.url, "--migrations", self.folder / "change", "--yes", "--no-input"]
        lines = [[self.program, "up", *place], [self.program, "contract", "1", *place]]
        return Command(["sh", "-c", " && ".join(shlex.join(map(str, line)) for line in lines)])

    def ways(self):
        """The best by hand first: it is what the change is compared with."""
        return [Way("keymove", Command([self.best, "move", self.ports[0], 1000])), Way(WHOLE, self.whole())]

    def flat(self):
        """The whole change of a few keys and of many, keys a second, and the peak of memory."""
        many, rates, peak = self.count, [], 0.0
        for self.count in (FEW, many):
            self.reset()
            cost = measure(self.whole())
            rates.append(self.count / cost.wall * 1000)
            peak = max(peak, cost.peak)
            self.settle(Way(WHOLE, None))
        return {"rates": tuple(rates), "of": (f"with {FEW:,} of them", f"with {many:,}"), "peak": peak}

    def bars(self, name, runs, is_flat):
        """What dunlin is held to."""
        if is_flat:
            few, many = runs["rates"]
            return [Bar(f"{name}: speed of many keys, to few", many / few, 0.9, is_least=True),
                    Bar(f"{name}: memory", runs["peak"], 80, unit=" MiB")]
        moves = moves_kit.ratio(runs, "keymove", WHOLE)
        return [Bar(f"{name}: whole change, as many times `keymove`", moves, MOVES),
                Bar(f"{name}: memory", max(run.peak for run in runs[WHOLE]), 80, unit=" MiB")]


class WholeMixed(Whole, Mixed):
    """Keys of several types, some of them with TTLs."""

    ways = Whole.ways

    def bars(self, name, runs, is_flat):
        """How fast it is depends on the types: only memory has a bar."""
        return Whole.bars(self, name, runs, is_flat)[0 if is_flat else 1:]


STORES = {"redis": Whole, "redis-mixed": WholeMixed}
