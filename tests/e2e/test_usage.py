#!/usr/bin/env python3
"""get_usage reads sums that are kept as calls end: they say what the ledger says, and cost little."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, echo_tool, main  # noqa: E402

CONFIG = {"guard": {"released": 0, "repeated": 0},
          "tools": {"echo": echo_tool(1), "dear": echo_tool(3), "fails": echo_tool(2, outcome="5xx")}}
SUMS = """
SELECT coalesce(sum(kind = 6 AND is_closing), 0), coalesce(sum(kind <> 6), 0),
    coalesce(sum(CASE WHEN kind = 6 THEN amount_microusd ELSE 0 END), 0),
    coalesce(sum(CASE WHEN kind <> 6 THEN amount_microusd ELSE 0 END), 0)
FROM entry WHERE tool IS NOT NULL AND (kind = 6 OR is_closing)
"""


def totals(s, **arguments):
    return s.call_ok("get_usage", {"from": "1970-01-01", "to": "1979-12-31", **arguments})["totals"]


def test_the_sums_are_those_of_the_ledger():
    with Home(CONFIG) as home:
        with home.server() as s:
            for n in range(12):
                s.call(("echo", "dear", "fails")[n % 3], {"n": n})
        key = home.cli("keys", "create", "--label", "k").out.strip()
        with home.server(env={"FAREBOX_API_KEY": key}) as s:
            s.call("dear", {"n": 0})
            by_key = s.call_ok("get_usage", {"group_by": "key"})
            by_tool = s.call_ok("get_usage")
            by_day = s.call_ok("get_usage", {"group_by": "day"})
        [(charged, refunded, amount, back)] = home.query(SUMS)
        for usage in (by_key, by_tool, by_day):
            for counts in (usage["totals"],
                           {name: sum(g[name] for g in usage["groups"])
                            for name in usage["totals"]}):
                assert counts["charged"] == charged == 9, (usage, charged)
                assert counts["refunded"] == refunded == 4 and counts["calls"] == 13, usage
                assert counts["tokens"] * 10000 == amount, (usage, amount)
                assert counts["refunded_tokens"] * 10000 == back, (usage, back)
        assert [g["group"] for g in by_key["groups"]] == [key[:12], "local"], by_key
        assert [g["group"] for g in by_tool["groups"]] == ["dear", "echo", "fails"], by_tool
        home.ledger_verify()


def test_verify_finds_a_sum_that_is_wrong():
    with Home(CONFIG) as home:
        with home.server() as s:
            s.call_ok("echo")
        home.change("UPDATE usage_sum SET charged_microusd = charged_microusd + 1")
        run = home.cli("ledger", "verify", status=1)
        assert "the sums of usage" in run.out, run.out


def test_a_long_time_is_read_in_steps_and_days_are_its_bounds():
    with Home(CONFIG) as home:
        with home.server() as s:
            s.balance()
        # Ten days of 1975, each quarter of an hour of 20 tools: many steps.
        day = 1900
        home.change("""
            WITH RECURSIVE q(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM q WHERE n < 959),
            t(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t WHERE n < 19)
            INSERT INTO usage_sum SELECT wallet.org, ? * 96 + q.n, 'tool' || t.n, zeroblob(16),
                1, 1, 10000, 20000 FROM wallet, q, t""", day)
        with home.server() as s:
            whole = totals(s)
            assert whole["charged"] == whole["refunded"] == 960 * 20, whole
            assert whole["tokens"] == 960 * 20 and whole["refunded_tokens"] == 2 * 960 * 20, whole
            two = totals(s, **{"from": "1975-03-16", "to": "1975-03-17"})
            assert two["charged"] == 2 * 96 * 20, two
            by_day = s.call_ok("get_usage", {"from": "1975-01-01", "to": "1975-12-31",
                                             "group_by": "day"})
            assert [g["charged"] for g in by_day["groups"]] == [96 * 20] * 10, by_day


def test_many_reports_at_once_keep_nobody_waiting():
    # Pings that come behind 300 long reports are answered before the reports are.
    with Home(CONFIG) as home:
        with home.server() as s:
            s.balance()
        home.change("""
            WITH RECURSIVE q(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM q WHERE n < 743),
            t(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t WHERE n < 9)
            INSERT INTO usage_sum SELECT wallet.org, 1900 * 96 + q.n, 'tool' || t.n, zeroblob(16),
                1, 1, 10000, 20000 FROM wallet, q, t""")
        with home.server() as s:
            reports = [s.send_call("get_usage", {"from": "1975-01-01", "to": "1975-12-31"})
                       for _ in range(300)]
            s.call_ok("ping")
            answered = sum(s._find(id) is not None for id in reports)
            assert answered < 30, answered
            for id in reports:
                result = s.wait(id)
                assert result["structuredContent"]["totals"]["charged"] == 7440, result


main()
