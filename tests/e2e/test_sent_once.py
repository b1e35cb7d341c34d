#!/usr/bin/env python3
"""What was sent without an answer is not sent again: a hostile provider, of each kind, that reads a
call on a kept connection, or on its stdin, and is gone."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from fake_mcp import FakeHttp, check_all_is_well, log_of, upstream  # noqa: E402
from farebox_test import Home, main, usage_of  # noqa: E402
from odd_api import OddApi  # noqa: E402

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
KEPT = 8
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def flat(provider):
    return {"price": {"kind": "flat", "tokens": 3}, "timeout_ms": 20000, "provider": provider}


def http(api, path, method="POST"):
    return flat({"kind": "http", "method": method, "url": api.url + path})


def model(api, is_stream):
    return flat({"kind": "llm", "api": "openai", "base_url": api.url + "/close/v1", "key": "k",
                 "stream": is_stream})


def check_lost(s, tool, arguments):
    error = s.call_error(tool, arguments, "UPSTREAM_ERROR")
    assert error["retryable"] is True, error
    assert "the connection broke before an answer; it may have executed" in error["message"], error
    assert "may have executed" in error["resolution_hint"], error


def keep(s, api):
    """So many connections at once, each of which is kept."""
    api.may_go.clear()
    calls = api.calls["/wait"]
    ids = [s.send_call("wait", {"i": i}) for i in range(KEPT)]
    api.wait_for("/wait", calls + KEPT)
    api.go()
    for id in ids:
        assert usage_of(s.wait(id))["tokens"] == 3


def test_an_api_and_a_model_get_a_call_once():
    calls = {"close_" + method.lower(): {} for method in METHODS}
    calls.update({"model": HELLO, "model_stream": HELLO})
    with OddApi() as api, Home() as home:
        tools = {"close_" + method.lower(): http(api, "/close", method) for method in METHODS}
        home.configure({"network": {"allow_private": True}, "tools": {
            "wait": http(api, "/wait"), "model": model(api, False),
            "model_stream": model(api, True), **tools}})
        home.cli("grant", "--tokens", "1000")
        with home.server() as s:
            for n, (tool, arguments) in enumerate(calls.items(), 1):
                keep(s, api)
                check_lost(s, tool, arguments)
                assert api.calls["/close"] == n, (tool, api.calls)
            assert s.balance() == 1100 - len(calls) * KEPT * 3
            s.stop()
        home.ledger_verify()
        assert home.query("SELECT count(*) FROM hold") == [(0,)]


def test_an_upstream_behind_a_url_gets_a_call_once():
    for switches in (("--era", "modern"), ("--era", "legacy"), ("--era", "legacy", "--sessions")):
        with Home() as home:
            fake = FakeHttp("--log", os.path.join(home.path, "log"), *switches)
            home.configure(fake.config())
            with home.server() as s:
                ids = [s.send_call("up__slow", {"ms": 500 + i}) for i in range(KEPT)]
                for id in ids:
                    assert usage_of(s.wait(id))["tokens"] == 3
                fake.order("drop calls")
                check_lost(s, "up__echo", {"text": "x"})
                assert log_of(home).count("dropped tools/call") == 1, switches
                check_all_is_well(home, s, KEPT * 3)
            fake.dispose()


def test_an_upstream_that_loses_its_session_first_gets_a_call_once_all_the_same():
    with Home() as home:
        fake = FakeHttp("--log", os.path.join(home.path, "log"), "--era", "legacy", "--sessions")
        home.configure(fake.config())
        with home.server() as s:
            assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 3
            fake.order("forget sessions")
            fake.order("drop calls")
            check_lost(s, "up__echo", {"text": "x"})
            assert log_of(home).count("dropped tools/call") == 1
            check_all_is_well(home, s, 3)
        fake.dispose()


def test_a_child_that_dies_of_a_call_does_not_get_it_again():
    with Home() as home:
        home.configure({"upstreams": {"up": upstream("--log", os.path.join(home.path, "log"),
                                                     "--exit-on", "tools/call")}})
        with home.server() as s:
            error = s.call_error("up__echo", {"text": "x"}, "UPSTREAM_ERROR")
            assert "it may have executed the call" in error["message"], error
            assert "may have executed" in error["resolution_hint"], error
            # The next child has started, and has nothing to do with it.
            assert s.call_error("up__echo", {"text": "y"}, "UPSTREAM_ERROR")
            log = log_of(home)
            assert sum(line.startswith("started ") for line in log) == 2, log
            assert log.count("method tools/call modern") == 2, log
            check_all_is_well(home, s, 0)


def test_a_call_that_is_out_of_time_is_said_to_have_been_sent():
    with Home() as home:
        home.configure({"upstreams": {"up": upstream(timeout_ms=700)}})
        with home.server() as s:
            s.call_ok("quote", {"tool": "up__slow"})  # waits for the child
            error = s.call_error("up__slow", {"ms": 20000}, "UPSTREAM_TIMEOUT")
            assert "may have executed" in error["resolution_hint"], error
            check_all_is_well(home, s, 0)


if __name__ == "__main__":
    main()
