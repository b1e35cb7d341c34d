#!/usr/bin/env python3
"""What an operator's MCP server of an older revision does beside POST: streams, resumption, sessions."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from fake_mcp import FakeHttp, check_all_is_well, log_of, text_of, tools_of, until  # noqa: E402
from farebox_test import AT_ONCE_S, Home, main, usage_of  # noqa: E402

LIST_CHANGED = "notifications/tools/list_changed"


class Site:
    """A server with sessions behind a URL, a home that has it as its upstream, and its log."""

    def __init__(self, *switches, **more):
        self.home = Home()
        log = os.path.join(self.home.path, "log")
        self.fake = FakeHttp("--era", "legacy", "--sessions", "--log", log, *switches)
        self.home.configure(self.fake.config(**more))

    def count(self, start):
        return sum(line.startswith(start) for line in log_of(self.home))

    def until(self, start, count=1):
        until(lambda: self.count(start) >= count)

    def gets(self):
        return [json.loads(line[4:]) for line in log_of(self.home) if line.startswith("get ")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.fake.dispose()
        self.home.__exit__(*_)


def until_told(s):
    s.until(lambda: any(m.get("method") == LIST_CHANGED for m in s.inbox))
    s.notifications()


def test_what_a_server_says_unasked_is_heard_on_a_stream():
    for version in ("2025-03-26", "2025-06-18", "2025-11-25"):
        with Site("--streams", "--version", version) as site:
            with site.home.server(era="legacy") as s:
                assert "up__late" not in tools_of(s)
                site.until("stream -")
                headers = site.gets()[0]
                assert headers["accept"] == "text/event-stream"
                assert headers["mcp-session-id"] and "last-event-id" not in headers
                assert headers.get("mcp-protocol-version") == \
                    (version if version > "2025-03-26" else None)
                site.fake.order("change list")
                until_told(s)
                assert "up__late" in tools_of(s)
                site.fake.order("ping")
                site.until("answered are you there")
                assert usage_of(s.call("up__late"))["tokens"] == 3
                check_all_is_well(site.home, s, 3)
            assert site.count("stream ") == 2, log_of(site.home)  # opened and ended


def test_a_stream_that_ends_is_opened_again_behind_its_last_event():
    with Site("--streams", "--retry", "1400") as site:
        with site.home.server(era="legacy") as s:
            tools_of(s)
            site.until("stream -")
            site.fake.order("ping")
            site.until("answered are you there")
            site.fake.order("end streams")
            began = time.monotonic()
            site.fake.order("change list")  # while nobody listens
            until_told(s)
            assert time.monotonic() - began > 1.3
            assert site.gets()[1]["last-event-id"] == "u-1"
            assert "up__late" in tools_of(s)
            check_all_is_well(site.home, s, 0)


def test_a_server_without_a_stream_is_asked_once_a_session():
    with Site() as site:
        with site.home.server() as s:
            for _ in range(3):
                s.call("up__slow", {"ms": 1})
            site.until("get ")
            s.call("up__slow", {"ms": 1200})  # longer than the wait before another try
            assert site.count("get ") == 1
            site.fake.order("forget sessions")
            s.call("up__slow", {"ms": 1})
            site.until("get ", 2)
            check_all_is_well(site.home, s, 15)


def test_an_open_stream_keeps_no_process_from_its_end_and_its_session_is_ended():
    for end in ("stop", "terminate"):
        with Site("--streams") as site:
            with site.home.server() as s:
                tools_of(s)
                site.until("stream -")
                began = time.monotonic()
                getattr(s, end)()
                assert s.wait_exit() == 0
                assert time.monotonic() - began < AT_ONCE_S
            site.until("session deleted")
    with Site("--streams") as site:
        assert "slow but sure" in site.home.cli("call", "up__slow", '{"ms": 1}').out
        site.until("session deleted")


def test_a_server_that_does_not_answer_the_end_of_its_session_delays_nobody():
    for end in ("stop", "terminate"):
        with Site("--streams", "--silent", "DELETE") as site:
            with site.home.server() as s:
                tools_of(s)
                id = s.send_call("up__slow", {"ms": 20000})
                site.until("method tools/call")
                began = time.monotonic()
                if end == "stop":
                    s.notify("notifications/cancelled", {"requestId": id})
                getattr(s, end)()
                assert s.wait_exit() == 0
                assert time.monotonic() - began < AT_ONCE_S
            site.home.ledger_verify()
            assert site.home.query("SELECT count(*) FROM hold") == [(0,)]


def test_an_answer_that_broke_off_is_read_on_and_charged_once():
    for breaks in (1, 3):
        with Site("--break-off", str(breaks)) as site:
            with site.home.server() as s:
                result = s.call("up__slow", {"ms": 200, "steps": 4}, {"progressToken": "p"})
                assert text_of(result) == "slow but sure"
                assert usage_of(result)["tokens"] == 3
                assert s.notifications()
                assert site.count("method tools/call") == 1
                assert site.count("resumed ") == breaks, log_of(site.home)
                assert site.gets()[-1]["mcp-session-id"]
                check_all_is_well(site.home, s, 3)


def test_an_answer_whose_rest_is_refused_is_an_error_and_released():
    for status, message in ((404, "broke off"), (405, "broke off"), (400, "broke off"),
                            (500, "broke off")):
        with Site("--break-off", "1", "--no-resume", str(status), timeout_ms=1500) as site:
            with site.home.server() as s:
                error = s.call_error("up__slow", {"ms": 1}, code="UPSTREAM_ERROR")
                assert message in error["message"], error
                tries = site.count("resumed ")
                assert tries > 1 if status == 500 else tries == 1, tries
                check_all_is_well(site.home, s, 0)


def test_an_answer_that_breaks_off_time_and_again_ends_with_its_call():
    with Site("--break-off", "1000", timeout_ms=1200) as site:
        with site.home.server() as s:
            began = time.monotonic()
            assert s.call_error("up__slow", {"ms": 1})["code"] in ("UPSTREAM_ERROR",
                                                                  "UPSTREAM_TIMEOUT")
            assert time.monotonic() - began < 1.2 + AT_ONCE_S
            assert site.count("resumed ") > 3
            check_all_is_well(site.home, s, 0)
    with Site("--break-off", "1", "--retry", "60000", timeout_ms=20000) as site:
        with site.home.server() as s:
            began = time.monotonic()
            s.call_error("up__slow", {"ms": 1}, code="UPSTREAM_ERROR")
            assert time.monotonic() - began < AT_ONCE_S  # it will not come in time: said at once
            check_all_is_well(site.home, s, 0)


def test_a_session_that_is_gone_is_begun_anew_also_before_anyone_calls():
    with Site("--streams") as site:
        with site.home.server(era="legacy") as s:
            tools_of(s)
            site.until("stream -")
            site.fake.order("forget sessions")
            site.fake.order("end streams")
            site.until("method initialize", 2)
            site.until("stream -", 2)
            site.fake.order("change list")
            until_told(s)
            check_all_is_well(site.home, s, 0)


def test_a_stream_that_cannot_be_found_again_does_not_end_session_after_session():
    with Site("--streams", "--stream-once") as site:
        with site.home.server() as s:
            tools_of(s)
            site.until("stream -")
            site.fake.order("end streams")
            site.until("stream -", 2)  # one session anew, in case it was that
            site.fake.order("end streams")
            site.until("get ", 4)
            s.call("up__slow", {"ms": 1500})
            assert site.count("method initialize") == 2 and site.count("get ") == 4
            check_all_is_well(site.home, s, 3)


def test_calls_that_find_their_session_gone_run_once_each():
    with Site() as site:
        with site.home.server() as s:
            tools_of(s)
            site.fake.order("forget sessions")
            ids = [s.send_call("up__slow", {"ms": 50, "n": n}) for n in range(6)]
            for id in ids:
                assert text_of(s.wait(id)) == "slow but sure"
            assert site.count("method tools/call") == 6
            check_all_is_well(site.home, s, 18)


main()
