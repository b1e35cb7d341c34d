#!/usr/bin/env python3
"""How calls and processes end: cancelled, drained, terminated, cut off. Nothing stays held, nothing is
charged that was not answered."""

import contextlib
import os
import random
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import (AT_ONCE_S, Home, content_of, echo_tool, main, usage_of,  # noqa: E402
                          wait_for_a_whole)

CONFIG = {"org": {"starter_tokens": 1000},
          "tools": {"echo": echo_tool(30), "slow": echo_tool(30, delay_ms=300),
                    "endless": echo_tool(30, delay_ms=25000)}}
ROOMY = {**CONFIG, "org": {"starter_tokens": 100000}, "guard": {"released": 0, "repeated": 0}}
SLOW_MACHINE = 2  # tests share two cores with others


def wait_a_moment(seconds):
    """Not for anything: the moment itself is what is tried."""
    time.sleep(seconds)


def held(s):
    return s.call_ok("get_token_balance")["held_tokens"]


def wait_until_held(s, tokens):
    for _ in range(3000):
        if held(s) == tokens:
            return
    raise AssertionError("%s tokens are held, not %s" % (held(s), tokens))


def check_at_rest(home, tokens):
    """All is settled, and so much is left."""
    home.ledger_verify()
    assert home.query("SELECT count(*) FROM hold") == [(0,)]
    rows = home.query("SELECT available_microusd FROM wallet")
    assert rows == [(tokens * 10000,)], rows


def test_a_cancelled_call_is_released_and_heard_of_no_more():
    # openai/codex#20925 and the rule of the protocol: nothing more is sent for that id.
    wait_for_a_whole("month")
    with Home(CONFIG) as home, home.server() as s:
        ids = [s.send_call("endless", {"n": n}) for n in range(3)]
        wait_until_held(s, 90)
        s.notify("notifications/cancelled", {"requestId": ids[1], "reason": "user"})
        wait_until_held(s, 60)
        for id in (ids[0], ids[2]):
            s.notify("notifications/cancelled", {"requestId": id})
        wait_until_held(s, 0)
        assert s.balance() == 1000
        # Again, of one that is over, of one that never was, and without any.
        for params in ({"requestId": ids[1]}, {"requestId": 4711}, {"requestId": None}, {}):
            s.notify("notifications/cancelled", params)
        usage = s.call_ok("get_usage")["totals"]
        assert (usage["calls"], usage["charged"], usage["refunded"]) == (3, 0, 3), usage
        s.stop()
        assert not s.inbox, s.inbox
        check_at_rest(home, 1000)


def test_a_cancel_at_any_moment_leaves_no_charge_unheard():
    # Either it came in time, or the answer is there: never a charge in silence.
    random.seed(2)
    config = {"org": {"starter_tokens": 10000},
              "tools": {"echo": echo_tool(30), "soon": echo_tool(30, delay_ms=1)}}
    with Home(config) as home, home.server() as s:
        sent = set()
        for n in range(300):
            id = s.send_call("echo" if n % 2 else "soon", {"n": n})
            if n >= 50:
                wait_a_moment(random.random() * 0.004)
            s.notify("notifications/cancelled", {"requestId": id})
            sent.add(id)
        s.stop()
        answered = [m["id"] for m in s.inbox]
        assert len(answered) == len(set(answered)) and set(answered) <= sent
        charged = home.query("SELECT count(*) FROM entry WHERE kind = 6")[0][0]
        assert charged == len(answered), (charged, len(answered))
        assert all(usage_of(m["result"])["tokens"] == 30 for m in s.inbox)
        check_at_rest(home, 10000 - 30 * charged)


def test_the_id_of_a_cancelled_call_is_free_again():
    with Home(CONFIG) as home, home.server() as s:
        id = s.send_call("endless")
        wait_until_held(s, 30)
        s.notify("notifications/cancelled", {"requestId": id})
        wait_until_held(s, 0)
        s.send("tools/call", {"name": "ping"}, id=id)
        content_of("ping", s.wait(id))


def test_a_cancelled_purchase_runs_on():
    with Home(CONFIG) as home, home.server() as s:
        id = s.send_call("buy_tokens", {"amount_usd": 5})
        s.notify("notifications/cancelled", {"requestId": id})
        for _ in range(3000):
            if s.balance() == 1500:
                break
        assert s.balance() == 1500
        again = s.call_ok("buy_tokens", {"amount_usd": 5})
        assert again["replayed"] is True and s.balance() == 1500, again
        s.stop()
        assert not s.inbox, s.inbox
        home.ledger_verify()


def test_the_end_of_input_lets_calls_in_flight_finish():
    with Home(CONFIG) as home:
        s = home.server()
        ids = [s.send_call("slow", {"n": n}) for n in range(8)]
        ids.append(s.send_call("echo"))
        s.stop()
        results = {m["id"]: m["result"] for m in s.inbox}
        assert set(results) == set(ids), results
        assert all(usage_of(r)["tokens"] == 30 for r in results.values())
        s.dispose()
        check_at_rest(home, 1000 - 9 * 30)


def test_the_last_line_needs_no_newline():
    with Home(CONFIG) as home:
        s = home.server(era="bare")
        s.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}')
        s.stop()
        assert usage_of(s.inbox[0]["result"])["tokens"] == 30
        s.dispose()
        check_at_rest(home, 970)


def test_an_empty_session_ends_with_its_input():
    with Home(CONFIG) as home:
        s = home.server()
        began = time.monotonic()
        s.stop()
        assert time.monotonic() - began < AT_ONCE_S
        s.dispose()
        assert not os.path.exists(home.store)


def test_what_does_not_finish_in_the_drain_time_is_released():
    with Home(CONFIG) as home:
        s = home.server()
        s.send_call("endless")
        id = s.send_call("slow")
        began = time.monotonic()
        s.stop()
        took = time.monotonic() - began
        assert 9 < took < 10 + AT_ONCE_S, took
        assert [m["id"] for m in s.inbox] == [id]
        s.dispose()
        check_at_rest(home, 970)


def check_gone_soon(s, number=signal.SIGTERM):
    """Hosts kill after a second or two."""
    began = time.monotonic()
    s.signal(number)
    status = s.wait_exit(timeout=10)
    took = time.monotonic() - began
    s.check_healthy()
    assert status == 0, (status, s.err_text())
    assert took < AT_ONCE_S, took
    return took


def test_sigterm_releases_what_is_in_flight_within_a_second():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with Home(CONFIG) as home:
            s = home.server()
            for n in range(8):
                s.send_call("endless", {"n": n})
            wait_until_held(s, 240)
            took = check_gone_soon(s, number)
            assert took > 0.3, "calls in flight were given no time: %s" % took
            assert not s.inbox, s.inbox
            s.dispose()
            check_at_rest(home, 1000)


def busy_server(home):
    """One with calls in flight of each sort: held, about to be held, reading."""
    s = home.server()
    for n in range(4):
        s.send_call("endless", {"n": n})
    wait_until_held(s, 120)
    return s


def more_work(s):
    for n in range(4):
        s.send_call("endless", {"m": n})
        s.send_call("echo", {"m": n})
        s.send_call("get_usage")


def allowed_s(home):
    """A second, and what this machine and build take longer than they should."""
    s = busy_server(home)
    more_work(s)
    took = check_gone_soon(s)
    s.dispose()
    return 1 + 3 * max(0, took - 0.45)


def check_gone_within_a_second(home, hold):
    allowed = allowed_s(home)
    s = busy_server(home)
    with hold(home):
        more_work(s)
        took = check_gone_soon(s)
    s.dispose()
    assert took < allowed, (took, allowed)
    # What the store could not take then is swept by the next that opens it.
    with home.server() as s:
        s.call("echo")
        until_swept(s)
    home.ledger_verify()


def until_swept(s):
    deadline = time.monotonic() + 60
    while held(s):
        assert time.monotonic() < deadline, "still held"
        wait_a_moment(0.1)


@contextlib.contextmanager
def another_program_holds_the_store(home):
    db = sqlite3.connect(home.store, timeout=10, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.close()


@contextlib.contextmanager
def another_program_locks_all_out(home):
    db = sqlite3.connect(home.store, timeout=10, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        db.close()


def holds_a_turn(pid):
    with open("/proc/locks", encoding="ascii") as f:
        return any(line.split()[1:3] == ["FLOCK", "ADVISORY"] and line.split()[4] == str(pid)
                   for line in f)


@contextlib.contextmanager
def a_sibling_is_frozen_in_its_turn(home):
    sibling = home.server()
    deadline = time.monotonic() + 60
    while True:
        for n in range(50):
            sibling.send_call("echo", {"deadline": deadline, "n": n})
        sibling.signal(signal.SIGSTOP)
        if holds_a_turn(sibling.pid):
            break
        sibling.signal(signal.SIGCONT)
        assert time.monotonic() < deadline, "it was never found within its turn"
    try:
        yield
    finally:
        sibling.kill9()


def test_sigterm_ends_within_a_second_while_another_program_holds_the_store():
    with Home(ROOMY) as home:
        check_gone_within_a_second(home, another_program_holds_the_store)
    with Home(ROOMY) as home:
        check_gone_within_a_second(home, another_program_locks_all_out)


def test_sigterm_ends_within_a_second_while_a_sibling_is_frozen_in_its_turn():
    with Home(ROOMY) as home:
        check_gone_within_a_second(home, a_sibling_is_frozen_in_its_turn)


def test_sigterm_ends_within_a_second_while_much_is_read():
    with Home(ROOMY) as home:
        allowed = allowed_s(home)
        for much in (lambda s: [s.send_call("get_usage") for _ in range(300)],
                     lambda s: s.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"'
                                            + b"x" * (9 << 20)),
                     lambda s: s.send_bytes(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":['
                                            + b"0," * (4 << 20) + b"0]}}\n")):
            s = busy_server(home)
            much(s)
            took = check_gone_soon(s)
            s.dispose()
            assert took < allowed, (took, allowed)
        home.ledger_verify()


def test_sigterm_waits_for_what_ends_soon():
    with Home(CONFIG) as home:
        s = home.server()
        id = s.send_call("slow")
        wait_until_held(s, 30)
        check_gone_soon(s)
        assert [m["id"] for m in s.inbox] == [id]
        s.dispose()
        check_at_rest(home, 970)


def test_sigterm_without_work_ends_at_once():
    with Home(CONFIG) as home:
        s = home.server()
        s.call("echo")
        check_gone_soon(s)
        s.dispose()
        check_at_rest(home, 970)


def test_sigterm_shortens_the_drain():
    with Home(CONFIG) as home:
        s = home.server()
        s.send_call("endless")
        wait_until_held(s, 30)
        s.close_stdin()
        check_gone_soon(s)
        assert not s.inbox, s.inbox
        s.dispose()
        check_at_rest(home, 1000)


def test_a_second_sigterm_changes_nothing():
    with Home(CONFIG) as home:
        s = home.server()
        s.send_call("endless")
        wait_until_held(s, 30)
        s.terminate()
        s.terminate()
        check_gone_soon(s)
        s.dispose()
        check_at_rest(home, 1000)


def test_a_host_that_is_gone_leaves_nothing_held():
    # mcp-framework#181, midscene#2157: orphans that spin after EPIPE. The answer of the first call
    # finds nobody; what is in flight is released.
    with Home(CONFIG) as home:
        s = home.server()
        for n in range(4):
            s.send_call("endless", {"n": n})
        wait_until_held(s, 120)
        s.close_stdout()
        s.send("tools/list")
        status = s.wait_exit(timeout=10)
        s.check_healthy()
        assert status in (0, 1), status
        s.dispose()
        check_at_rest(home, 1000)


def test_a_host_that_is_gone_while_much_is_unread():
    with Home(CONFIG) as home:
        s = home.server()
        s.stop_reading()
        s.send_until_stuck(b"".join(line_of(s, n) for n in range(2000)), quiet_s=0.2)
        s.start_reading()
        s.close_stdout()
        s.wait_exit(timeout=10)
        s.check_healthy()
        s.dispose()
        home.ledger_verify() if os.path.exists(home.store) else None


def line_of(s, n):
    """Each tenth asks for the whole list, the others for little but at some length."""
    pad = {"com.example/pad": "x" * 1000}
    if n % 10 == 0:
        request = {"method": "tools/list", "params": s.params({"_meta": pad})}
    else:
        request = {"method": "tools/call", "params": s.params({"name": "check_balance", "_meta": pad})}
    return s.line({"jsonrpc": "2.0", "id": n, **request})


def test_10000_requests_unread_take_no_memory_and_are_answered_later():
    count = 10000
    quiet = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    with Home(CONFIG) as home, home.server(env=quiet) as s:
        data = b"".join(line_of(s, n) for n in range(count))
        for n in range(20):
            s.call("check_balance")
            s.request("tools/list")
        s.inbox.clear()
        before = s.resident_kib()
        s.stop_reading()
        taken = s.send_until_stuck(data)
        assert taken < len(data) / 2, "all of it was taken in: %d of %d bytes" % (taken, len(data))
        grown = s.resident_kib() - before
        assert grown < 24 * 1024, "grown by %d KiB" % grown
        s.start_reading()
        s.until(lambda: len(s.out_lines) >= count + 40, timeout=120)
        assert sorted(m["id"] for m in s.inbox) == list(range(count))
        assert s.resident_kib() - before < 32 * 1024, s.resident_kib() - before


def test_calls_in_flight_are_bound_by_the_memory_of_their_arguments():
    # Each takes some 20 MB once it is read, and waits. What is beyond the bound is read when others
    # have ended, and every one is answered.
    with Home(ROOMY) as home, home.server() as s:
        s.balance()
        calls = [s.send_call("slow", {"x": [{}] * 80000, "n": n}) for n in range(24)]
        most = 0
        while not all(s._find(id) for id in calls):
            s.until(lambda n=len(s.inbox): len(s.inbox) > n)
            most = max(most, home.query("SELECT count(*) FROM hold")[0][0])
        assert not any(s.wait(id).get("isError") for id in calls)
        assert 0 < most <= 10, most


def test_a_probe_that_is_ended_at_once_leaves_no_damage():
    # Clients start a sibling, ask it one thing, and end it with SIGTERM (or worse) at once.
    random.seed(1)
    asked = ("server/discover", "tools/list", "tools/call")
    with Home(CONFIG) as home:
        for n in range(100):
            probe = home.server()
            method = asked[n % 3]
            probe.send(method, {"name": "get_token_balance"} if method == "tools/call" else {})
            if n % 4 == 0:
                probe.until(lambda: probe.inbox)
            elif n % 4 == 1:
                wait_a_moment(random.random() * 0.03)
            if n % 2:
                probe.close_stdin()
            probe.signal(signal.SIGKILL if n % 10 == 9 else signal.SIGTERM)
            status = probe.wait_exit(timeout=5)
            probe.check_healthy()
            # Before main it has no handler yet.
            assert status in (0, -signal.SIGTERM, -signal.SIGKILL), (n, status, probe.err_text())
            probe.dispose()
        with home.server() as s:
            assert s.balance() == 1000
            s.call("echo")
        assert home.query("SELECT count(*) FROM org") == [(1,)]
        check_at_rest(home, 970)


main()
