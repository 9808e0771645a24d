"""The report: a table for each store, what was counted, programs, and the bars."""
import stores
import tools
from measure import spread, typical

PHASES = {"up": "up, {0}", "status": "status, {0} applied", "no-op": "up with nothing to do", "down": "down, {0}"}


def text(results, bars):
    """The whole report as Markdown."""
    parts = [store_table(results, store, count) for store in stores.NAMES for count in measured(results, store)]
    parts += [counted_table(results), program_table(results), absent_list(results), bar_table(bars)]
    return "\n".join(part for part in parts if part)


def measured(results, store):
    """The numbers of migrations that a store was measured with."""
    return sorted({count for at, count, _, _ in results.costs if at == store})


def table(title, head, rows):
    """A Markdown table; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [f"### {title}", "", row(head), row(["---"] * len(head)), *map(row, rows), ""]
    return "\n".join(lines)


def row(cells):
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def store_table(results, store, count):
    """What each tool took on a store, the fastest `up` first, and how many times the best one's time that is."""
    costs = {(tool, phase): typical(runs) for (at, many, tool, phase), runs in results.costs.items()
             if (at, many) == (store, count)}
    phases = [phase for phase in PHASES if any(phase == found for _, found in costs)]
    # The floor is no tool: nobody can use it, so it is not what others are measured by.
    best = {phase: min((cost.wall for (tool, at), cost in costs.items() if at == phase and tool != "floor"), default=None)
            for phase in phases}
    names = [name for name in tools.NAMES if any(tool == name for tool, _ in costs)]
    names.sort(key=lambda name: costs[name, "up"].wall if (name, "up") in costs else float("inf"))
    rows = [[name] + [cell(costs.get((name, phase)), best[phase], name) for phase in phases] for name in names]
    rows += [[tool, f"failed: {why}"] + [""] * (len(phases) - 1)
             for (at, many, tool), why in results.failures.items() if (at, many) == (store, count)]
    head = ["wall ms / cpu ms / MiB"] + [PHASES[phase].format(f"{count:,}") for phase in phases]
    return table(f"{store}, {count:,} migrations", head, rows)


def cell(cost, best, name):
    """Wall / cpu / peak, and the ratio to the best."""
    if cost is None:
        return "-"
    ratio = "" if name == "floor" or not best else f" x{cost.wall / best:.1f}"
    return f"{milliseconds(cost.wall)} / {milliseconds(cost.cpu)} / {memory(cost.peak)}{ratio}"


def milliseconds(value):
    """Short times with a decimal."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def memory(peak):
    """What is under the launcher's own memory cannot be seen."""
    return "<10" if peak < 10 else f"{peak:.0f}"


def counted_table(results):
    """Commits and statements on PostgreSQL."""
    rows = [[name, *(f"{number:.2f}" for number in numbers)] for name, numbers in results.counted.items()]
    return table("PostgreSQL, for each migration", ["tool", "commits", "messages sent", "statements done"], rows)


def program_table(results):
    """Start and size."""
    rows = [[name, f"{typical(runs).wall:.1f}", f"{results.megabytes[name]:.1f}"]
            for name, runs in results.versions.items()]
    return table("Programs", ["tool", "`--version`, ms", "size, MB"], rows)


def absent_list(results):
    """What was not measured, and why."""
    lines = [f"- {store}{', ' + tool if tool else ''}: {why}" for (store, tool), why in results.absent.items()]
    return "\n".join(["### Not measured", "", *lines, ""]) if lines else ""


def bar_table(bars):
    """The bars, each with what it is made of."""
    rows = [[bar.name, bar.measured(), bar.wanted(), bar.verdict(), bar.note] for bar in bars]
    return table("Bars", ["bar", "measured", "wanted", "", "from"], rows)


def noise(runs):
    """How far the runs lie apart, as a note."""
    return f"±{spread(runs) * 100:.0f} %" if len(runs) > 1 else "one run"
