"""Commands, what they cost, and medians of that."""
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
# Far above any run that is worth waiting for (10,000 migrations of the slowest tool take two minutes).
LIMIT_SECONDS = 900


class Failure(Exception):
    """A command that failed, or did not do its work. The text is for the report."""


@dataclass
class Command:
    """What is to be run, and where."""
    argv: list
    directory: Path = Path("/")
    stdin: str = os.devnull
    env: dict = field(default_factory=dict)


@dataclass
class Cost:
    """What one run cost."""
    wall: float  # ms
    cpu: float   # ms, user and system, children included
    peak: float  # MiB of the largest process


def measure(command):
    """Runs a command; its Cost, or a Failure with the end of what it said."""
    with tempfile.NamedTemporaryFile(prefix="dunlin-bench-", suffix=".log") as log:
        argv = [sys.executable, "-I", "-S", LAUNCH, log.name, command.directory, command.stdin, *command.argv]
        argv = [str(word) for word in argv]
        env = {**os.environ, **command.env}
        process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            answer, _ = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure(f"not done after {LIMIT_SECONDS} s") from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)  # a session of its own: nothing but this command is in it
                process.wait()
        if process.returncode != 0:
            raise Failure(f"cannot be started: {command.argv[0]}")
        code, wall, cpu, peak = answer.split()
        if int(code) != 0:
            raise Failure(f"exit {code}: {last_words(log.name)}")
        return Cost(float(wall), float(cpu), float(peak) / 1024)


def last_words(log):
    """The last two lines that a command wrote, on one line."""
    lines = [line.strip() for line in Path(log).read_text(errors="replace").splitlines()]
    return " | ".join([line for line in lines if line][-2:])[:300] or "it said nothing"


def ask(argv, stdin=None, env=None):
    """What a helper command prints; not measured."""
    done = subprocess.run([str(word) for word in argv], input=stdin, env={**os.environ, **(env or {})},
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{argv[0]}: {(done.stderr or done.stdout).strip()[:300]}")
    return done.stdout.strip()


def median(numbers):
    """The middle one; of two middle ones, their mean."""
    ordered = sorted(numbers)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def typical(costs):
    """Median wall and cpu, largest peak."""
    return Cost(median([c.wall for c in costs]), median([c.cpu for c in costs]), max(c.peak for c in costs))


def spread(costs):
    """How far the walls lie apart, as a share of their median: half of the whole range."""
    walls = [c.wall for c in costs]
    return (max(walls) - min(walls)) / 2 / median(walls)
