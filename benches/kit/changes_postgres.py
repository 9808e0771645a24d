"""A whole change in PostgreSQL: `rename_column` from expand to done beside a writer, and beside one UPDATE that fills a column
of the same table and does nothing else; and what its triggers cost whoever writes meanwhile.
"""
import random

import moves_kit
from measure import Command, Failure, measure
from moves_kit import Bar, Way
from moves_sql import Sql

CHANGE = 'rename_column = { table = "users", from = "first", to = "given" }'
ONE, WHOLE, EXPANDED = "one UPDATE", "dunlin, whole change", "dunlin, up to contract"
ALONE, BESIDE = "a writer", "a writer, with the triggers"
WRITES = 20_000
LEFT = {
    ONE: "select count(*) from users where full_name is distinct from first",
    WHOLE: "select count(*) from users u join base b using (id) where u.given is distinct from b.first",
    EXPANDED: "select count(*) from users where given is distinct from first",
    BESIDE: "select count(*) from users where given is distinct from first",
    ALONE: "select 0",
}


class Rename(Sql):
    """The same table as that of the moves."""

    def __enter__(self):
        super().__enter__()
        directory = self.folder / "change"
        directory.mkdir()
        (directory / "1_change.toml").write_text(f'[[change]]\nstore = "app"\n{CHANGE}\n')
        # Not a wait for the disk is to be compared, but what is done for each row.
        lines = ["set synchronous_commit = off;"]
        ids = random.Random(1)
        lines += [f"update users set first = 'w{at}' where id = {ids.randint(1, self.count)};" for at in range(WRITES)]
        self.writes = self.folder / "writes.sql"
        self.writes.write_text("\n".join(lines))
        return self

    def writer(self):
        """A client that changes one row after the other."""
        return Command(self.shell("").argv[:-2], stdin=str(self.writes))

    def ways(self):
        """One statement first: it is what the others are compared with."""
        whole = self.dunlin(1, "change")
        return [Way(ONE, self.shell("update users set full_name = first")),
                Way(WHOLE, Command([*whole.argv, "--contract", "--yes"])),
                Way(ALONE, self.writer(), is_probed=False),
                Way(EXPANDED, whole),
                Way(BESIDE, self.writer(), follows=True, is_probed=False)]

    def settle(self, way):
        """Fails unless all rows are as they must be; takes back what nobody looks at any more."""
        if left := int(self.run(LEFT[way.name])):
            raise Failure(f"{self.name}, {way.name}: {left} rows are not as they must be")
        if way.name == BESIDE:
            place = ["--url", self.database.url(), "--migrations", self.folder / "change"]
            measure(Command([self.program, "down", "--allow-data-loss", "--yes", *place]))

    @staticmethod
    def bars(name, runs, is_flat):
        """What dunlin is held to."""
        if is_flat:
            return Sql.bars(name, runs, is_flat)
        cost = 100 * (1 / moves_kit.ratio(runs, BESIDE, ALONE) - 1)
        return [Bar(f"{name}: time of the whole change, to one UPDATE", 1 / moves_kit.ratio(runs, WHOLE, ONE), 2.0),
                Bar(f"{name}: the other client's longest wait", moves_kit.wait(runs, WHOLE, 1.0), 100, unit=" ms"),
                Bar(f"{name}: what the triggers cost a writer", cost, 40, unit=" %"),
                Bar(f"{name}: memory", max(run.peak for run in runs[WHOLE]), 80, unit=" MiB")]


STORES = {"postgres": Rename}
