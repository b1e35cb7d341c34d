#!/usr/bin/env python3
"""Pay and continue with Stripe's Checkout, in both eras."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import RpcError, content_of, main  # noqa: E402
from paying import CAN_PAY, TOOLS, URL_REQUIRED, accept, check_books, offered, refused  # noqa: E402
from stripe_double import Stripe  # noqa: E402
from stripe_till import Till  # noqa: E402


SESSIONS = "/v1/checkout/sessions"


def sessions(stripe):
    return stripe.objects("checkout.session")


def test_a_session_paid_meanwhile_completes_the_call():
    with Stripe() as stripe, Till(stripe, tools=TOOLS) as home, home.server(**CAN_PAY) as s:
        _, url, state = offered(s.call("echo", {"text": "a"}))
        assert [x["url"] for x in sessions(stripe)] == [url]
        assert sessions(stripe)[0]["amount_total"] == 500, sessions(stripe)
        began = time.monotonic()
        retry = s.send_call("echo", {"text": "a"}, {"progressToken": 1}, **accept(state))
        s.call_ok("ping")
        stripe.complete_session(sessions(stripe)[0]["id"])
        result = s.wait(retry)
        took = time.monotonic() - began
        assert took > 1.5, took  # it is asked after 2 s
        assert content_of("echo", result)["echo"] == {"text": "a"}
        assert [m["params"]["progress"] for m in s.notifications()][:1] == [1]
        assert s.balance() == 470
        home.check_books()
        check_books(home, 1)


def test_one_poller_asks_for_all_who_wait():
    with Stripe() as stripe, Till(stripe, tools=TOOLS) as home, \
            home.server(**CAN_PAY) as one, home.server(**CAN_PAY) as two:
        states = [offered(one.call("echo", {"n": n}))[2] for n in range(4)]
        assert len(sessions(stripe)) == 1
        session = sessions(stripe)[0]["id"]
        before = len(stripe.requests("GET", SESSIONS + "/" + session))
        waiting = [(s, s.send_call("echo", {"n": n}, {"progressToken": n}, **accept(state)))
                   for n, (s, state) in enumerate(zip((one, two, one, two), states))]
        began = time.monotonic()
        for s in (one, two):
            s.until(lambda: len([m for m in s.inbox if "method" in m]) >= 4)
        # Two of each process, told twice: it was asked after 2 and 5 s, by one of the two.
        assert time.monotonic() - began > 4.5
        assert len(stripe.requests("GET", SESSIONS + "/" + session)) - before in (2, 3)
        stripe.complete_session(session)
        for s, id in waiting:
            content_of("echo", s.wait(id))
        assert len(stripe.requests("GET", SESSIONS + "/" + session)) - before <= 5
        home.check_books()
        check_books(home, 4)


def test_not_paid_in_time_is_pending():
    with Stripe() as stripe, Till(stripe, tools=TOOLS) as home, home.server(**CAN_PAY) as s:
        _, url, state = offered(s.call("brief", {}))
        error = refused(s.call("brief", {}, **accept(state)), payment_pending=True)
        assert error["top_up"]["url"] == url, error
        with home.server(**CAN_PAY) as fresh:
            assert offered(fresh.call("brief", {}))[1] == url
        assert len(sessions(stripe)) == 1
        home.check_books()


def test_parallel_refused_calls_make_one_session():
    with Stripe() as stripe, Till(stripe, tools=TOOLS) as home, \
            home.server(**CAN_PAY) as one, home.server(**CAN_PAY) as two:
        ids = [(s, s.send_call("echo", {"n": n})) for n in range(25) for s in (one, two)]
        urls = [offered(s.wait(id))[1] for s, id in ids]
        assert set(urls) == {sessions(stripe)[0]["url"]}, urls
        assert len(sessions(stripe)) == 1
        home.check_books()


def test_down_is_the_plain_error():
    with Stripe() as stripe, Till(stripe, tools=TOOLS) as home, home.server(**CAN_PAY) as s:
        stripe.fault("error_before", "POST", SESSIONS, count=1000)
        error = refused(s.call("echo", {}, timeout=60))
        assert "payment_pending" not in error, error
        check_books(home, 0)


def test_legacy_goes_on_after_the_payment():
    with Stripe() as stripe, Till(stripe, tools=TOOLS) as home, \
            home.server(era="legacy", **CAN_PAY) as s:
        try:
            raise AssertionError(s.call("echo", {}))
        except RpcError as e:
            assert e.code == URL_REQUIRED and e.data["elicitations"][0]["url"] == \
                sessions(stripe)[0]["url"], e
        retry = s.send_call("echo", {})
        s.call_ok("ping")
        stripe.complete_session(sessions(stripe)[0]["id"])
        content_of("echo", s.wait(retry))
        home.check_books()
        check_books(home, 1)


def test_who_was_told_to_pay_and_to_call_again_goes_on():
    # A client that opens no pages: the error names the page, and the next call finds it paid.
    for era in ("modern", "legacy"):
        with Stripe() as stripe, Till(stripe, tools=TOOLS) as home:
            with home.server(era=era) as s:
                page = s.call_ok("buy_tokens", {"amount_usd": 7})
                error = refused(s.call("echo", {}))
                assert error["top_up"] == {"tool": "buy_tokens", "amount_usd": 7,
                                           "url": page["url"]}, error
                stripe.complete_session(sessions(stripe)[0]["id"])
                content_of("echo", s.call("echo", {}))
            home.check_books()
            check_books(home, 1)


def test_command_that_was_refused_goes_on_when_it_is_paid():
    with Stripe() as stripe, Till(stripe, tools=TOOLS) as home:
        home.cli("billing", "checkout", "--amount", "5")
        home.cli("call", "echo", "{}", status=1)
        stripe.pay_invoice(stripe.objects("invoice")[0]["id"])
        home.cli("call", "echo", "{}")
        home.check_books()
        check_books(home, 1)


def test_open_page_of_buy_tokens_is_offered_again():
    for era in ("modern", "legacy"):
        with Stripe() as stripe, Till(stripe, tools=TOOLS) as home, \
                home.server(era=era, **CAN_PAY) as s:
            page = s.call_ok("buy_tokens", {"amount_usd": 10})
            if era == "modern":
                _, url, state = offered(s.call("echo", {}))
                more = accept(state)
            else:
                try:
                    raise AssertionError(s.call("echo", {}))
                except RpcError as e:
                    assert e.code == URL_REQUIRED, e
                    url, more = e.data["elicitations"][0]["url"], {}
            assert url == page["url"] and len(sessions(stripe)) == 1
            retry = s.send_call("echo", {}, **more)
            s.call_ok("ping")
            stripe.complete_session(sessions(stripe)[0]["id"])
            content_of("echo", s.wait(retry))
            home.check_books()
            check_books(home, 1)


def test_refused_calls_do_not_ask_stripe_each_time():
    with Stripe() as stripe, Till(stripe, tools=TOOLS) as home, home.server() as s:
        s.call_ok("buy_tokens", {"amount_usd": 5})
        for n in range(20):
            refused(s.call("echo", {"n": n}))
        assert len(stripe.requests("GET", SESSIONS)) <= 4, stripe.requests("GET", SESSIONS)
        # Nothing is open any more: nothing is asked.
        stripe.complete_session(sessions(stripe)[0]["id"])
        home.settled_balance(s, 500)
        before = len(stripe.requests("GET", SESSIONS))
        refused(s.call("dear", {}))
        assert len(stripe.requests("GET", SESSIONS)) == before
        home.check_books()


if __name__ == "__main__":
    main()
