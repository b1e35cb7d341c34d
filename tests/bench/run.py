#!/usr/bin/env python3
"""Measures farebox over stdio beside the raw limit of this machine: run.py [--quick] [--rounds N]

The raw limit is a C loop that writes the same rows in the same transactions with the same
durability (raw.c). Rounds are interleaved and ratios are taken within a round, so that a machine
that is slow for a while is slow for both; what is shown is the median of the rounds and, in
brackets, the least and the most. Exits 1 when a goal is missed.

Calls through an HTTP provider stand beside the same requests made by libcurl's multi interface
without farebox (direct.c), of the same API on loopback (api.c).

The load repeats one call, which the spend guard would stop, so the guard is off; the rows with the
guard on make each call with arguments of its own, beside the same with the guard off.

Stores are made on the disk of $FAREBOX_BENCH_DIR, by default of the working folder.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TREE, "tests", "harness"))

import builds  # noqa: E402

WINDOWS = (1, 16, 64, 256)
SERVERS = 4
HTTP_WINDOWS = (1, 16, 64)
TOOL = "bench_echo"
HTTP_TOOL = "bench_http"
HTTP_PATH = "/v1/items?text="
TEXT = "0123456789abcdef"


def config_of(api, has_guard):
    def tool(provider):
        return {
            "description": "Says what it was told",
            "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
            "price": {"kind": "flat", "tokens": 1},
            "provider": provider,
        }

    return {
        "guard": {} if has_guard else {"released": 0, "repeated": 0},
        "tools": {TOOL: tool({"kind": "echo"}),
                  HTTP_TOOL: tool({"kind": "http", "url": api + HTTP_PATH + "{text}"})},
        "network": {"allow_private": True},
    }


class Api:
    """The API that both call; url is its base."""

    def __init__(self, build):
        self.process = subprocess.Popen([os.path.join(build, "tests", "bench", "bench-api")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = "http://127.0.0.1:%d" % int(self.process.stdout.readline().split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate()


class Bench:
    def __init__(self, build, folder, quick, api):
        self.build = build
        self.api = api
        self.folder = folder
        self.warm_s = 0.3 if quick else 0.5
        self.run_s = 0.7 if quick else 2.0
        self.many_entries = 100_000 if quick else 1_000_000
        self.many_calls = 100_000 if quick else 1_000_000
        self.stores = 0
        for has_guard in (False, True):
            with open(self.config(has_guard), "w", encoding="utf-8") as f:
                json.dump(config_of(api, has_guard), f)

    def config(self, has_guard):
        return os.path.join(self.folder, "guard.json" if has_guard else "farebox.json")

    def environment(self, store, has_guard):
        return {"HOME": self.folder, "PATH": os.environ.get("PATH", ""),
                "FAREBOX_CONFIG": self.config(has_guard), "FAREBOX_STORE": store,
                "FAREBOX_PAYMENTS": "off"}

    def run(self, argv, store, has_guard=False):
        run = subprocess.run(argv, env=self.environment(store, has_guard), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             cwd=self.folder)
        if run.returncode:
            raise RuntimeError("%s: status %d\n%s%s"
                               % (" ".join(argv), run.returncode, run.stdout, run.stderr))
        return run.stdout

    @property
    def farebox(self):
        return os.path.join(self.build, "farebox")

    def new_store(self):
        self.stores += 1
        store = os.path.join(self.folder, "%d" % self.stores, "wallet.db")
        os.mkdir(os.path.dirname(store))
        return store

    def new_wallet(self):
        store = self.new_store()
        self.run([self.farebox, "grant", "--tokens", "1000000000"], store)
        return store

    def drop(self, store):
        shutil.rmtree(os.path.dirname(store))

    def raw(self, batch):
        store = self.new_store()
        out = self.run([os.path.join(self.build, "tests", "bench", "bench-raw"), store, str(batch),
                        str(self.warm_s), str(self.run_s)], store)
        self.drop(store)
        return json.loads(out)

    def load(self, store, *options, command=None, has_guard=False):
        argv = [os.path.join(self.build, "tests", "bench", "bench-load"), *map(str, options), "--",
                *(command or [self.farebox, "mcp"])]
        return json.loads(self.run(argv, store, has_guard))

    def timed(self):
        return ["-w", self.warm_s, "-s", self.run_s]

    def paid(self, window, store=None, servers=1, tool=TOOL):
        own = store or self.new_wallet()
        found = self.load(own, "-k", servers, "-n", window, *self.timed(), "-t", tool,
                          "-a", json.dumps({"text": TEXT}))
        if store is None:
            self.drop(own)
        return found

    def unlike(self, window, has_guard):
        """Each call has other arguments."""
        store = self.new_wallet()
        found = self.load(store, "-n", window, *self.timed(), "-t", TOOL, "-u",
                          has_guard=has_guard)
        self.drop(store)
        return found

    def direct(self, window):
        return json.loads(self.run([
            os.path.join(self.build, "tests", "bench", "bench-direct"),
            self.api + HTTP_PATH + TEXT, str(window), str(self.warm_s), str(self.run_s)], ""))

    def free(self, window, store):
        return self.load(store, "-n", window, *self.timed(), "-t", "ping")

    def round(self, large):
        found = {}
        for window in WINDOWS:
            found["raw", window] = self.raw(window)
            found["paid", window] = self.paid(window)
        for window in (1, 64):
            found["large", window] = self.paid(window, large)
            found["empty", window] = self.paid(window)
            found["free", window] = self.free(window, large)
            found["guard", window] = self.unlike(window, True)
            found["no guard", window] = self.unlike(window, False)
        for window in HTTP_WINDOWS:
            found["direct", window] = self.direct(window)
            found["http", window] = self.paid(window, tool=HTTP_TOOL)
        found["several", SERVERS] = self.paid(1, servers=SERVERS)
        return found


def strace_faults(path, store):
    """What the trace shows: the least syncs between two answers, and answers before their sync."""
    wal = os.path.realpath(store) + "-wal"
    syncs, dirty, least, early, answers = 0, False, None, 0, 0
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.match(r"(?:\d+ +)?(\w+)\(\d+<([^>]*)>", line)
            if not m:
                continue
            call, target = m.groups()
            if target == wal and call in ("fdatasync", "fsync"):
                syncs, dirty = syncs + 1, False
            elif target == wal and "write" in call:
                dirty = True
            elif "write" in call and re.search(r'\\"id\\":[1-9]\d*,\\"result', line):
                answers += 1
                early += dirty
                least = syncs if least is None else min(least, syncs)
                syncs = 0
    return answers, least or 0, early


def traced(bench):
    store = bench.new_wallet()
    trace = os.path.join(bench.folder, "strace.txt")
    bench.load(store, "-n", 1, "-c", 50, "-t", TOOL, "-a", "{}", command=[
        "strace", "-f", "-y", "-qq", "-s", "80", "-o", trace,
        "-e", "trace=write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync", bench.farebox, "mcp"])
    answers, least, early = strace_faults(trace, store)
    bench.drop(store)
    return answers, least, early


class Table:
    def __init__(self):
        self.missed = 0

    def row(self, name, value, wanted="", good=None):
        verdict = "" if good is None else ("ok" if good else "NOT OK")
        self.missed += good is False
        print("%-46s %-30s %-18s %s" % (name, value, wanted, verdict), flush=True)

    def ratio(self, name, values, least=None):
        middle = statistics.median(values)
        self.row(name, "%.2f  [%.2f..%.2f]" % (middle, min(values), max(values)),
                 "" if least is None else ">= %.2f" % least,
                 None if least is None else middle >= least)


def show_http(table, rounds):
    def middle(cell, figure):
        return statistics.median(r[cell][figure] for r in rounds)

    table.row("AN HTTP API ON LOOPBACK", "through farebox, paid", "libcurl alone")
    for window in HTTP_WINDOWS:
        http, direct = ("http", window), ("direct", window)
        table.row("calls a second, %d in flight" % window, "%.0f" % middle(http, "rate"),
                  "%.0f" % middle(direct, "rate"))
        table.row("half of the waits, us, %d in flight" % window, "%.0f" % middle(http, "p50_us"),
                  "%.0f" % middle(direct, "p50_us"))
        added = [r[http]["p50_us"] - r["paid", window]["p50_us"] for r in rounds]
        table.row("more than a paid echo, us, %d in flight" % window,
                  "%.0f  [%.0f..%.0f]" % (statistics.median(added), min(added), max(added)))
        table.row("CPU a call, us, %d in flight" % window,
                  "%.0f" % middle(http, "cpu_us_per_call"),
                  "%.0f" % middle(direct, "cpu_us_per_call"))
        table.ratio("rate to libcurl's, %d in flight" % window,
                    [r[http]["rate"] / r[direct]["rate"] for r in rounds])
    print()


def show(table, bench, rounds):
    def rates(*cell):
        return [r[cell]["rate"] for r in rounds]

    def pairs(a, b):
        return [x / y for x, y in zip(rates(*a), rates(*b))]

    table.row("CALLS A SECOND", "farebox", "raw limit")
    for window in WINDOWS:
        table.row("paid, %d in flight" % window, "%.0f" % statistics.median(rates("paid", window)),
                  "%.0f" % statistics.median(rates("raw", window)))
    for window in (1, 64):
        table.row("paid, %d in flight, %d entries" % (window, bench.many_entries),
                  "%.0f" % statistics.median(rates("large", window)))
    for window in (1, 64):
        table.row("free (ping), %d in flight" % window,
                  "%.0f" % statistics.median(rates("free", window)))
    table.row("paid, %d processes on one store" % SERVERS,
              "%.0f" % statistics.median(rates("several", SERVERS)))
    for window in (1, 64):
        table.row("paid, %d in flight, all unlike, guard on" % window,
                  "%.0f" % statistics.median(rates("guard", window)))
    print()
    show_http(table, rounds)
    table.row("RATIOS", "measured", "wanted")
    for window in WINDOWS:
        table.ratio("of the raw limit, %d in flight" % window,
                    pairs(("paid", window), ("raw", window)), 0.90 if window == 1 else 0.60)
    table.ratio("64 in flight to one at a time", pairs(("paid", 64), ("paid", 1)), 12)
    for window in (1, 64):
        table.ratio("%d entries to none, %d in flight" % (bench.many_entries, window),
                    pairs(("large", window), ("empty", window)), 0.90)
    table.ratio("%d processes to one" % SERVERS, pairs(("several", SERVERS), ("paid", 1)), 0.70)
    shares = [s for r in rounds for s in r["several", SERVERS]["shares"]]
    table.row("%d processes: shares" % SERVERS, "%.2f..%.2f" % (min(shares), max(shares)),
              "0.90..1.10", min(shares) >= 0.9 and max(shares) <= 1.1)
    waits = [r["several", SERVERS]["max_us"] / 1e3 for r in rounds]
    for window in (1, 64):
        table.ratio("guard on to off, %d in flight" % window,
                    pairs(("guard", window), ("no guard", window)))
    table.row("%d processes: longest wait, ms" % SERVERS,
              "%.1f  [%.1f..%.1f]" % (statistics.median(waits), min(waits), max(waits)), "<= 20",
              statistics.median(waits) <= 20)


def show_single(table, bench, large):
    starts = [bench.load(large, "-c", 0) for _ in range(20)]
    first = [s["first_answer_ms"] for s in starts]
    table.row("start to first answer, ms",
              "%.1f  [%.1f..%.1f]" % (statistics.median(first), min(first), max(first)), "<= 10",
              statistics.median(first) <= 10)
    after_start = max(s["rss_start_kb"] for s in starts) / 1024
    table.row("memory after start, MB", "%.1f" % after_start, "<= 14", after_start <= 14)
    store = bench.new_wallet()
    many = bench.load(store, "-n", 64, "-c", bench.many_calls, "-t", TOOL, "-a", "{}")
    bench.drop(store)
    table.row("memory after %d paid calls, MB" % many["calls"], "%.1f" % (many["rss_end_kb"] / 1024),
              "<= 18", many["rss_end_kb"] / 1024 <= 18 and many["calls"] == bench.many_calls)
    answers, least, early = traced(bench)
    table.row("syncs a call, one at a time (%d traced)" % answers, "%d" % least, ">= 2",
              answers == 50 and least >= 2)
    table.row("answers before their sync", "%d" % early, "0", answers == 50 and early == 0)


def measure(build, folder, args, api):
    bench = Bench(build, folder, args.quick, api)
    print("stores in %s, %d rounds of %.1f s a cell; load average %.1f\n"
          % (os.path.dirname(folder), args.rounds, bench.run_s, os.getloadavg()[0]), flush=True)
    large = bench.new_wallet()
    bench.load(large, "-n", 256, "-c", bench.many_entries // 2, "-t", TOOL, "-a", "{}")
    rounds = [bench.round(large) for _ in range(args.rounds)]
    table = Table()
    show(table, bench, rounds)
    show_single(table, bench, large)
    return table.missed


def main():
    parser = argparse.ArgumentParser(description="measures farebox beside the raw limit")
    parser.add_argument("--quick", action="store_true", help="shorter, for a first look")
    parser.add_argument("--rounds", type=int)
    args = parser.parse_args()
    args.rounds = args.rounds or (3 if args.quick else 5)
    root, is_temporary = builds.root()
    build = os.path.join(root, "gcc-lto")
    argv, environment = builds.command("gcc-lto", build)
    if subprocess.run(argv, env=environment).returncode:
        return 1
    where = os.environ.get("FAREBOX_BENCH_DIR") or (os.getcwd() if os.access(".", os.W_OK) else None)
    folder = tempfile.mkdtemp(prefix="farebox-bench-", dir=where)
    try:
        with Api(build) as api:
            missed = measure(build, folder, args, api.url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if is_temporary:
            shutil.rmtree(root, ignore_errors=True)
    print("\n%s" % ("all goals are met" if not missed else "%d goals are missed" % missed))
    return 1 if missed else 0


sys.exit(main())
