#!/usr/bin/env python3
"""An operator's MCP server that is silent, prints garbage, floods, ends or will not end: a clear
error, tokens released, and the program healthy."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from fake_mcp import (ANY, check_all_is_well, config, is_alive, log_of, text_of,  # noqa: E402
                      tools_of, until)
from farebox_test import AT_ONCE_S, Home, error_of, main, usage_of  # noqa: E402


def test_a_server_that_ends_when_it_is_asked_for_its_era_is_asked_the_older_way():
    with Home(config("--era", "legacy", "--exit-on", "server/discover")) as home:
        with home.server() as s:
            assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 3


def test_a_server_that_is_silent_about_its_era_is_asked_the_older_way():
    with Home(config("--era", "legacy", "--silent", "server/discover")) as home:
        with home.server() as s:
            assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 3


def test_a_modern_server_that_is_slow_to_start_is_modern_all_the_same():
    with Home() as home:
        home.configure(config("--era", "modern", "--slow-start", "3.5", "--log",
                              os.path.join(home.path, "log")))
        with home.server() as s:
            assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 3
            assert "method tools/call modern" in log_of(home)


def test_a_list_waits_for_its_upstreams_and_no_longer_than_a_host_does():
    with Home(config("--slow-start", "12")) as home, home.server(era="legacy") as s:
        began = time.monotonic()
        assert "up__echo" not in tools_of(s)
        assert 3 < time.monotonic() - began < 4 + AT_ONCE_S  # it waits 4 s
        s.until(lambda: any(m.get("method") == "notifications/tools/list_changed"
                            for m in s.inbox))
        assert "up__echo" in tools_of(s)


def test_a_server_that_never_answers_initialize_is_a_clear_error():
    with Home(config()) as home:
        with home.server() as s:
            tools_of(s)
        home.configure(config(start_timeout_ms=700, env={
            "MCP_FAKE": "--silent initialize --silent server/discover"}))
        with home.server() as s:
            assert "up__echo" in tools_of(s)
            error = s.call_error("up__echo", {"text": "x"}, code="UPSTREAM_ERROR")
            assert "did not answer initialize within 700 ms" in error["message"], error
            check_all_is_well(home, s, 0)
    silent = ("--silent", "initialize", "--silent", "server/discover")
    with Home(config(*silent, start_timeout_ms=1000)) as home, home.server() as s:
        assert "up__echo" not in tools_of(s)
        s.until(lambda: "did not answer initialize within 1000 ms" in s.err_text())
        s.until(lambda: s.err_text().count("event=upstream_down") >= 2)
        assert s.balance() == 100


def test_garbage_is_skipped_and_too_much_of_it_ends_the_child():
    with Home(config("--start-garbage", "3")) as home, home.server() as s:
        assert text_of(s.call("up__garbage", {"lines": 500})) == "clean"
        said = s.err_text().count("event=upstream_garbage")
        assert 3 <= said <= 20, said
        error = s.call_error("up__garbage", {"lines": 5000}, code="UPSTREAM_ERROR")
        assert "what is not MCP" in error["message"], error
        assert text_of(s.call("up__garbage", {"lines": 0})) == "clean"
        check_all_is_well(home, s, 6)


def test_floods_are_stopped_and_memory_stays_flat():
    for kind, words in (("line", "a line that is too long"), ("garbage", "what is not MCP"),
                        ("message", "floods us"), ("request", "floods us")):
        with Home(config("--ignore-term")) as home, home.server() as s:
            tools_of(s)
            began = s.resident_kib()
            error = s.call_error("up__flood", {"kind": kind}, code="UPSTREAM_ERROR")
            assert words in error["message"], error
            assert s.call_ok("ping")["ok"]
            assert text_of(s.call("up__garbage", {"lines": 0})) == "clean"
            assert s.resident_kib() - began < 64 * 1024, s.resident_kib() - began
            check_all_is_well(home, s, 3)


def test_a_child_that_ends_in_mid_call_is_released_and_started_again():
    with Home() as home:
        home.configure(config("--log", os.path.join(home.path, "log")))
        with home.server() as s:
            first = text_of(s.call("up__pid"))
            error = s.call_error("up__exit", {"status": 7}, code="UPSTREAM_ERROR")
            assert "it ended with exit status 7" in error["message"], error
            assert text_of(s.call("up__pid")) != first
            slow = s.send_call("up__slow", {"ms": 20000})
            until(lambda: sum("tools/call" in line for line in log_of(home)) >= 4)
            pids = [int(line.split()[1]) for line in log_of(home) if line.startswith("started")]
            os.kill(pids[-1], signal.SIGKILL)
            error = error_of(s.wait(slow))
            assert error["code"] == "UPSTREAM_ERROR" and "signal 9" in error["message"], error
            assert usage_of(s.call("up__echo", {"text": "again"}))["tokens"] == 3
            check_all_is_well(home, s, 9)


def test_a_server_that_cannot_stay_up_is_started_ever_more_rarely():
    with Home() as home:
        home.configure(config("--era", "legacy", "--exit-on", "tools/list", "--log",
                              os.path.join(home.path, "log")))
        with home.server() as s:
            tools_of(s)
            s.until(lambda: s.err_text().count("event=upstream_down") >= 3)
            waits = [int(part.split("=")[1]) for part in s.err_text().split()
                     if part.startswith("restart_in_ms=")]
            assert waits[:3] == [1000, 2000, 4000], waits
            assert s.call_ok("ping")["ok"]


def ends_of(home):
    return [int(line.split()[1]) for line in log_of(home)
            if line.startswith(("started", "grandchild"))]


def test_children_end_with_us():
    for switches in ((), ("--ignore-eof",), ("--ignore-eof", "--ignore-term", "--grandchild")):
        for how in ("eof", "term", "kill"):
            with Home() as home:
                home.configure(config(*switches, "--log", os.path.join(home.path, "log")))
                with home.server() as s:
                    tools_of(s)
                    pids = ends_of(home)
                    assert all(is_alive(pid) for pid in pids)
                    began = time.monotonic()
                    if how == "eof":
                        s.stop()
                    elif how == "term":
                        s.terminate()
                        assert s.wait_exit() == 0
                        assert time.monotonic() - began < AT_ONCE_S, time.monotonic() - began
                    else:
                        s.kill9()
                    assert time.monotonic() - began < AT_ONCE_S
                    if how != "kill":
                        assert not any(is_alive(pid) for pid in pids), (switches, how)
                    elif not switches:
                        until(lambda: not any(is_alive(pid) for pid in pids), 5)
                        assert "eof" in log_of(home)
                    else:  # nobody can end it but us
                        for pid in pids:
                            os.kill(pid, signal.SIGKILL)


def test_sigterm_in_mid_call_releases_and_ends_in_time():
    with Home() as home:
        home.configure(config("--ignore-eof", "--ignore-term", "--log",
                              os.path.join(home.path, "log")))
        with home.server() as s:
            tools_of(s)
            s.send_call("up__slow", {"ms": 20000})
            until(lambda: any("tools/call" in line for line in log_of(home)))
            began = time.monotonic()
            s.terminate()
            assert s.wait_exit() == 0
            assert time.monotonic() - began < AT_ONCE_S, time.monotonic() - began
            assert not any(is_alive(pid) for pid in ends_of(home))
        home.ledger_verify()
        assert home.query("SELECT count(*) FROM hold") == [(0,)]


main()
