"""What the benches have in common that compare ways of doing one thing in one run: their command line, and their end."""
import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import moves_kit
import stores
from measure import Failure


def arguments(program, words, kinds):
    """The command line."""
    parser = argparse.ArgumentParser(prog=program, description=words,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=lambda text: text.split(","), default=list(kinds), metavar="A,B",
                        help=f"only these of {', '.join(kinds)}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median is taken (3)")
    parser.add_argument("--count", type=int, default=1_000_000, help="records (1,000,000)")
    parser.add_argument("--flat", type=int, metavar="COUNT",
                        help="instead: so many records once, and whether the rate stays what it was")
    parser.add_argument("--dunlin", type=Path, default=stores.REPOSITORY / "target/release/dunlin", metavar="PROGRAM",
                        help="the dunlin to measure (target/release/dunlin)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where SQLite files lie while it runs: a folder on the "
                        "disk to be measured, not in memory (the system's temporary folder)")
    parser.add_argument("--slow", action="store_true", help="with the loops that take minutes, one record at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single figure there too")
    options = parser.parse_args()
    for store in options.stores:
        if store not in kinds:
            parser.error(f"'{store}' is none of {', '.join(kinds)}")
    return options


def flat(store):
    """Whether many records cost as much each as few; a store may have a way of its own to tell."""
    return store.flat() if hasattr(store, "flat") else moves_kit.flat(store)


def main(program, words, kinds):
    """Exits with 0; with 1 where a bar is missed, with 2 where nothing could be measured."""
    options = arguments(program, words, kinds)
    # A bench that is told to end drops its databases like one that is interrupted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = Path(tempfile.mkdtemp(prefix="dunlin-bench-", dir=options.work))
    urls, found, absent, bars = stores.servers(), {}, {}, []
    try:
        for name in options.stores:
            why = stores.absence(name.split("-")[0], urls)
            if why:
                absent[name] = why
                continue
            with kinds[name](name, urls, work, options) as store:
                found[name] = flat(store) if options.flat else moves_kit.rounds(store, options.rounds)
                bars += store.bars(name, found[name], bool(options.flat))
    except Failure as failure:
        print(f"{program}: {failure}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps({name: moves_kit.plain(runs) for name, runs in found.items()}, indent=1))
    count = options.flat or options.count
    print(f"# {count:,} records, {os.cpu_count()} cores" + ("" if options.flat else f", median of {options.rounds} rounds"))
    print(moves_kit.text(found, bars, absent))
    sys.exit(2 if not found else 0 if all(bar.is_met() for bar in bars) else 1)
