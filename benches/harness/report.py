"""Ratios, targets and tables, in Markdown."""

import os
import platform
import re
import statistics
import subprocess
from pathlib import Path

from .contenders import ALL, RAW_OF, ROUTES, STORES, UNTOUCHED, named

# The least ratio to the raw handler: as fast where loads travel together, nearly as fast elsewhere.
LEAST = {
    ("sqlite", "read"): 1.0,
    ("sqlite", "write"): 0.9,
    ("postgres", "read"): 1.0,
    ("postgres", "write"): 1.0,
    ("mariadb", "read"): 1.0,
    ("mariadb", "write"): 1.0,
    ("redis", "read"): 1.0,
    ("redis", "write"): 1.0,
}
LEAST_TO_DJANGO = 10
MOST_RESIDENT = 15


def row(cells):
    return "| " + " | ".join(cells) + " |"


def head(cells):
    return [row(cells), row(["---"] + ["---:"] * (len(cells) - 1))]


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def per_second(rate):
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def ratio(runs, base):
    return statistics.median(run["rate"] / other["rate"] for run, other in zip(runs, base))


class Measured:
    """runs: of each pair of route and contender's name, one a round."""

    def __init__(self, runs):
        self.runs = runs

    def of(self, route, name):
        return self.runs.get((route, name))

    def fastest(self, route, store, kind):
        names = [c.name for c in ALL if (c.store, c.kind) == (store, kind) and (route, c.name) in self.runs]
        return max(names, key=lambda name: median(self.runs[route, name], "rate"), default=None)

    def bases(self, route, store):
        """What the contenders of a table are held against: heading, and runs."""
        raw = self.fastest(route, RAW_OF.get(store, {}).get(route, store), "raw")
        peer = self.fastest(route, store, "peer")
        django = self.fastest(route, store, "django")
        found = [("raw handler", raw), ("fastest peer", peer), ("Django", django)]
        bases = [(heading, self.of(route, name)) for heading, name in found if name]
        if store == "memory" and self.of("none", "bare"):
            bases.insert(0, ("bare axum", self.of("none", "bare")))
        return bases

    def table(self, route, names, connections, store):
        """None where nothing of it was measured."""
        names = [name for name in names if (route, name) in self.runs]
        if not names:
            return None
        bases = self.bases(route, store)
        several = f"{connections} connection{'s' if connections > 1 else ''}"
        headings = [f"`/bench/{route}`, {several}", "requests/s", *(f"× {heading}" for heading, _ in bases)]
        lines = head([*headings, "p50 ms", "p99 ms", "CPU µs", "server's CPU µs", "errors"])
        for name in names:
            own = self.of(route, name)
            lines.append(row([
                named(name).title, per_second(median(own, "rate")), *(f"{ratio(own, base):.2f}" for _, base in bases),
                f"{median(own, 'p50') / 1000:.2f}", f"{median(own, 'p99') / 1000:.2f}",
                f"{median(own, 'cpu'):.0f}", f"{median(own, 'server_cpu'):.0f}" if median(own, "server_cpu") else "",
                str(sum(run["errors"] for run in own)),
            ]))  # fmt: skip
        return "\n".join(lines) + "\n"

    def untouched(self, connections):
        names = [name for name in UNTOUCHED if ("none", name) in self.runs]
        return self.table("none", names, connections, "memory") if names else None

    def tables(self, connections):
        parts = []
        for store, heading in STORES.items():
            names = [contender.name for contender in ALL if contender.store == store]
            found = [self.table(route, names, connections, store) for route in ROUTES.get(store, ("read", "write"))]
            if any(found):
                parts += [f"### {heading}\n", *filter(None, found)]
        return parts

    def targets(self, resident):
        lines = head(["target", "at least", "measured", ""])
        for name, least, measured in self.checks():
            verdict = "met" if measured >= least else f"missed by {(1 - measured / least) * 100:.0f} %"
            lines.append(row([name, f"{least:.2f}", f"{measured:.2f}", verdict]))
        sizes = [size for name, size in resident.items() if named(name).kind == "ours" and named(name).store not in ROUTES]
        if sizes:
            verdict = "met" if max(sizes) < MOST_RESIDENT else f"missed by {max(sizes) - MOST_RESIDENT:.1f} MB"
            title = "resident after all of it, the largest of ours with sessions"
            lines.append(row([title, f"under {MOST_RESIDENT} MB", f"{max(sizes):.1f} MB", verdict]))
        return "\n".join(lines) + "\n" if lines[2:] else None

    def checks(self):
        bare = self.of("none", "bare")
        if bare and self.of("none", "sqlite"):
            yield "untouched ÷ bare axum", 0.95, ratio(self.of("none", "sqlite"), bare)
        if bare and self.of("read", "signed_cookies"):
            yield "signed_cookies, read ÷ bare axum", 0.8, ratio(self.of("read", "signed_cookies"), bare)
        for store, heading in STORES.items():
            for route in ("read", "write"):
                # Without a server, locmem is what compares with tower-sessions in memory.
                own = self.of(route, "locmem") if store == "memory" else self.of(route, self.fastest(route, store, "ours"))
                if not own:
                    continue
                bases = dict(self.bases(route, store))
                if (store, route) in LEAST and "raw handler" in bases:
                    yield f"{heading}, {route} ÷ raw handler", LEAST[store, route], ratio(own, bases["raw handler"])
                if "fastest peer" in bases:
                    yield f"{heading}, {route} ÷ fastest peer", 1.0, ratio(own, bases["fastest peer"])
                if "Django" in bases:
                    yield f"{heading}, {route} ÷ Django", LEAST_TO_DJANGO, ratio(own, bases["Django"])


def resident_table(resident):
    lines = head(["resident MB, after the load", ""])
    lines += [row([f"{named(name).title}, {STORES[named(name).store]}", f"{size:.1f}"]) for name, size in resident.items()]
    return "\n".join(lines) + "\n"


def machine():
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    model = cpu[1].strip() if cpu else platform.processor()
    return f"- {os.cpu_count()} cores, {model}, {int(memory[1]) / 2**20:.0f} GB; Linux {platform.release()}\n"


def versions(*commands):
    """The first line of what each program says of itself."""
    said = []
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        said.append((done.stdout or done.stderr).strip().split("\n")[0].split(" Copyright")[0])
    return "- " + "; ".join(said) + "\n"


def write_between(results, name, report):
    """Replaces what a command has written into a file before."""
    start, end = f"<!-- {name} writes from here -->\n", f"<!-- {name}: to here -->\n"
    text = results.read_text()
    if start not in text or end not in text:
        raise ValueError(f"{results} has no place for what {name} writes")
    before, _, rest = text.partition(start)
    results.write_text(before + start + report + end + rest.partition(end)[2])
