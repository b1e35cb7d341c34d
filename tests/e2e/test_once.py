#!/usr/bin/env python3
"""A call with an idempotency key is charged once, whoever executes it, however often it is asked
for: in one process, in two, and after kill -9 in the middle."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from fake_mcp import log_of, text_of, until, upstream  # noqa: E402
from farebox_test import Home, error_of, main, usage_of  # noqa: E402
from odd_api import OddApi  # noqa: E402

KEY = {"farebox/idempotencyKey": "once"}
DAY_MS = 24 * 60 * 60 * 1000
MIB = 1 << 20
MESSAGES = [{"role": "user", "content": "one two"}]


class Http:
    """A flat price of 3 tokens."""

    tool, tokens, arguments, others = "http", 3, {"a": 1}, {"a": 2}

    def __init__(self, home, api):
        self.api = api
        home.configure({"network": {"allow_private": True}, "tools": {"http": {
            "price": {"kind": "flat", "tokens": 3}, "timeout_ms": 20000,
            "provider": {"kind": "http", "method": "POST", "url": api.url + "/wait"}}}})

    def go(self):
        self.api.go()

    def calls(self):
        return self.api.calls["/wait"]

    def text(self, result):
        return result["structuredContent"]["n"]


class Llm(Http):
    """3 tokens by usage: (2 x 0.005 + 1 x 0.02)."""

    tool = "llm"
    arguments = {"model": "m", "messages": MESSAGES}
    others = {"model": "m", "messages": MESSAGES, "max_tokens": 7}

    def __init__(self, home, api):
        self.api = api
        home.configure({"network": {"allow_private": True}, "tools": {"llm": {
            "price": {"kind": "llm", "markup": 1, "models": {"m": {
                "input": 5000, "output": 20000, "max_output": 20}}}, "timeout_ms": 20000,
            "provider": {"kind": "llm", "api": "openai", "base_url": api.url + "/wait/v1",
                         "key": "sk-test"}}}})

    def text(self, result):
        return result["structuredContent"]["content"]


class Upstream:
    """A child per process of ours; they share a log."""

    tool, tokens = "up__slow", 3
    arguments, others = {"ms": 1500}, {"ms": 1501}

    def __init__(self, home, _):
        self.home = home
        home.configure({"upstreams": {"up": upstream("--log", os.path.join(home.path, "log"))}})

    def go(self):
        pass

    def calls(self):
        return sum("tools/call" in line for line in log_of(self.home))

    def text(self, result):
        return text_of(result)


KINDS = (Http, Llm, Upstream)


def each_kind(check):
    for kind in KINDS:
        with OddApi() as api, Home() as home:
            check(kind(home, api), home)


def check_end(home, spent):
    home.ledger_verify()
    assert home.query("SELECT count(*) FROM hold") == [(0,)]
    assert home.query("SELECT available_microusd FROM wallet") == [((100 - spent) * 10000,)]


def is_first(result, tokens):
    usage = usage_of(result)
    assert not result.get("isError") and usage["tokens"] == tokens, result
    return "replayed" not in usage


def check_same(p, results):
    """One was executed, the others replay it: the same result, cost, call and receipt."""
    assert sorted(is_first(r, p.tokens) for r in results) == [False] * (len(results) - 1) + [True]
    for what in (p.text, lambda r: usage_of(r)["call_id"], lambda r: usage_of(r)["receipt"]):
        assert len({what(r) for r in results}) == 1, results
    assert all(usage_of(r).get("replayed", True) is True for r in results)


def test_a_result_is_stored_and_replayed_also_by_another_process():
    def check(p, home):
        p.go()
        with home.server() as s:
            results = [s.call(p.tool, p.arguments, KEY), s.call(p.tool, p.arguments, KEY)]
            error = s.call_error(p.tool, p.others, "IDEMPOTENCY_CONFLICT", KEY)
            assert error["retryable"] is False, error
        with home.server() as s:
            results.append(s.call(p.tool, p.arguments, KEY))
        check_same(p, results)
        assert p.calls() == 1
        check_end(home, p.tokens)
    each_kind(check)


def test_who_comes_while_the_first_is_in_flight_waits_for_it():
    def check(p, home):
        with home.server() as a, home.server() as b:
            first = a.send_call(p.tool, p.arguments, KEY)
            until(lambda: p.calls() == 1)
            second = a.send_call(p.tool, p.arguments, KEY)
            third = b.send_call(p.tool, p.arguments, KEY)
            error = b.call_error(p.tool, p.others, "IDEMPOTENCY_CONFLICT", KEY)
            assert error["http_status"] == 409, error
            p.go()
            check_same(p, [a.wait(first), a.wait(second), b.wait(third)])
            # Only one was ever held.
            assert b.call_ok("get_token_balance")["held_tokens"] == 0
        assert p.calls() == 1
        check_end(home, p.tokens)
    each_kind(check)


def test_after_a_kill_in_the_middle_the_charge_is_once():
    def check(p, home):
        with home.server() as s:
            s.send_call(p.tool, p.arguments, KEY)
            until(lambda: p.calls() == 1)
            s.kill9()
        assert home.query("SELECT count(*) FROM hold") == [(1,)]
        # As if the 15 s of its lease were over.
        home.change("UPDATE lease SET expires_boot_ms = 0")
        p.go()
        with home.server() as s:
            check_same(p, [s.call(p.tool, p.arguments, KEY), s.call(p.tool, p.arguments, KEY)])
        assert p.calls() == 2  # nobody can know what became of the first
        check_end(home, p.tokens)
    each_kind(check)


def test_who_waits_in_another_process_takes_over_when_the_first_is_killed():
    def check(p, home):
        with home.server() as a, home.server() as b:
            a.send_call(p.tool, p.arguments, KEY)
            until(lambda: p.calls() == 1)
            second = b.send_call(p.tool, p.arguments, KEY)
            assert b.call_ok("ping")["ok"]
            a.kill9()
            p.go()
            began = time.monotonic()
            check_same(p, [b.wait(second, 45)])
            assert time.monotonic() - began < 40  # the lease of 15 s, and a look every 5 s
        assert p.calls() == 2
        check_end(home, p.tokens)
    with OddApi() as api, Home() as home:
        check(Http(home, api), home)


def test_a_released_call_is_not_stored():
    with OddApi() as api, Home({"network": {"allow_private": True}, "tools": {"t": {
            "price": {"kind": "flat", "tokens": 3},
            "provider": {"kind": "http", "method": "POST", "url": api.url + "/close"}}}}) as home:
        with home.server() as s:
            for n in range(1, 4):
                assert error_of(s.call("t", {}, KEY))["code"] == "UPSTREAM_ERROR"
                assert api.calls["/close"] == n
        check_end(home, 0)


def test_a_result_of_a_mebibyte_is_kept_and_a_larger_one_is_charged_once_all_the_same():
    def tool(api, n):
        return {"price": {"kind": "flat", "tokens": 3},
                "provider": {"kind": "http", "url": "%s/size/%d" % (api.url, n)}}

    sizes = {"small": MIB - 1000, "large": MIB + 1}
    with OddApi() as api, Home() as home:
        home.configure({"network": {"allow_private": True},
                        "tools": {name: tool(api, n) for name, n in sizes.items()}})
        with home.server() as s:
            first = s.call("small", {}, {"farebox/idempotencyKey": "s"})
            again = s.call("small", {}, {"farebox/idempotencyKey": "s"})
            assert usage_of(again)["replayed"] is True
            assert again["structuredContent"] == first["structuredContent"]
            assert len(again["structuredContent"]["text"]) == sizes["small"]
            first = s.call("large", {}, {"farebox/idempotencyKey": "l"})
            assert usage_of(first)["tokens"] == 3 and len(
                first["structuredContent"]["text"]) == sizes["large"]
        with home.server() as s:
            for _ in range(2):
                error = s.call_error("large", {}, "IDEMPOTENCY_CONFLICT",
                                     {"farebox/idempotencyKey": "l"})
                assert error["replayed"] is True and error["charged_tokens"] == 3, error
                assert "charged once" in error["message"], error
                assert error["call_id"] == usage_of(first)["call_id"], error
        assert api.calls == {"/size/%d" % n: 1 for n in sizes.values()}, api.calls
        check_end(home, 6)


def age(home, ms):
    """As if all keys were so much older."""
    home.change("UPDATE idempotency SET at_ms = at_ms - ?, day = (at_ms - ?) / ?", ms, ms, DAY_MS)


def test_a_key_is_good_for_a_day():
    with OddApi() as api, Home() as home:
        p = Http(home, api)
        p.go()
        with home.server() as s:
            assert is_first(s.call(p.tool, p.arguments, KEY), 3)
        age(home, DAY_MS - 60000)
        with home.server() as s:
            assert not is_first(s.call(p.tool, p.arguments, KEY), 3)
        age(home, 60000)
        with home.server() as s:
            assert is_first(s.call(p.tool, p.others, KEY), 3)
            assert not is_first(s.call(p.tool, p.others, KEY), 3)
        assert p.calls() == 2
        check_end(home, 6)


def test_old_keys_are_purged_step_by_step():
    with OddApi() as api, Home() as home:
        p = Http(home, api)
        p.go()
        with home.server() as s:
            s.call(p.tool, p.arguments, KEY)
        home.change("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
                    "INSERT INTO idempotency (day, org, key, digest, call, at_ms, entry_seq, result) "
                    "SELECT day - 2, org, key || i, digest, call, at_ms - ?, entry_seq, "
                    "zeroblob(10000) FROM idempotency, n", 2 * DAY_MS)
        with home.server() as s:
            assert s.balance() == 97
            until(lambda: home.query("SELECT count(*) FROM idempotency") == [(1,)])
            assert not is_first(s.call(p.tool, p.arguments, KEY), 3)
        check_end(home, 3)


if __name__ == "__main__":
    main()
