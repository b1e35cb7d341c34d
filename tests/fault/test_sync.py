#!/usr/bin/env python3
"""Nothing leaves the process before its commit is durable: the system calls themselves are looked at,
with strace."""

import os
import re
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import (Company, Home, Server, binary, content_of, echo_tool, error_of, main,  # noqa: E402
                          usage_of)

TRACED = ("read,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,msync,connect,"
          "sendto,ftruncate,flock")
LINE = re.compile(r"^(?:\d+ +)?(?P<name>\w+)\((?P<rest>.*)$")


class Call:
    """One system call: its name, the path of its descriptor, the whole line."""

    def __init__(self, name, rest):
        self.name = name
        self.rest = rest
        found = re.match(r"(\d+)(?:<([^>]*)>)?", rest)
        self.path = found[2] or "" if found else ""

    def is_log_write(self):
        return self.name.startswith("pwrite") and self.path.endswith("-wal")

    def is_sync(self):
        return self.name in ("fsync", "fdatasync") and ".db" in self.path and "= 0" in self.rest

    def answers(self, id):
        return self.name.startswith("write") and '\\"id\\":%d,' % id in self.rest

    def asks(self, id):
        return self.name == "read" and '\\"id\\": %d,' % id in self.rest


class Traced:
    """A server under strace; calls() after its end."""

    def __init__(self, home, inject=None):
        self.trace = os.path.join(home.path, "trace")
        argv = ("-f", "-y", "-s", "4096", "-e", "trace=" + TRACED, "-e", "signal=none", "-o",
                self.trace, *(("-e", "inject=" + inject) if inject else ()), binary(), "mcp")
        # Leaks cannot be looked for under another's eyes.
        asan = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        self.server = Server(home, program="strace", argv=argv, era="bare", env={"ASAN_OPTIONS": asan})

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *how):
        self.server.__exit__(*how)

    def calls(self):
        self.server.stop()
        with open(self.trace, encoding="utf-8", errors="replace") as f:
            found = [LINE.match(line.rstrip("\n")) for line in f]
        return [Call(m["name"], m["rest"]) for m in found if m]


def between(calls, id):
    """What happened from the request's arrival until its answer is written, both included."""
    first = [n for n, c in enumerate(calls) if c.asks(id)]
    last = [n for n, c in enumerate(calls) if c.answers(id)]
    assert len(first) == 1 and len(last) == 1, (id, len(first), len(last))
    return calls[first[0]:last[0] + 1]


def check_durable(span, syncs):
    """The last write to the log is synced before the answer, and there are so many syncs."""
    writes = [n for n, c in enumerate(span) if c.is_log_write()]
    synced = [n for n, c in enumerate(span) if c.is_sync()]
    assert writes, "nothing was written to the log"
    assert len(synced) >= syncs, "%d syncs, not %d" % (len(synced), syncs)
    assert synced[-1] > writes[-1], "the answer left before its sync"


def warm(s):
    """The store is there, so that what follows is one call's own."""
    s.balance()


def test_a_paid_call_is_durable_twice_before_it_is_answered():
    for delay_ms in (0, 5):
        with Home({"tools": {"echo": echo_tool(1, delay_ms=delay_ms)}}) as home, Traced(home) as t:
            s = t.server
            warm(s)
            ids = []
            for n in range(10):
                ids.append(s.send_call("echo", {"n": n}))
                assert usage_of(s.wait(ids[-1]))["tokens"] == 1
            calls = t.calls()
            for id in ids:
                check_durable(between(calls, id), 2)


def test_a_call_that_fails_is_released_durably_before_it_is_answered():
    with Home({"tools": {"fails": echo_tool(1, outcome="5xx")}}) as home, Traced(home) as t:
        warm(t.server)
        id = t.server.send_call("fails", {"n": 1})
        t.server.wait(id)
        check_durable(between(t.calls(), id), 2)


def test_many_at_once_share_their_syncs():
    # Group commit: still no answer before its sync, and far fewer syncs than calls.
    with Home({"org": {"starter_tokens": 1000}, "tools": {"echo": echo_tool(1)}}) as home:
        with Traced(home) as t:
            s = t.server
            warm(s)
            first = s.send("ping")
            s.send_bytes(b"".join(s.line({"jsonrpc": "2.0", "id": 1000 + n, "method": "tools/call",
                                          "params": {"name": "echo", "arguments": {"n": n}}})
                                  for n in range(200)))
            s.wait(first)
            for n in range(200):
                assert usage_of(s.wait(1000 + n))["tokens"] == 1
            calls = t.calls()
            unsynced = False
            for call in calls:
                if call.is_log_write():
                    unsynced = True
                elif call.is_sync():
                    unsynced = False
                elif call.name.startswith("write") and '\\"farebox/usage\\"' in call.rest:
                    assert not unsynced, "an answer left before its sync"
            start = [n for n, c in enumerate(calls) if c.answers(first)][0]
            syncs = sum(1 for c in calls[start:] if c.is_sync())
            assert 2 <= syncs < 100, syncs


def test_money_that_came_is_durable_before_it_is_told():
    with Home() as home, Traced(home) as t:
        s = t.server
        warm(s)
        id = s.send_call("buy_tokens", {"amount_usd": 5})
        assert content_of("buy_tokens", s.wait(id))["status"] == "succeeded"
        page = s.send_call("top_up_credits", {"amount_usd": 5})
        content_of("top_up_credits", s.wait(page))
        key = s.send_call("get_api_key")
        content_of("get_api_key", s.wait(key))
        calls = t.calls()
        # The row before the till hears of it, then the grant.
        check_durable(between(calls, id), 2)
        check_durable(between(calls, page), 2)
        check_durable(between(calls, key), 1)


def test_no_byte_reaches_a_provider_before_the_hold_is_durable():
    with Company() as company, Home() as home:
        home.configure({"network": {"allow_private": True}, "detectors": {"hiring": {
            "sources": {name: {"base_url": company.url} for name in ("greenhouse", "lever", "ashby")}}}})
        with Traced(home) as t:
            s = t.server
            warm(s)
            id = s.send_call("detect_hiring", {"company": {"boards": {"greenhouse": "tidewater"}}})
            content_of("detect_hiring", s.wait(id))
            span = between(t.calls(), id)
            check_durable(span, 2)
            out = [n for n, c in enumerate(span)
                   if c.name in ("connect", "sendto") and (":%d" % company.port in c.path
                                                           or "htons(%d)" % company.port in c.rest)]
            assert out, "the board was not asked"
            writes = [n for n, c in enumerate(span[:out[0]]) if c.is_log_write()]
            synced = [n for n, c in enumerate(span[:out[0]]) if c.is_sync()]
            assert writes and synced and synced[-1] > writes[-1], "asked before the hold was durable"


def test_what_is_free_syncs_nothing():
    with Home() as home, Traced(home) as t:
        s = t.server
        warm(s)
        ids = [s.send_call(tool) for tool in ("ping", "check_balance", "get_token_balance",
                                               "get_usage", "get_billing_preferences")]
        for id in ids:
            s.wait(id)
        calls = t.calls()
        last = max(n for n, c in enumerate(calls) for id in ids if c.answers(id))
        first = min(n for n, c in enumerate(calls) for id in ids if c.asks(id))
        assert not [c for c in calls[first:last] if c.is_sync() or c.is_log_write()]


def check_after_failed_syncs(when, killed):
    """Syncs fail as the kernel tells it: EIO, and what was written may be there or not."""
    config = {"org": {"starter_tokens": 1000},
              "tools": {"now": echo_tool(1), "soon": echo_tool(1, delay_ms=2)}}
    with Home(config) as home:
        with home.server() as s:
            s.balance()
        t = Traced(home, "fsync,fdatasync:error=EIO:when=" + when)
        s = t.server
        charged = refused = 0
        for n in range(60):
            result = s.call("now" if n % 3 else "soon", {"n": n}, timeout=58)
            if result.get("isError"):
                assert error_of(result)["code"] == "STORE_UNAVAILABLE", result
                assert "farebox/usage" not in result["_meta"] or usage_of(result)["tokens"] == 0
                refused += 1
            else:
                charged += usage_of(result)["tokens"]
        assert refused and charged, (when, refused, charged)
        if killed:
            end_traced(s)
        else:
            s.close_stdin()
            s.wait_exit()
        s.dispose()
        if killed:
            home.change("UPDATE lease SET expires_boot_ms = 0")
        with home.server() as s:
            while s.call_ok("get_token_balance")["held_tokens"]:
                pass
            assert s.balance() == 1000 - charged, (when, killed, s.balance(), charged)
        home.ledger_verify()


def end_traced(s):
    """kill -9 for the traced one; strace ends with it."""
    with open("/proc/%d/task/%d/children" % (s.pid, s.pid), encoding="ascii") as f:
        os.kill(int(f.read().split()[0]), signal.SIGKILL)
    s.wait_exit()


def test_a_sync_that_fails_charges_nothing():
    for when in ("3+4", "4+5", "6+7"):
        check_after_failed_syncs(when, killed=False)


def test_a_sync_that_fails_and_a_crash_behind_it():
    # What a failed commit left in the log must not come back to life with the next opening.
    for when in ("3+4", "4+5", "6+7"):
        check_after_failed_syncs(when, killed=True)


if not shutil.which("strace"):
    print("strace is not here; run scripts/setup --tests")
    print("0 passed, 1 failed")
    sys.exit(1)
main()
