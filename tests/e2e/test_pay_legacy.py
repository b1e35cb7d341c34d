#!/usr/bin/env python3
"""Pay and continue on 2025-11-25, which has an error for it, and on what came before, which has not."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import AT_ONCE_S, RpcError, content_of, echo_tool, main  # noqa: E402
from paying import (  # noqa: E402
    CAN_PAY, CHECKOUT, GUARD_OFF, URL_REQUIRED, check_books, elicited, house, pay, payments,
    refused)


def test_a_refused_call_is_the_url_error_and_its_retry_waits():
    with house() as home, home.server(era="legacy", **CAN_PAY) as s:
        payment, url = elicited(lambda: s.call("brief", {}))
        assert payments(home) == [(CHECKOUT, 500, 0)]
        # Never the same page twice.
        error = refused(s.call("brief", {}), payment_pending=True)
        assert error["top_up"]["url"] == url, error
        retry = s.send_call("brief", {}, {"progressToken": 7})
        s.call_ok("ping")
        pay(home, payment)
        result = s.wait(retry)
        content_of("brief", result)
        assert "resultType" not in result, result
        assert s.balance() == 470 and len(payments(home)) == 1
        check_books(home, 1)


def test_another_call_gets_the_error_with_the_page():
    with house() as home, home.server(era="legacy", **CAN_PAY) as s:
        payment, url = elicited(lambda: s.call("echo", {}))
        began = time.monotonic()
        for tool, arguments in (("echo", {"n": 1}), ("other", {})):
            error = refused(s.call(tool, arguments))
            assert error["top_up"]["url"] == url and "payment_pending" not in error, error
        assert time.monotonic() - began < AT_ONCE_S
        # A page of another payment is news.
        assert elicited(lambda: s.call("dear", {}))[1] != url
        retry = s.send_call("echo", {})
        pay(home, payment)
        content_of("echo", s.wait(retry))
        check_books(home, 1)


def test_a_page_that_was_paid_and_used_up_is_followed_by_a_new_one():
    with house(tools={"all": echo_tool(500)}) as home, home.server(era="legacy", **CAN_PAY) as s:
        first = elicited(lambda: s.call("all", {}))
        pay(home, first[0])
        content_of("all", s.call("all", {}))
        second = elicited(lambda: s.call("all", {}))
        assert second[1] != first[1]
        pay(home, second[0])
        content_of("all", s.call("all", {}))
        check_books(home, 2)


def test_older_revisions_get_the_plain_error():
    with house() as home:
        for version in ("2025-06-18", "2025-03-26", "2024-11-05"):
            with home.server(era="legacy", version=version, **CAN_PAY) as s:
                assert "url" not in refused(s.call("echo", {}))["top_up"]
        for capabilities in ({}, {"elicitation": {}}, {"elicitation": {"form": {}}}):
            with home.server(era="legacy", capabilities=capabilities) as s:
                assert "url" not in refused(s.call("echo", {}))["top_up"]
        assert payments(home) == []
        check_books(home, 0)


def test_a_state_means_nothing():
    with house() as home, home.server(era="legacy", **CAN_PAY) as s:
        elicited(lambda: s.call("never", {}, requestState="x", inputResponses=7))
        check_books(home, 0)


def test_clients_are_overridden():
    clients = {"shy": {"pay": "error"}, "bold": {"pay": "url"}}
    for guard in ({}, GUARD_OFF):
        with house(clients=clients, guard=guard) as home:
            with home.server(era="legacy", client="shy", **CAN_PAY) as s:
                assert "url" not in refused(s.call("never", {}))["top_up"]
            with home.server(era="legacy", client="bold") as s:
                _, url = elicited(lambda: s.call("never", {}))
                error = refused(s.call("never", {"n": 1}))
                assert error["top_up"]["url"] == url and "payment_pending" not in error, error
                refused(s.call("never", {}), payment_pending=True)
            check_books(home, 0)


def test_parallel_refused_calls_make_one_payment_and_one_question():
    with house() as home, home.server(era="legacy", **CAN_PAY) as s:
        ids = [s.send_call("never", {"n": n}) for n in range(50)]
        asked = 0
        for id in ids:
            try:
                refused(s.wait(id))
            except RpcError as e:
                assert e.code == URL_REQUIRED, e
                asked += 1
        assert asked == 1 and payments(home) == [(CHECKOUT, 500, 0)], (asked, payments(home))
        check_books(home, 0)


def test_a_cancel_while_it_waits_strands_nothing():
    with house() as home, home.server(era="legacy", **CAN_PAY) as s:
        payment, _ = elicited(lambda: s.call("echo", {}))
        retry = s.send_call("echo", {})
        s.call_ok("ping")
        s.notify("notifications/cancelled", {"requestId": retry})
        pay(home, payment)
        assert s.balance() == 500
        content_of("echo", s.call("echo", {}))
        assert s._find(retry) is None
        check_books(home, 1)


if __name__ == "__main__":
    main()
