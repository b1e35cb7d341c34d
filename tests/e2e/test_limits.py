#!/usr/bin/env python3
"""Limits of keys, rates, the spend guard and prices of one's own: across processes, and as the
command line and the store show them."""

import contextlib
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import (TIMEOUT_S, Home, echo_tool, error_of, main, usage_of,  # noqa: E402
                          wait_for_a_whole)

RICH = {"starter_tokens": 1000}
NO_GUARD = {"released": 0, "repeated": 0}


@contextlib.contextmanager
def servers(home, count):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(home.server()) for _ in range(count)]


def spread(those, tool, count, arguments=None, meta=None):
    """Calls by all of the servers in turn, all sent before any is waited for: codes and errors."""
    sent = [(those[n % len(those)],
             those[n % len(those)].send_call(
                 tool, {"n": n} if arguments is None else arguments, meta))
            for n in range(count)]
    found, errors = {}, []
    for s, id in sent:
        result = s.wait(id)
        code = "ok"
        if result.get("isError"):
            errors.append(error_of(result))
            code = errors[-1]["code"]
        found[code] = found.get(code, 0) + 1
    return found, errors


def make_key(home, *options):
    return home.cli("keys", "create", *options).out.strip()


def test_200_calls_in_4_processes_cannot_pass_a_keys_limits():
    # BerriAI/litellm#34732, #23714: the overage is a multiple of the concurrency.
    for option, limit in (("--daily-tokens", "key_daily"), ("--monthly-tokens", "key_monthly")):
        config = {"org": RICH, "tools": {"echo": echo_tool(3, delay_ms=5)}}
        wait_for_a_whole("day")
        with Home(config) as home:
            home.env["FAREBOX_API_KEY"] = make_key(home, option, "20", "--scopes", "call,billing")
            with servers(home, 4) as those:
                found, errors = spread(those, "echo", 200)
                assert found == {"ok": 6, "BUDGET_EXCEEDED": 194}, found
                error = errors[-1]
                assert error["limit"] == limit and error["limit_tokens"] == 20, error
                assert error["needed_tokens"] == 3 and error["retryable"] is False, error
                assert error["resets_at"].endswith("T00:00:00Z"), error
                assert those[0].balance() == 1000 - 18
                assert those[0].call_ok("quote", {"tool": "echo"})["affordable"] is False
                # An agent that rotates its key is not free of them.
                new = those[0].call_ok("get_api_key", {"rotate": True})["api_key"]
            home.env["FAREBOX_API_KEY"] = new
            with servers(home, 1) as those:
                found, _ = spread(those, "echo", 2)
                assert found == {"BUDGET_EXCEEDED": 2}, found
            home.ledger_verify()


def test_200_calls_in_4_processes_cannot_pass_a_rate():
    tool = {**echo_tool(1), "rate_limit": {"calls": 7, "per_s": 3600}}
    with Home({"org": RICH, "tools": {"echo": tool, "other": echo_tool(1)}}) as home:
        with servers(home, 4) as those:
            found, errors = spread(those, "echo", 200)
            assert found == {"ok": 7, "RATE_LIMITED": 193}, found
            assert errors[-1]["http_status"] == 429 and errors[-1]["retryable"] is True, errors[-1]
            assert 0 < errors[-1]["retry_after_s"] <= 3600 // 7 + 1, errors[-1]
            found, _ = spread(those, "other", 20)
            assert found == {"ok": 20}, found
        # Each key has its own, beside that of the tool.
        home.env["FAREBOX_API_KEY"] = make_key(home, "--rate", "5/3600")
        with servers(home, 2) as those:
            found, _ = spread(those, "echo", 4)
            assert found == {"ok": 4}, found
            found, _ = spread(those, "other", 10)
            assert found == {"ok": 1, "RATE_LIMITED": 9}, found
        home.ledger_verify()


def test_a_rate_opens_again_when_it_says_so():
    tool = {**echo_tool(1), "rate_limit": {"calls": 1, "per_s": 1}}
    with Home({"tools": {"echo": tool}}) as home, home.server() as s:
        found = s.call("echo")
        assert not found.get("isError"), found
        while not found.get("isError"):  # more than two where two take longer than a second
            found = s.call("echo")
        refused = time.monotonic()
        error = error_of(found)
        assert (error["code"], error["retry_after_s"]) == ("RATE_LIMITED", 1), error
        while s.call("echo").get("isError"):
            assert time.monotonic() - refused < TIMEOUT_S

def test_200_equal_calls_in_4_processes_are_a_loop():
    # NousResearch/hermes-agent#31443, eddiearc/larkin#236: 592 retries in 52 minutes.
    with Home({"org": RICH, "tools": {"echo": echo_tool(1)}}) as home, servers(home, 4) as those:
        found, errors = spread(those, "echo", 200, {"same": True})
        assert found == {"ok": 100, "LOOP_DETECTED": 100}, found
        error = errors[-1]
        assert error["retryable"] is False and error["http_status"] == 429, error
        assert error["seen"]["calls"] == 100 and error["seen"]["tool"] == "echo", error
        assert 0 < error["reopens_in_s"] <= 60, error
        found, _ = spread(those, "echo", 50)
        assert found == {"ok": 50}, found
        assert those[0].balance() == 850
        home.ledger_verify()


def test_a_call_that_fails_is_stopped_and_let_in_again():
    config = {"guard": {"released": 3, "repeated": 0, "window_s": 1},
              "tools": {"fails": echo_tool(1, outcome="5xx")}}
    with Home(config) as home, servers(home, 2) as those:
        codes = []
        while "LOOP_DETECTED" not in codes:  # more than four where four take longer than a window
            assert len(codes) < 1000, codes
            codes.append(those[len(codes) % 2].call_error("fails", {"a": 1})["code"])
        assert len(codes) >= 4 and set(codes[:-1]) == {"UPSTREAM_ERROR"}, codes
        stopped = time.monotonic()
        while those[0].call_error("fails", {"a": 1})["code"] == "LOOP_DETECTED":
            assert time.monotonic() - stopped < TIMEOUT_S
        assert those[0].balance() == 100


def test_the_guard_counts_for_each_key():
    config = {"guard": {"released": 0, "repeated": 2}, "tools": {"echo": echo_tool(1)}}
    with Home(config) as home:
        for options in ((), ("--label", "x")):
            home.env["FAREBOX_API_KEY"] = make_key(home, *options)
            with servers(home, 1) as those:
                found, _ = spread(those, "echo", 3, {})
                assert found == {"ok": 2, "LOOP_DETECTED": 1}, found


def test_ones_own_key_pays_the_fee_only():
    tool = {"inputSchema": {"type": "object"}, "price": {"kind": "cost_plus", "raw_cost_usd": 0.1},
            "provider": {"kind": "echo", "byok": {"name": "acme"}}}
    with Home({"tools": {"paid": tool}}) as home:
        with home.server() as s:
            assert s.call_ok("quote", {"tool": "paid"})["max_usd"] == 0.105
        secret = os.path.join(home.path, "secret")
        with open(secret, "w", encoding="utf-8") as f:
            f.write("sk-own\n")
        for name, value in (("FAREBOX_PROVIDER_KEY_ACME", "sk-own"),
                            ("FAREBOX_PROVIDER_KEY_ACME_FILE", secret)):
            env = {**home.env}
            home.env[name] = value
            with home.server() as s:
                assert s.call_ok("quote", {"tool": "paid"})["hold_tokens"] == 0.5
                usage = usage_of(s.call("paid"))
                assert usage["cost"] == 0.005 and usage["raw_cost"] == 0.1, usage
                assert usage["markup"] == 0.05, usage
                assert "sk-own" not in json.dumps(usage)
            home.env = env
        home.ledger_verify()


def test_the_store_knows_the_price_behind_each_version():
    with Home({"guard": NO_GUARD, "tools": {"echo": echo_tool(2)}}) as home:
        with home.server() as s:
            for _ in range(3):
                s.call("echo")
        home.configure({"tools": {"echo": echo_tool(4)}})
        with home.server() as s:
            s.call("echo")
        rows = home.query("SELECT DISTINCT amount_microusd, text FROM entry LEFT JOIN price "
                          "ON price.version = entry.price_version WHERE is_closing = 1 ORDER BY 1")
        assert [r[0] for r in rows] == [20000, 40000], rows
        assert [json.loads(r[1])["tokens"] for r in rows] == [2, 4], rows
        assert home.query("SELECT count(*) FROM price") == [(2,)]


def test_an_org_pays_its_own_price():
    config = {"tools": {"echo": echo_tool(10)},
              "orgs": {"acme": {"prices": {"echo": {"kind": "flat", "tokens": 8},
                                           "detect_hiring": {"kind": "flat", "tokens": 1}}}}}
    with Home(config) as home:
        home.cli("orgs", "create", "--name", "acme")
        key = make_key(home, "--org", "acme")
        for env, tokens, detector in (({}, 10, 5), ({"FAREBOX_API_KEY": key}, 8, 1)):
            home.env.update(env)
            with home.server() as s:
                assert s.call_ok("quote", {"tool": "echo"})["hold_tokens"] == tokens
                assert usage_of(s.call("echo", {"n": 1}))["tokens"] == tokens
                assert usage_of(s.call("echo", {"n": 2}))["tokens"] == tokens
                prices = {p["tool"]: p for p in s.call_ok("get_token_balance")["prices"]}
                assert prices["echo"]["tokens"] == tokens, prices
                assert prices["detect_hiring"]["tokens"] == detector, prices
            rows = home.cli("tools").out.splitlines()
            row = [r for r in rows if r.startswith("echo ")][0]
            assert "%d tokens" % tokens in row, row
        home.ledger_verify()


def test_a_price_for_a_tool_that_is_not_there_is_a_fault():
    config = {"tools": {"echo": echo_tool(1)},
              "orgs": {"acme": {"prices": {"ecko": {"kind": "flat", "tokens": 8}}},
                       "b": {"prices": {"echo": {"kind": "flat", "tokens": 8.00001}}}}}
    with Home(config) as home:
        run = home.cli("config", "check", home.env["FAREBOX_CONFIG"], status=1)
        assert "/orgs/b/prices/echo/tokens: has more than four decimals" in run.out, run.out
        config["orgs"]["b"]["prices"]["echo"]["tokens"] = 8
        home.configure(config)
        run = home.cli("config", "check", home.env["FAREBOX_CONFIG"], status=1)
        assert "/orgs/acme/prices/ecko: there is no such tool" in run.out, run.out


def test_keys_show_their_limits():
    with Home() as home:
        out = json.loads(home.cli("keys", "create", "--daily-tokens", "12.5", "--monthly-tokens",
                                  "100", "--rate", "10/60", "--json").out)
        assert out["daily_tokens"] == 12.5 and out["monthly_tokens"] == 100, out
        assert out["rate"] == {"calls": 10, "per_s": 60}, out
        home.cli("keys", "rotate", out["id"])
        make_key(home)
        listed = json.loads(home.cli("keys", "list", "--json").out)["keys"]
        assert [k.get("daily_tokens") for k in listed] == [None, 12.5, 12.5], listed
        text = home.cli("keys", "list").out
        assert "12.5 tokens a day, 100 tokens a month, 10 calls in 60 s" in text, text
        for bad in (("--rate", "10"), ("--rate", "0/1"), ("--rate", "1/0"), ("--rate", "a/b"),
                    ("--daily-tokens", "-1"), ("--monthly-tokens", "x"),
                    ("--daily-tokens", "0.00001")):
            home.cli("keys", "create", *bad, status=2)


def test_prices_are_imported_by_their_text():
    # 1.5e-07 a token is 0.15 a million, and not 0.15000000000000002.
    entries = {
        "sample_spec": {"mode": "one of: chat"},
        "mini": {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 1.5e-07,
                 "output_cost_per_token": 6e-07, "cache_read_input_token_cost": 7.5e-08,
                 "max_output_tokens": 16384},
        "tiny": {"mode": "chat", "litellm_provider": "other", "input_cost_per_token": 3.75e-08,
                 "output_cost_per_token": 1.5e-07, "max_output_tokens": "many",
                 "cache_creation_input_token_cost": 4.6875e-08},
        "image": {"mode": "image_generation", "input_cost_per_token": 1e-06,
                  "output_cost_per_token": 1e-06},
        "unpriced": {"mode": "chat", "litellm_provider": "openai"},
    }
    mini = '"mini":{"input":0.15,"cached_input":0.075,"output":0.6,"max_output":16384}'
    config = {"tools": {"chat": {"price": {"kind": "llm", "models": {
        "mini": {"input": 9, "output": 9, "image_tokens": 1600}, "own": {"input": 1, "output": 1}}},
        "provider": {"kind": "echo", "usage": True}}}}
    with Home(config) as home:
        path = os.path.join(home.path, "prices.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(entries, f)
        run = home.cli("prices", "import", path, "--json")
        tiny = '"tiny":{"input":0.0375,"cache_write":0.046875,"output":0.15}'
        assert run.out.strip() == "{%s,%s}" % (mini, tiny)
        assert "2 models; left out: 1 without a price by token, 2 others" in run.err, run.err
        run = home.cli("prices", "import", path, "--provider", "openai", "--json")
        assert run.out.strip() == "{%s}" % mini
        home.cli("prices", "import", path, "--provider", "nobody", status=1)
        home.cli("prices", "import", path, "--into", home.env["FAREBOX_CONFIG"], status=2)
        before = open(home.env["FAREBOX_CONFIG"], encoding="utf-8").read()
        home.cli("prices", "import", path, "--into", home.env["FAREBOX_CONFIG"], "--tool", "no",
                 status=1)
        assert open(home.env["FAREBOX_CONFIG"], encoding="utf-8").read() == before
        home.cli("prices", "import", path, "--into", home.env["FAREBOX_CONFIG"], "--tool", "chat")
        with open(home.env["FAREBOX_CONFIG"], encoding="utf-8") as f:
            models = json.load(f)["tools"]["chat"]["price"]["models"]
        assert models["mini"]["image_tokens"] == 1600
        assert models["mini"]["input"] == 0.15 and set(models) == {"mini", "own", "tiny"}, models
        with home.server() as s:
            usage = {"input": 1000000, "cached_input": 0, "output": 0}
            cost = usage_of(s.call("chat", {"model": "tiny", "max_tokens": 1, "usage": usage}))
            assert cost["cost"] == 0.039375, cost
            usage["cache_write"] = 1000000
            cost = usage_of(s.call("chat", {"model": "tiny", "max_tokens": 1, "usage": usage}))
            assert cost["cost"] == 0.049219, cost  # 0.046875 x 1.05, rounded up
            models = s.call_ok("list_models")["models"]
            assert [m.get("cache_write_usd_per_million") for m in models] == [None, None, 0.046875]
            prices = s.call_ok("get_token_balance")["prices"]
            assert [p["models"]["tiny"] for p in prices if p["tool"] == "chat"] == [
                {"input": 0.0375, "cached_input": 0.0375, "cache_write": 0.046875, "output": 0.15}]


main()
