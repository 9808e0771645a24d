"""Moving keys in Redis: dunlin's walk beside what people write with redis-py, and beside the best that can be written by hand.

Three stores: strings on one server; strings, hashes, lists and sorted sets on one server, one in five with a TTL; and the
same in a cluster of three, where every key's other name lives in another slot.
"""
import contextlib
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import moves_kit
from measure import Command, Failure
from moves_kit import Bar, Way

PEERS = Path(__file__).parent / "redis"
COPY = 'copy_keys = { from = "user_{id}", to = "user:{id}:profile" }'
SAME = 'same = { from = "user_{id}", to = "user:{id}:profile" }'
# Without a look at what is there: what the looks cost.
BLIND = COPY.replace(" }", ', existing = "replace", big = "at_once" }\nirreversible = "what was there is gone"')
DELETE = 'delete_keys = { keys = "user_{id}" }\nirreversible = "they were copied"'


class Redis:
    """A private server with keys `user_<id>`; every way copies them to `user:<id>:profile` and deletes them."""

    KIND = []  # of the keys, as keymove calls it
    PROBES = [f"probe-{number}" for number in range(20)]  # one of them lives on the first server

    def __init__(self, name, urls, work, options):
        self.name, self.options, self.count = name, options, options.flat or options.count
        self.program, self.folder = options.dunlin.resolve(), work / f"moves-{name}"

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.servers = []
        self.start()
        self.best = self.folder / "keymove"
        subprocess.run(["rustc", "-O", "--edition", "2021", "-o", self.best, PEERS / "keymove.rs"], check=True)
        for part, files in {"move": [[("backfill", COPY), ("contract", DELETE)]],
                            "blind": [[("backfill", BLIND), ("contract", DELETE)]], "check": [[("backfill", COPY)]],
                            "same": [[("backfill", COPY)], [("verify", SAME)]]}.items():
            directory = self.folder / part
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            for number, steps in enumerate(files, 1):
                text = "\n".join(f'[[{phase}]]\nstore = "cache"\n{step}\n' for phase, step in steps)
                (directory / f"{number}_keys.toml").write_text(text)
        return self

    def start(self):
        """The server."""
        self.ports = [self.serve()]
        self.url = f"redis://127.0.0.1:{self.ports[0]}/0"

    def serve(self, *more):
        """A server that answers; where."""
        port = free_port()
        words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *more]
        self.servers.append(subprocess.Popen(words, cwd=self.folder, stdout=subprocess.DEVNULL))
        while self.call(port, "PING") != b"PONG":
            time.sleep(0.05)
        return port

    def __exit__(self, *_):
        for server in self.servers:
            server.terminate()
            server.wait()

    def call(self, port, *words):
        """One command."""
        try:
            with socket.create_connection(("127.0.0.1", port)) as wire:
                return talk(wire, *words)
        except ConnectionError:
            return None

    def reset(self):
        """The keys as they were, and nothing of dunlin's."""
        for port in self.ports:
            self.call(port, "FLUSHALL")
        subprocess.run([self.best, "fill", str(self.ports[0]), str(self.count), *self.KIND], check=True)

    def dunlin(self, jobs, part="move", is_json=False):
        """The program over one of our folders."""
        argv = [self.program, "up", "--contract", "--url", self.url, "--migrations", self.folder / part,
                "--jobs", jobs, "--yes", "--no-input"]
        return Command(argv + (["--json"] if is_json else []))

    def peer(self, script, *words):
        """A script as a user of redis-py would write it."""
        return Command([sys.executable, PEERS / script, self.ports[0], *words])

    def ways(self):
        """The best by hand first: it is what the others are compared with."""
        found = [Way("keymove", Command([self.best, "move", self.ports[0], 1000])),
                 Way("redis-py pipelines", self.peer("pipelines.py")),
                 Way("dunlin", self.dunlin(1)),
                 Way("dunlin, fast", self.dunlin(2), is_probed=False),
                 Way("dunlin, blind", self.dunlin(1, "blind")),
                 Way("dunlin, copy alone", self.dunlin(1, "check"), is_probed=False),
                 Way("dunlin, verify", self.dunlin(1, "same"), follows=True, is_probed=False)]
        # It takes minutes at a million keys.
        return found + ([Way("redis-py loop", self.peer("loop.py"))] if self.options.slow else [])

    def settle(self, way):
        """Fails unless all keys were moved."""
        left = self.count if "alone" in way.name or "verify" in way.name else 0
        keys = sum(int(self.call(port, "DBSIZE")) - self.own(port) for port in self.ports)
        if keys != self.count + left:
            raise Failure(f"{self.name}, {way.name}: {keys} keys are there")

    def own(self, port):
        """How many keys are dunlin's, or the other client's."""
        names = ("{dunlin}:lock", "{dunlin}:history", "{dunlin}:journal", "{dunlin}:files", *self.PROBES)
        found = [self.call(port, "EXISTS", name) for name in names]
        return sum(int(one) for one in found if one.isdigit())  # another server's keys are none of this one's

    def counter(self):
        """Nothing is counted beside."""
        return 0.0

    @contextlib.contextmanager
    def probe(self):
        """A small write over a connection of its own."""
        name = next(name for name in self.PROBES if self.call(self.ports[0], "EXISTS", name).isdigit())
        with socket.create_connection(("127.0.0.1", self.ports[0])) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield lambda: talk(wire, "INCR", name)

    @staticmethod
    def bars(name, runs, is_flat):
        """What dunlin is held to."""
        if is_flat:
            first, last = runs["rates"]
            return [Bar(f"{name}: last tenth to the first", last / first, 0.9, is_least=True),
                    Bar(f"{name}: memory", runs["peak"], 80, unit=" MiB")]
        found = [Bar("redis: speed, to redis-py pipelines", moves_kit.ratio(runs, "dunlin", "redis-py pipelines"), 2.2, is_least=True),
                 Bar("redis: speed, to keymove", moves_kit.ratio(runs, "dunlin", "keymove"), 0.85, is_least=True),
                 Bar("redis: speed when fast, to keymove", moves_kit.ratio(runs, "dunlin, fast", "keymove"), 0.85, is_least=True),
                 Bar("redis: the other client's p99", moves_kit.wait(runs, "dunlin", 0.99), 1, unit=" ms"),
                 Bar("redis: memory", max(run.peak for run in runs["dunlin"]), 80, unit=" MiB"),
                 Bar("redis: verify, to the copy", moves_kit.wall(runs, "dunlin, verify") / moves_kit.wall(runs, "dunlin, copy alone"), 2.5)]
        if "redis-py loop" in runs:
            found.append(Bar("redis: speed, to the redis-py loop", moves_kit.ratio(runs, "dunlin", "redis-py loop"), 50, is_least=True))
        return found


class Mixed(Redis):
    """Keys of several types, some of them with TTLs."""

    KIND = ["mixed"]

    def ways(self):
        """The best by hand and dunlin."""
        return [Way("keymove", Command([self.best, "move", self.ports[0], 1000])),
                Way("dunlin", self.dunlin(1)),
                Way("dunlin, fast", self.dunlin(2), is_probed=False),
                Way("dunlin, copy alone", self.dunlin(1, "check"), is_probed=False),
                Way("dunlin, verify", self.dunlin(1, "same"), follows=True, is_probed=False)]

    def settle(self, way):
        """Fails unless all keys were moved, with their TTLs."""
        super().settle(way)
        ends = sum(int(self.call(port, "INFO", "keyspace").split(b"expires=")[1].split(b",")[0]) for port in self.ports)
        wanted = self.count // 5 * (2 if "alone" in way.name or "verify" in way.name else 1)
        if ends != wanted:
            raise Failure(f"{self.name}, {way.name}: {ends} of {wanted} keys have a TTL")

    @staticmethod
    def bars(name, runs, is_flat):
        """What dunlin is held to."""
        if is_flat:
            return Redis.bars(name, runs, is_flat)
        return [Bar(f"{name}: speed, to keymove", moves_kit.ratio(runs, "dunlin", "keymove"), 0.7, is_least=True),
                Bar(f"{name}: memory", max(run.peak for run in runs["dunlin"]), 80, unit=" MiB"),
                Bar(f"{name}: verify, to the copy", moves_kit.wall(runs, "dunlin, verify") / moves_kit.wall(runs, "dunlin, copy alone"), 2.5)]


class Cluster(Mixed):
    """The same in a cluster of three servers."""

    def start(self):
        """The servers, each with a third of the slots."""
        shares = [(0, 5460), (5461, 10922), (10923, 16383)]
        for number, (start, end) in enumerate(shares):
            files = ["--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{number}.conf"]
            port = self.serve(*files, "--cluster-port", str(free_port()))
            self.call(port, "CLUSTER", "ADDSLOTSRANGE", start, end)
        self.ports = [int(server.args[2]) for server in self.servers]
        for number, port in enumerate(self.ports):
            self.call(port, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            self.call(self.ports[0], "CLUSTER", "MEET", "127.0.0.1", server.args[2], server.args[-1])
        while not all(self.is_whole(port) for port in self.ports):
            time.sleep(0.1)
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in self.ports)

    def is_whole(self, port):
        """Whether a server knows of all servers and slots."""
        facts = (b"cluster_state:ok", b"cluster_slots_assigned:16384", b"cluster_known_nodes:3")
        return all(fact in self.call(port, "CLUSTER", "INFO") for fact in facts)


def talk(wire, *words):
    """Sends a command and reads a reply that fits into one packet."""
    words = [str(word).encode() for word in words]
    wire.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    return wire.recv(4096).strip().lstrip(b":+")


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


STORES = {"redis": Redis, "redis-mixed": Mixed, "redis-cluster": Cluster}
