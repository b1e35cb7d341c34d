#!/usr/bin/env python3
"""A wall clock that jumps, and holds whose process is gone: what is seen of them, and who ends them."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, echo_tool, main, usage_of  # noqa: E402

DAY_MS = 24 * 60 * 60 * 1000
CONFIG = {"tools": {"echo": echo_tool(10), "slow": echo_tool(10, delay_ms=45000)}}


def finding(home, check, *args):
    rows = json.loads(home.cli("doctor", "--json", *args, status=None).out)["checks"]
    found = [row for row in rows if row["check"] == check]
    assert len(found) == 1, rows
    return found[0]


def jump(home, by_ms):
    """What a clock that jumped by so much looks like: the line that it is held against moves."""
    assert home.change("UPDATE clock SET wall_ms = wall_ms - ?", by_ms) == 1


def budget_is_spent(home):
    with home.server() as s:
        s.call_ok("set_billing_preferences", {"budget_limit": 1})
        for _ in range(10):
            s.call_ok("echo")
        s.call_error("echo", code="BUDGET_EXCEEDED")


def test_a_clock_that_jumped_ahead_opens_no_budget_until_it_is_believed():
    with Home(CONFIG) as home:
        home.cli("grant", "--tokens", "1000")
        budget_is_spent(home)
        # The month in which it was spent has passed, if the clock is right.
        jump(home, 40 * DAY_MS)
        home.change("UPDATE wallet SET month = (SELECT CAST(strftime('%Y%m', wall_ms / 1000, "
                    "'unixepoch') AS INTEGER) FROM clock)")
        with home.server() as s:
            s.call_error("echo", code="BUDGET_EXCEEDED")
            assert s.err_text().count("event=clock_not_believed") == 1, s.err_text()
            s.call_error("echo", code="BUDGET_EXCEEDED")
            row = finding(home, "clock")
            assert row["status"] == "warn" and "not believed" in row["text"], row
            assert "--believe-clock" in row["remedy"], row
            assert finding(home, "clock", "--believe-clock")["status"] == "ok"
            s.call_ok("echo")
            assert s.err_text().count("event=clock_not_believed") == 1, s.err_text()
        home.ledger_verify()


def test_a_clock_that_steps_back_over_midnight_charges_no_key_twice():
    with Home(CONFIG) as home:
        meta = {"farebox/idempotencyKey": "k"}
        with home.server() as s:
            first = usage_of(s.call("echo", {"a": 1}, meta))
        # Tomorrow's, seen from a clock that stepped back.
        home.change("UPDATE idempotency SET day = day + 1, at_ms = at_ms + ?", DAY_MS)
        jump(home, -DAY_MS)
        with home.server() as s:
            again = usage_of(s.call("echo", {"a": 1}, meta))
            assert again["replayed"] is True and again["receipt"] == first["receipt"], again
            s.call_ok("echo")
            assert s.err_text().count("event=clock_stepped_back") == 1, s.err_text()
        row = finding(home, "clock")
        assert row["status"] == "warn" and "stepped back" in row["text"], row
        home.ledger_verify()


def hold_of_a_dead_process(home):
    with home.server() as s:
        s.send_call("slow")
        while not s.call_ok("get_token_balance")["held_tokens"]:
            pass
        s.kill9()
    home.change("UPDATE lease SET expires_boot_ms = 1")


def test_whoever_opens_the_store_ends_the_holds_of_dead_processes():
    for command in (("orgs", "list"), ("keys", "list"), ("keys", "create"), ("grant", "--tokens", "1"),
                    ("billing", "balance")):
        with Home(CONFIG) as home:
            hold_of_a_dead_process(home)
            home.cli(*command)
            assert home.query("SELECT count(*) FROM hold") == [(0,)], command
            home.ledger_verify()


def test_verify_and_doctor_show_open_holds_and_change_nothing():
    with Home(CONFIG) as home:
        hold_of_a_dead_process(home)
        before = home.query("SELECT * FROM hold"), home.query("SELECT * FROM entry")
        report = json.loads(home.cli("ledger", "verify", "--json").out)
        assert report["open_holds"] == 1, report
        [hold] = report["oldest_holds"]
        assert hold["tool"] == "slow" and hold["tokens"] == 10 and hold["age_s"] >= 0, hold
        assert "the oldest" in home.cli("ledger", "verify").out
        assert finding(home, "holds")["text"].startswith("1 open, the oldest for ")
        assert (home.query("SELECT * FROM hold"), home.query("SELECT * FROM entry")) == before
        # Older than any call may be: a warning. The time of a hold stands in its id.
        [(id,)] = home.query("SELECT id FROM hold")
        home.change("UPDATE hold SET id = ?", bytes(6) + id[6:])
        row = finding(home, "holds")
        assert row["status"] == "warn" and row["text"].startswith("1 open, the oldest for "), row


main()
