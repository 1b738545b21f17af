#!/usr/bin/env python3
"""Runs the bench and prints a table: rounds, medians, ratios.

Every figure comes from a process of its own, one per (scenario, peer,
GOMAXPROCS), and the peers of a scenario take turns: A B C A B C ... So a slow
minute of the machine hits all of them, and the ratio of two medians of one run
means something although the times themselves do not.

ci/bench.sh builds the programs and calls this file; README.md explains the
table. Only Python's standard library is used.
"""

import argparse
import datetime
import fnmatch
import json
import math
import os
import pathlib
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys

PEERS = ["gort", "go", "tokio", "may", "threads"]

# The metrics of a scenario whose wall time per operation is not the point.
PARKED = ["bytes", "create_ns", "wake_ns"]
TIMERS = ["cpu_ns", "late_p50_us", "late_p99_us"]
PREEMPT = ["late_p50_us", "late_p99_us", "late_max_us", "hog_spread"]
BLOCKING = ["total_ms", "total_cpu_ms", "late_p99_us"]
HTTP = ["cpu_ns", "rps"]
METRICS = {
    "parked_1m": PARKED,
    "timers_sleep": TIMERS,
    "preempt_latency": PREEMPT,
    "hog_overhead": ["lost_percent", "whole_lost_percent", "running_mean", "running_max"],
    "blocking_calls": BLOCKING,
    "blocking_announced": BLOCKING,
    "tcp_echo": ["cpu_ns", "ns"],
    "tcp_floor": ["cpu_ns"],
    "http_hello": HTTP,
    "http_hello_1000": HTTP,
    "idle_conns": ["bytes"],
}

# Where a larger figure is the better one.
RATES = {"rps"}

# What gort aims at: a ratio to Go's median of the same run, for GOMAXPROCS 1
# and 2. Keys are scenario, or scenario.metric.
TARGETS = {
    "yield_2": 0.15,
    "spawn_join": 0.25,
    "spawn_chain": 0.3,
    "parked_1m.create_ns": 0.65,
    "parked_1m.wake_ns": 0.5,
    "pingpong": (0.25, 0.3),
    "chan_spsc_unbuf": 0.3,
    "chan_spsc_128": 0.4,
    "chan_mpsc_128": 0.5,
    "chan_mpmc_128": 0.45,
    "chan_mpmc_unbuf": 0.35,
    "select2": 0.35,
    "select8": 0.35,
    "select_default": 0.3,
    "mutex_uncontended": 0.95,
    "mutex_contended": (0.9, 0.7),
    "rwmutex_read": 0.95,
    "waitgroup_fanout": 0.4,
    "timers_sleep.cpu_ns": 0.5,
    "timers_sleep.late_p50_us": 0.2,
    "timers_sleep.late_p99_us": 0.5,
    "timer_reset": 0.4,
    "skynet": 0.4,
    "sieve": (0.3, 0.4),
    "forkjoin_fib": 0.3,
    "parallel_sort": 0.98,
    "preempt_latency.late_p50_us": 0.01,
    "preempt_latency.late_p99_us": 0.03,
    "blocking_calls.total_ms": (0.6, 0.95),
    "blocking_calls.late_p99_us": 0.6,
    "tcp_echo.cpu_ns": 0.7,
    "http_hello.cpu_ns": 0.45,
    "idle_conns.bytes": 1.1,
}

# Where gort aims at being nobody's second as well.
BEST = {"tcp_echo.cpu_ns", "http_hello.cpu_ns"}

# Plain figures that gort aims at, for each of its rows that has one.
FIGURES = {
    "parked_1m.bytes": ({"": 4700, "64KiB": 4300}, " B"),
    "hog_overhead.lost_percent": ({"": 0.5}, " %"),
}

# One task, or two that share a processor: more processors add nothing.
ONE_PROCESSOR = {"yield_2", "select_default", "mutex_uncontended", "timer_reset"}

# Channels that never make a sender wait do another job; they are shown, but
# are nobody's best.
# Nor is the bench's own noise, measured with a thread in place of a runtime.
NOT_COMPARABLE = {"unbounded", "control"}

# Their rows do different jobs: a whole HTTP library, or an answer by hand. Each
# kind gets a line of its own, with Go's one row on both.
SPLIT = {"http_hello", "http_hello_1000"}

# The program that some scenarios call, and how to get it.
NEEDS = {"http_hello": "wrk", "http_hello_1000": "wrk"}

QUICK = 0.1
# A tenth of these would be mostly idle time, or too few to tell anything.
WHOLE = {"timers_sleep": 0.5, "preempt_latency": 0.5, "blocking_calls": 0.5, "blocking_announced": 0.5, "idle_conns": 1}
TIME_LIMIT_S = 180


def main():
    options = parse_options()
    rows, skipped = choose(options)
    if not rows and not skipped:
        sys.exit("run.py: nothing to run; --list shows the scenarios")
    if options.list:
        for scenario, contestants in rows.items():
            print(scenario, *(label(c) for c in contestants))
        return
    # `idle_conns` has both ends of its connections in one process.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = os.getloadavg()[0]
    samples, failures = measure(rows, options)
    print(machine(options, before))
    if rows:
        print(tables(rows, samples, options))
    for scenario in skipped:
        print(f"\nSKIPPED {scenario}: {NEEDS[scenario]} is not installed (Debian: apt-get install {NEEDS[scenario]})")
    if options.json:
        options.json.write_text(json.dumps(samples_as_json(samples), indent=1) + "\n")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


def parse_options():
    parser = argparse.ArgumentParser(description="Runs the bench and prints a table.")
    parser.add_argument("scenarios", nargs="*", help="names or patterns; all of them when none is given")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, three rounds: a rough picture")
    parser.add_argument("--smoke", action="store_true", help="a thousandth of the size, one round: does it run at all?")
    parser.add_argument("--rounds", type=int, help="rounds per scenario (5; 3 when quick)")
    parser.add_argument("--scale", type=float, help="factor on all sizes (1; 0.1 when quick)")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated; " + ",".join(PEERS))
    parser.add_argument("--procs", default="1,2", help="values of GOMAXPROCS, comma-separated (1,2)")
    parser.add_argument("--json", type=pathlib.Path, help="also write every single measurement to this file")
    parser.add_argument("--list", action="store_true", help="print scenarios and contestants, run nothing")
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="directory of the bench-<peer> programs")
    options = parser.parse_args()
    if options.smoke:
        defaults = (1, 0.001)
    elif options.quick:
        defaults = (3, QUICK)
    else:
        defaults = (5, 1.0)
    options.rounds = options.rounds or defaults[0]
    options.scale = options.scale or defaults[1]
    options.peers = [p for p in PEERS if p in options.peers.split(",")]
    options.procs = [int(p) for p in options.procs.split(",")]
    return options


# ---- what to run -------------------------------------------------------------


def choose(options):
    """Scenario -> list of (peer, with, size), in the order of the first peer; and
    the scenarios that were wanted, but lack a program that they need."""
    rows = {}
    for peer in options.peers:
        program = options.bin / f"bench-{peer}"
        if not program.exists():
            sys.exit(f"run.py: {program} is missing; ci/bench.sh builds it")
        listing = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout
        for line in listing.splitlines():
            name, with_, size = line.split()
            wanted = options.scenarios or ["*"]
            if any(fnmatch.fnmatch(name, pattern) for pattern in wanted):
                rows.setdefault(name, []).append((peer, "" if with_ == "-" else with_, int(size)))
    skipped = [] if options.list else [name for name in rows if not shutil.which(NEEDS.get(name, "sh"))]
    return {name: row for name, row in rows.items() if name not in skipped}, skipped


def procs_of(scenario, options):
    return options.procs[:1] if scenario in ONE_PROCESSOR else options.procs


def scaled(scenario, size, scale):
    if scenario == "sieve":
        scale = scale**0.5  # its work grows with the square of its size
    if scale >= QUICK:
        scale = max(scale, WHOLE.get(scenario, 0))
    return max(10 if scenario == "hog_overhead" else 20, round(size * scale))


# ---- running -----------------------------------------------------------------


def measure(rows, options):
    samples, failures = {}, []
    for scenario, contestants in rows.items():
        for procs in procs_of(scenario, options):
            note(f"{scenario} at {procs}")
            for _ in range(options.rounds):
                for peer, with_, size in contestants:
                    key = (scenario, procs, peer, with_)
                    size = scaled(scenario, size, options.scale)
                    figures, trouble = run_one(options.bin, key, size)
                    if trouble and trouble not in failures:
                        failures.append(trouble)
                    if figures:
                        samples.setdefault(key, []).append(figures)
    note("")
    return samples, failures


def run_one(bin_dir, key, size):
    scenario, procs, peer, with_ = key
    program = bin_dir / f"bench-{peer}"
    command = [program, scenario + (f"@{with_}" if with_ else ""), str(size)]
    environment = dict(os.environ, GOMAXPROCS=str(procs))
    name = f"{peer} {command[1]} at {procs}"
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT_S)
    except subprocess.TimeoutExpired:
        return None, f"{name}: not done after {TIME_LIMIT_S} s"
    if done.returncode != 0:
        return None, f"{name}: status {done.returncode}: {complaint(done.stderr)}"
    return json.loads(done.stdout), None


def complaint(stderr):
    """What the first panic says, ahead of its backtrace; else the last line."""
    lines = stderr.strip().splitlines() or ["no message"]
    panics = [i for i, text in enumerate(lines[:-1]) if " panicked at " in text]
    return lines[panics[0] + 1] if panics else lines[-1]


def note(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


# ---- the tables --------------------------------------------------------------


def tables(rows, samples, options):
    wall, cpu = [], []
    for scenario in rows:
        for kind in kinds(scenario, rows[scenario]):
            for metric in METRICS.get(scenario, ["ns"]):
                for procs in procs_of(scenario, options):
                    wall.append(line(rows, samples, options, scenario, kind, metric, procs))
                    if scenario not in METRICS:
                        cpu.append(line(rows, samples, options, scenario, kind, "cpu_ns", procs))
    head = ["scenario", "P", *options.peers, "gort/Go", "target", "", "best other", "gort/best"]
    text = markdown([head, *wall])
    if not cpu:
        return text
    text += "\n\nCPU time of the whole process per operation, ns:\n\n"
    return text + markdown([head[:-5] + ["gort/Go"], *(row[:-4] for row in cpu)])


def kinds(scenario, contestants):
    """The kinds of rows that have a line each; just None if all share one."""
    if scenario not in SPLIT:
        return [None]
    return list(dict.fromkeys(with_ for _, with_, _ in contestants if with_)) or [None]


def line(rows, samples, options, scenario, kind, metric, procs):
    """One row: each peer's cell, then what gort's plain figure amounts to."""
    cells, figures = [], {}
    for peer in options.peers:
        parts = []
        for contestant in rows[scenario]:
            if contestant[0] != peer or (kind and contestant[1] not in ("", kind)):
                continue
            key = (scenario, procs, peer, contestant[1])
            value = median(samples, key, metric)
            figures[peer, contestant[1]] = value
            tail = f" {contestant[1]}" if contestant[1] else ""
            if value is not None:
                parts.append(number(value) + tail)
            elif key not in samples:
                parts.append("failed" + tail)
        cells.append("<br>".join(parts) or "-")
    name = scenario if metric in ("ns", "cpu_ns") and scenario not in METRICS else f"{scenario} {metric}"
    ours, go = figures.get(("gort", kind or "")), figures.get(("go", ""))
    best, best_name = best_other(figures, metric)
    target, met = verdict(scenario, metric, procs, ours, go, best, figures)
    return [name, str(procs), *cells, ratio(ours, go), target, met, best_name, ratio(ours, best)]


def median(samples, key, metric):
    """None if there is no such figure; infinite if there never will be."""
    values = [figures[metric] for figures in samples.get(key, []) if metric in figures]
    return statistics.median(math.inf if value is None else value for value in values) if values else None


def verdict(scenario, metric, procs, ours, go, best, figures):
    """The target as text, and whether gort meets it."""
    name = scenario if metric == "ns" else f"{scenario}.{metric}"
    if name in FIGURES:
        bounds, unit = FIGURES[name]
        mine = {with_: figures.get(("gort", with_)) for with_ in bounds}
        met = [mine[with_] <= bounds[with_] for with_ in bounds if mine[with_] is not None]
        return " / ".join(f"{bound}{unit}" for bound in bounds.values()), mark(all(met) if met else None)
    target = TARGETS.get(name)
    if isinstance(target, tuple):
        target = target[min(procs, len(target)) - 1]
    if target is None:
        return "", ""
    if ours is None or not go:
        met = None
    else:
        met = ours <= target * go and (name not in BEST or best is None or ours <= best)
    return f"{target:g}x" + (", best" if name in BEST else ""), mark(met)


def mark(met):
    return {True: "met", False: "missed", None: ""}[met]


def best_other(figures, metric):
    """The best figure of anybody but gort and Go."""
    others = {
        (peer, with_): value
        for (peer, with_), value in figures.items()
        if peer not in ("gort", "go") and with_ not in NOT_COMPARABLE and value is not None and value < math.inf
    }
    if not others:
        return None, "-"
    key = (max if metric in RATES else min)(others, key=others.get)
    return others[key], label(key)


def label(contestant):
    peer, with_ = contestant[:2]
    return f"{peer} {with_}" if with_ else peer


def ratio(value, of):
    if value is None or not of or math.inf in (value, of):
        return ""
    return f"{value / of:.2f}x" if value >= 0.1 * of else f"{value / of:.3f}x"


def number(value):
    if value == math.inf:
        return "never"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def text(row):
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"

    rule = ["---" if i == 0 else "---:" for i in range(len(rows[0]))]
    return "\n".join([text(rows[0]), "| " + " | ".join(rule) + " |", *map(text, rows[1:])])


def samples_as_json(samples):
    return [figures for runs in samples.values() for figures in runs]


# ---- where and with what -----------------------------------------------------


def machine(options, load_before):
    cpu = first_match(r"model name\s*:\s*(.*)", "/proc/cpuinfo") or platform.processor()
    memory = int(first_match(r"MemTotal:\s*(\d+)", "/proc/meminfo") or 0) / 2**20
    here = pathlib.Path(__file__).resolve().parent
    commit = output("git", "-C", here, "describe", "--always", "--dirty") or "no commit"
    lock = (here / "Cargo.lock").read_text() if (here / "Cargo.lock").exists() else ""
    crates = ["tokio", "flume", "async-channel", "may", "crossbeam-channel", "hyper", "httparse"]
    found = {c: re.search(rf'name = "{c}"\nversion = "(.*)"', lock) for c in crates}
    versions = ", ".join(f"{c} {m[1]}" for c, m in found.items() if m)
    go = first_match(r"(go1\.[0-9.]+)", options.bin / "go-version") or "Go of unknown version"
    when = datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
    return f"""\
Machine: {cpu}, {os.cpu_count()} CPUs, {memory:.0f} GiB, {platform.system()} {platform.release()} {platform.machine()}.
Versions: gort {commit}; {go}; {output("rustc", "-V")}, opt-level 3, fat LTO; {versions}.
Run: {when}, {options.rounds} rounds, sizes x {options.scale:g}, load average {load_before:.2f} before and {os.getloadavg()[0]:.2f} after. Medians; ns per operation unless a row says otherwise.
"""


def first_match(pattern, path):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text())
    except OSError:
        return None
    return found and found[1]


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    main()
