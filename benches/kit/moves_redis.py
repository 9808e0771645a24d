"""Moving keys in Redis: dunlin's walk beside what people write with redis-py, and beside the best that can be written by hand."""
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
DELETE = 'delete_keys = { keys = "user_{id}" }\nirreversible = "they were copied"'


class Redis:
    """A private server with keys `user_<id>`; every way copies them to `user:<id>:profile` and deletes them."""

    def __init__(self, name, urls, work, options):
        self.name, self.options, self.count = name, options, options.flat or options.count
        self.program, self.folder = options.dunlin.resolve(), work / f"moves-{name}"

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.server = subprocess.Popen(words, cwd=self.folder, stdout=subprocess.DEVNULL)
        self.best = self.folder / "keymove"
        subprocess.run(["rustc", "-O", "--edition", "2021", "-o", self.best, PEERS / "keymove.rs"], check=True)
        for part, files in {"move": [[("backfill", COPY), ("contract", DELETE)]], "check": [[("backfill", COPY)]],
                            "same": [[("backfill", COPY)], [("verify", SAME)]]}.items():
            directory = self.folder / part
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            for number, steps in enumerate(files, 1):
                text = "\n".join(f'[[{phase}]]\nstore = "cache"\n{step}\n' for phase, step in steps)
                (directory / f"{number}_keys.toml").write_text(text)
        while self.call("PING") != b"PONG":
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()

    def call(self, *words):
        """One command."""
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as wire:
                return talk(wire, *words)
        except ConnectionError:
            return None

    def reset(self):
        """The keys as they were, and nothing of dunlin's."""
        self.call("FLUSHALL")
        subprocess.run([self.best, "fill", str(self.port), str(self.count)], check=True)

    def dunlin(self, jobs, part="move", is_json=False):
        """The program over one of our folders."""
        argv = [self.program, "up", "--contract", "--url", f"redis://127.0.0.1:{self.port}/0", "--migrations", self.folder / part,
                "--jobs", jobs, "--yes", "--no-input"]
        return Command(argv + (["--json"] if is_json else []))

    def peer(self, script, *words):
        """A script as a user of redis-py would write it."""
        return Command([sys.executable, PEERS / script, self.port, *words])

    def ways(self):
        """The best by hand first: it is what the others are compared with."""
        found = [Way("keymove", Command([self.best, "move", self.port, 1000])),
                 Way("redis-py pipelines", self.peer("pipelines.py")),
                 Way("dunlin", self.dunlin(1)),
                 Way("dunlin, fast", self.dunlin(2), is_probed=False),
                 Way("dunlin, copy alone", self.dunlin(1, "check"), is_probed=False),
                 Way("dunlin, verify", self.dunlin(1, "same"), follows=True, is_probed=False)]
        # It takes minutes at a million keys.
        return found + ([Way("redis-py loop", self.peer("loop.py"))] if self.options.slow else [])

    def settle(self, way):
        """Fails unless all keys were moved."""
        left = self.count if "alone" in way.name or "verify" in way.name else 0
        keys = int(self.call("DBSIZE")) - self.own()
        if keys != self.count + left:
            raise Failure(f"redis, {way.name}: {keys} keys are there")

    def own(self):
        """How many keys are dunlin's, or the other client's."""
        names = ("{dunlin}:lock", "{dunlin}:history", "{dunlin}:journal", "{dunlin}:files", "probe")
        return int(self.call("EXISTS", *names))

    def counter(self):
        """Nothing is counted beside."""
        return 0.0

    @contextlib.contextmanager
    def probe(self):
        """A small write over a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port)) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield lambda: talk(wire, "INCR", "probe")

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


STORES = {"redis": Redis}
