#!/usr/bin/env python3
"""The mirror at Stripe's meter: what it is told equals the ledger, once, whatever breaks in between;
and no call waits for it."""

import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import main  # noqa: E402
from mirror_house import (  # noqa: E402
    DAY_MS, EVENTS, GRANTS, PAUSE_S, SUBSCRIPTIONS, TOOLS, captured, check_exact,
    check_set_up_once, house, kill_when_asked, told, wait_said, wait_told)


def test_58_calls_of_three_hundredths_of_a_cent_are_told_to_the_last_microdollar():
    with house() as (home, stripe), home.server() as s:
        for batch in (1, 28, 29):
            for _ in range(batch):
                s.call_ok("small", {})
            wait_told(home, s)
            check_exact(home, stripe)
        assert captured(home) == 58 * 300
        assert told(stripe) == 17
        check_set_up_once(stripe)
        subscription = stripe.objects("subscription")[0]
        assert subscription["billing_thresholds"]["amount_gte"] == 200, subscription
        assert stripe.objects("price")[0]["recurring"]["usage_type"] == "metered"
        # The starter tokens are credit, too, or Stripe would bill their use.
        grants = stripe.objects("billing.credit_grant")
        assert [g["amount"]["monetary"]["value"] for g in grants] == [100], grants
        assert grants[0]["category"] == "promotional", grants


def test_without_the_switch_stripe_hears_nothing():
    with house(meter=False) as (home, stripe), home.server() as s:
        s.call_ok("large", {})
        with contextlib.suppress(TimeoutError):
            s.until(lambda: False, 3)
        # It is only asked whether it has money that the store does not know.
        told = [r for r in stripe.requests()
                if r["method"] != "GET" or r["path"].startswith("/v1/billing")]
        assert told == [], told
        assert home.query("SELECT count(*) FROM mirror")[0][0] == 0


def test_it_begins_when_it_is_switched_on_with_the_balance_of_then():
    with house(meter=False) as (home, stripe):
        with home.server() as s:
            for _ in range(3):
                s.call_ok("small", {})
        home.configure({"tools": TOOLS, "stripe": {"meter": True}})
        with home.server() as s:
            s.call_ok("large", {})
            wait_told(home, s)
        assert told(stripe) == 100
        grants = stripe.objects("billing.credit_grant")
        # $0.9991, up to the cent.
        assert [g["amount"]["monetary"]["value"] for g in grants] == [100], grants
        assert home.query("SELECT amount_microusd FROM mirror_grant") == [(999100,)]


def test_a_purchase_becomes_a_paid_credit_grant_once():
    with house() as (home, stripe), home.server() as s:
        s.call_ok("large", {})
        wait_told(home, s)
        stripe.add_card(stripe.objects("customer")[0]["id"], default=True)
        stripe.fault("drop_after", "POST", GRANTS)
        bought = s.call_ok("buy_tokens", {"amount_usd": 25})
        assert bought["status"] == "succeeded", bought
        s.call_ok("large", {})
        wait_told(home, s)
        paid = [g for g in stripe.objects("billing.credit_grant") if g["category"] == "paid"]
        assert len(paid) == 1, paid
        assert paid[0]["amount"]["monetary"] == {"currency": "usd", "value": 2500}, paid
        assert paid[0]["metadata"]["payment_id"] == bought["payment_id"], paid
        keys = {r["key"] for r in stripe.requests("POST", GRANTS)}
        assert "grant-" + bought["payment_id"] in keys, keys
        check_exact(home, stripe)
        check_set_up_once(stripe)


def median(values):
    return sorted(values)[len(values) // 2]


def timed_calls(server, seconds):
    """How long each call took, one after the other."""
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        server.call_ok("small", {})
        found.append(time.monotonic() - begin)
        time.sleep(PAUSE_S)
    return found


def test_an_outage_of_stripe_slows_no_call():
    with house() as (home, stripe), home.server() as s:
        s.call_ok("middle", {})
        wait_told(home, s)
        stripe.fault("drop_before", count=100000)
        down = timed_calls(s, 3)
        wait_said(s, "event=mirror_lags")
        stripe.clear_faults()
        stripe.fault("delay_before", count=100000, ms=5000)
        slow = timed_calls(s, 3)
        stripe.clear_faults()
        assert stripe.requests("POST", EVENTS)
        quiet = median(down[:20] + slow[:20])
        print("median ms: at first %.2f, dropped %.2f, silent %.2f; worst %.1f"
              % (1000 * quiet, 1000 * median(down), 1000 * median(slow),
                 1000 * max(down + slow)))
        # A call that waited for Stripe would take 5 s, and then all do.
        assert median(down) < 3 * quiet + 0.5 and median(slow) < 3 * quiet + 0.5
        assert max(down + slow) < 4.5, max(down + slow)
        assert s.err_text().count("event=mirror_lags") <= 3, s.err_text()
        wait_told(home, s, 120)
        check_exact(home, stripe)


def test_a_kill_at_any_step_leaves_each_thing_told_once():
    steps = [("POST", "/v1/customers"), ("GET", "/v1/billing/meters"),
             ("POST", "/v1/billing/meters"), ("POST", "/v1/products"), ("POST", "/v1/prices"),
             ("GET", SUBSCRIPTIONS), ("POST", SUBSCRIPTIONS), ("POST", GRANTS), ("POST", EVENTS),
             ("POST", EVENTS)]
    with house() as (home, stripe):
        for method, path in steps:
            stripe.fault("delay_after", method, path, ms=2000)
            server = home.server()
            server.call_ok("small", {})
            server.call_ok("middle", {})
            kill_when_asked(home, stripe, server, method, path)
        with home.server() as s:
            wait_told(home, s)
        check_exact(home, stripe)
        check_set_up_once(stripe)
        assert len(stripe.objects("billing.credit_grant")) == 1
        # The event was in before it was killed: the answer to the second was a refusal.
        refused = [r for r in stripe.requests("POST", EVENTS) if r.get("status") == 400]
        assert refused, stripe.requests("POST", EVENTS)
        home.ledger_verify()


def check_forgotten_name(fault, arrives, made_ms=-25 * 60 * 60 * 1000):
    """An event that was under way when it was killed, and whose name Stripe has forgotten since.
    made_ms is what is added to the time when it was made."""
    with house() as (home, stripe):
        with home.server() as s:
            s.call_ok("large", {})
            wait_told(home, s)
        stripe.fault("delay_after", "POST", EVENTS, ms=3000)
        stripe.fault(fault, "POST", EVENTS)
        server = home.server()
        server.call_ok("large", {})
        kill_when_asked(home, stripe, server, "POST", EVENTS)
        assert told(stripe) == (200 if arrives else 100)
        stripe.advance(25 * 60 * 60)
        home.change("UPDATE mirror_org SET made_ms = made_ms + ?", made_ms)
        before = len(stripe.requests("POST", EVENTS))
        with home.server() as s:
            wait_told(home, s)
        assert len(stripe.requests("POST", EVENTS)) - before == (0 if arrives else 1)
        check_exact(home, stripe)
        assert told(stripe) == 200


def test_an_event_whose_name_is_forgotten_is_told_again_only_if_the_sum_lacks_it():
    check_forgotten_name("error_after", arrives=True)
    check_forgotten_name("error_before", arrives=False)


def test_a_clock_that_was_set_back_tells_nothing_twice():
    check_forgotten_name("error_after", arrives=True, made_ms=3 * DAY_MS)


def test_two_processes_tell_it_once():
    with house() as (home, stripe):
        with home.server() as a, home.server() as b:
            began = time.monotonic()
            while time.monotonic() < began + 4:
                for s in (a, b):
                    s.call_ok("small", {})
                time.sleep(PAUSE_S)
            wait_told(home, a)
            took = time.monotonic() - began
        check_exact(home, stripe)
        check_set_up_once(stripe)
        assert len(stripe.objects("billing.credit_grant")) == 1
        # Batched: an event a second of each, not one a call.
        assert len(stripe.objects("billing.meter_event")) <= 2 * took + 2


def test_what_is_older_than_stripe_takes_is_told_as_34_days_old():
    with house() as (home, stripe):
        with home.server() as s:
            s.call_ok("large", {})
            wait_told(home, s)
        stripe.fault("delay_after", "POST", EVENTS, ms=2000)
        stripe.fault("error_before", "POST", EVENTS)
        server = home.server()
        server.call_ok("large", {})
        kill_when_asked(home, stripe, server, "POST", EVENTS)
        count = len(stripe.objects("billing.meter_event"))
        home.change("UPDATE mirror_org SET call_ms = call_ms - ?, call = ?", 40 * DAY_MS, b"x" * 16)
        with home.server() as s:
            wait_told(home, s)
            assert "event=mirror_event_is_old" in s.err_text(), s.err_text()
        events = stripe.objects("billing.meter_event")
        assert len(events) == count + 1
        age = time.time() - events[-1]["timestamp"]
        assert 33.9 * 86400 < age < 34.1 * 86400, age


if __name__ == "__main__":
    main()
