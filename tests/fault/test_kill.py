#!/usr/bin/env python3
"""kill -9 at any moment, and siblings that are frozen: what was answered stands, what was not is
charged at most once, nothing stays held.

FAREBOX_KILLS=N kills N times (40 by default), FAREBOX_SEED=N chooses the moments.
"""

import fcntl
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import (AT_ONCE_S, TIMEOUT_S, Gone, Home, content_of, echo_tool,  # noqa: E402
                          main, usage_of, wait_for_a_whole)

KILLS = int(os.environ.get("FAREBOX_KILLS", "40"))
SEED = int(os.environ.get("FAREBOX_SEED", "1"))
IN_FLIGHT = 8
# So many answers are waited for before a kill, however slow the machine; without one it falls into
# the start. Then a moment, in which the kill may meet any step.
ANSWERS = (0, 1, 3, 10, 30)
MOMENT_S = 0.06
STARTER = 1000000
CONFIG = {"org": {"starter_tokens": STARTER},
          "purchases": {"per_day_usd": 1000000, "per_month_usd": 1000000},
          "tools": {"now": echo_tool(1), "soon": echo_tool(2, delay_ms=5),
                    "fails": echo_tool(3, delay_ms=2, outcome="5xx")}}
PRICES = {"now": 1, "soon": 2, "fails": 0}
CAPTURE, PURCHASE = 6, 3
SUCCEEDED = 5


class Work:
    """One thing that is asked for until it is answered, over as many processes as it takes."""

    def __init__(self, number, rng):
        self.key = "work-%d" % number
        self.tool = rng.choice(("now", "now", "soon", "soon", "fails", "buy_tokens"))
        self.number = number
        self.is_keyed = self.tool == "buy_tokens" or rng.random() < 0.5
        self.answers = []

    def send(self, s):
        if self.tool == "buy_tokens":
            return s.send_call(self.tool, {"amount_usd": 5, "idempotency_key": self.key})
        meta = {"farebox/idempotencyKey": self.key} if self.is_keyed else None
        return s.send_call(self.tool, {"n": self.number}, meta)


class Load:
    """Keeps calls in flight in one process after the other."""

    def __init__(self):
        self.rng = random.Random(SEED)
        self.works = []
        self.again = []   # was in flight when the process was killed, and has a key
        self.lost = []    # likewise, without a key: nobody asks again

    def next_work(self):
        if self.again:
            return self.again.pop()
        work = Work(len(self.works), self.rng)
        self.works.append(work)
        return work

    def take(self, s, open_calls):
        """Takes the answers that came."""
        for message in s.inbox:
            open_calls.pop(message["id"]).answers.append(message["result"])
        s.inbox.clear()

    def run(self, s):
        """Works until some calls are answered, and a moment more; then it is killed as it stands."""
        open_calls = {}
        wanted = self.rng.choice(ANSWERS)
        deadline = None
        while deadline is None or time.monotonic() < deadline:
            while len(open_calls) < IN_FLIGHT:
                work = self.next_work()
                open_calls[work.send(s)] = work
            if wanted <= 0 and deadline is None:
                deadline = time.monotonic() + self.rng.uniform(0, MOMENT_S)
            try:
                s.until(lambda: s.inbox,
                        TIMEOUT_S if deadline is None else max(0, deadline - time.monotonic()))
            except TimeoutError:
                if deadline is None:
                    raise
            wanted -= len(s.inbox)
            self.take(s, open_calls)
        s.kill9()
        self.take(s, open_calls)
        for work in open_calls.values():
            (self.again if work.is_keyed else self.lost).append(work)

    def finish(self, s):
        """All that may be asked again is, in peace."""
        open_calls = {}
        while self.again:
            work = self.again.pop()
            open_calls[work.send(s)] = work
        s.until(lambda: len(s.inbox) >= len(open_calls), 60)
        self.take(s, open_calls)


def expire_leases(home):
    """As if the 15 s were over. No process runs."""
    home.change("UPDATE lease SET expires_boot_ms = 0")


def id_of(text):
    return bytes.fromhex(text.split("_")[1])


def check_answers(home, load):
    """What was answered is in the ledger, once; what was not answered, at most once."""
    captures = {row[0]: (row[1], row[2]) for row in home.query(
        "SELECT ref, amount_microusd, hex(hash) FROM entry WHERE kind = ?", CAPTURE)}
    seen = {}
    for work in load.works:
        for result in work.answers:
            if work.tool == "buy_tokens":
                continue
            if work.tool == "fails":
                assert result["isError"] and usage_of(result)["tokens"] == 0, result
                continue
            usage = usage_of(result)
            amount, receipt = captures[id_of(usage["call_id"])]
            assert amount == PRICES[work.tool] * 10000 and receipt.lower() == usage["receipt"], usage
            assert seen.setdefault(usage["call_id"], work) is work, "two works, one call"
        calls = {usage_of(r)["call_id"] for r in work.answers} if work.tool in ("now", "soon") else []
        assert len(calls) <= 1, (work.key, calls)


def check_sums(home, load):
    """To the token: each work that was answered or may have been."""
    spent = sum(PRICES[w.tool] for w in load.works if w.answers and w.tool != "buy_tokens")
    unsure = sum(PRICES[w.tool] for w in load.lost)
    bought = 500 * sum(1 for w in load.works if w.tool == "buy_tokens")
    rows = home.query("SELECT available_microusd, held_microusd FROM wallet")
    available, held = rows[0][0] / 10000, rows[0][1]
    assert held == 0, held
    most = STARTER + bought - spent
    assert most - unsure <= available <= most, (available, most, unsure)


def check_payments(home, load):
    """Each purchase once, each with its grant."""
    wanted = sorted(w.key for w in load.works if w.tool == "buy_tokens")
    rows = home.query("SELECT idempotency_key, state, credit_cents FROM payment")
    assert sorted(r[0] for r in rows) == wanted, (len(rows), len(wanted))
    assert all(r[1] == SUCCEEDED and r[2] == 500 for r in rows), rows
    grants = home.query("SELECT count(*), sum(amount_microusd) FROM entry WHERE kind = ?", PURCHASE)
    assert grants == [(len(rows), len(rows) * 5000000 or None)], grants
    for work in load.works:
        if work.tool == "buy_tokens":
            found = [content_of("buy_tokens", r) for r in work.answers]
            assert found and {r["status"] for r in found} <= {"succeeded", "pending"}, found
            assert len({r["payment_id"] for r in found}) == 1, found


def test_kill_at_any_moment_under_load():
    load = Load()
    with Home(CONFIG) as home:
        for n in range(KILLS):
            s = home.server()
            load.run(s)
            s.check_healthy()
            s.dispose()
            if os.path.exists(home.store) and os.path.getsize(home.store):
                home.ledger_verify()
                if load.rng.random() < 0.7:
                    expire_leases(home)
        expire_leases(home)
        with home.server() as s:
            load.finish(s)
            while s.call_ok("get_token_balance")["held_tokens"]:
                pass
        home.ledger_verify()
        assert home.query("SELECT count(*) FROM hold") == [(0,)]
        check_answers(home, load)
        check_sums(home, load)
        check_payments(home, load)
        answered = sum(1 for w in load.works if w.answers)
        print("%d kills, %d calls, %d of them answered, %d never asked again"
              % (KILLS, len(load.works), answered, len(load.lost)))
        assert answered > KILLS and len(load.lost) > KILLS / 4, "that was no load"


def test_a_sibling_that_is_killed_does_not_disturb_the_other():
    load = Load()
    with Home(CONFIG) as home, home.server() as survivor:
        survivor.balance()
        spent = 0
        for n in range(KILLS // 4):
            ids = [survivor.send_call("soon", {"survivor": n * 100 + k}) for k in range(20)]
            s = home.server()
            load.run(s)
            s.dispose()
            for id in ids:
                assert usage_of(survivor.wait(id))["tokens"] == 2
            spent += 40
        survivor.stop()
        rows = home.query("SELECT sum(amount_microusd) FROM entry WHERE kind = ? AND tool = 'soon'",
                          CAPTURE)
        assert rows[0][0] / 10000 >= spent
        home.ledger_verify()


def test_holds_of_the_killed_are_released_when_their_lease_is_over():
    # In its own time: 15 s of the lease, 5 s until somebody looks.
    config = {"tools": {"endless": echo_tool(30, delay_ms=40000)}}
    wait_for_a_whole("month")
    with Home(config) as home, home.server() as other:
        s = home.server()
        for n in range(3):
            s.send_call("endless", {"n": n})
        while other.call_ok("get_token_balance")["held_tokens"] != 90:
            pass
        s.kill9()
        s.dispose()
        began = time.monotonic()
        assert other.balance() == 10
        while other.call_ok("get_token_balance")["held_tokens"]:
            assert time.monotonic() - began < 20 + TIMEOUT_S, "the holds are still there"
            time.sleep(0.2)  # asked as seldom as a person would
        assert time.monotonic() - began > 8, "released while their owner might have lived"
        assert other.balance() == 100
        usage = other.call_ok("get_usage")["totals"]
        assert usage["calls"] == 3 and usage["charged"] == 0 and usage["refunded"] == 3, usage
        home.ledger_verify()


def test_a_process_that_oversleeps_its_lease_captures_nothing():
    # Suspended with a call in flight; a sibling releases the hold; then it wakes up.
    config = {"tools": {"slow": echo_tool(30, delay_ms=600)}}
    with Home(config) as home, home.server() as s:
        id = s.send_call("slow")
        while s.call_ok("get_token_balance")["held_tokens"] != 30:
            pass
        s.signal(signal.SIGSTOP)
        wait_stopped(s)
        expire_leases(home)
        with home.server() as other:
            while other.call_ok("get_token_balance")["held_tokens"]:
                pass
            assert other.balance() == 100
        s.signal(signal.SIGCONT)
        result = s.wait(id)
        # Delivered unpaid, or refused: never charged.
        assert result["_meta"]["farebox/usage"]["tokens"] == 0, result
        assert s.balance() == 100
        home.ledger_verify()


def wait_stopped(s):
    while True:
        with open("/proc/%d/stat" % s.pid, encoding="ascii") as f:
            if f.read().rsplit(")", 1)[1].split()[0] == "T":
                return


def is_free(path):
    with open(path, "rb") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def freeze_with_lock(home, victim, path):
    """Stops the victim at a moment when it holds the lock; it works until then."""
    for n in range(2000):
        victim.send_call("now", {"freeze": n})
        victim.send_call("now", {"freeze": -n})
        victim.signal(signal.SIGSTOP)
        wait_stopped(victim)
        if not is_free(path):
            return
        victim.signal(signal.SIGCONT)
        victim.until(lambda: len(victim.inbox) > n)
    raise AssertionError("it never held %s" % path)


def test_a_frozen_sibling_that_holds_the_lock_hangs_nobody():
    with Home(CONFIG) as home, home.server() as victim, home.server() as s:
        victim.balance()
        s.balance()
        freeze_with_lock(home, victim, home.store + "-lock")
        waiting = s.send_call("now", {"a": 1})
        for _ in range(5):
            began = time.monotonic()
            s.call_ok("ping")
            s.request("tools/list")
            assert time.monotonic() - began < AT_ONCE_S, time.monotonic() - began
        # A new one starts, and ends, all the same.
        probe = home.server()
        probe.request("server/discover")
        probe.send_call("now", {"a": 2})
        probe.call_ok("ping")
        began = time.monotonic()
        probe.terminate()
        probe.wait_exit(timeout=10)
        assert time.monotonic() - began < AT_ONCE_S, time.monotonic() - began
        probe.check_healthy()
        probe.dispose()
        victim.signal(signal.SIGCONT)
        assert usage_of(s.wait(waiting))["tokens"] == 1
        s.stop()
        victim.stop()
        home.ledger_verify()


def test_a_lock_that_is_never_given_back_answers_unavailable():
    # The whole time of a call: it fails closed, says so, and charges nothing.
    with Home(CONFIG) as home, home.server() as s, home.server(era="legacy") as late:
        before = s.balance()
        with open(home.store + "-lock", "rb") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            began = time.monotonic()
            ids = [s.send_call("now", {"n": n}) for n in range(3)]
            first = late.send_call("check_balance")
            for server, id in [(s, i) for i in ids] + [(late, first)]:
                try:
                    result = server.wait(id, timeout=58)
                except (TimeoutError, Gone) as e:
                    raise AssertionError("no answer in the time that hosts wait") from e
                error = result["_meta"]["farebox/error"]["error"]
                assert error["code"] == "STORE_UNAVAILABLE" and error["retryable"] is True, error
            assert time.monotonic() - began < 57
        assert s.balance() == before
        assert usage_of(s.call("now", {"n": 9}))["tokens"] == 1
        home.ledger_verify()


main()
