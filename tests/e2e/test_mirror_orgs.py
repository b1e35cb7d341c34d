#!/usr/bin/env python3
"""The mirror at Stripe's meter: several orgs, several processes, and what goes wrong over there
later."""

import contextlib
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import main  # noqa: E402
from mirror_house import (  # noqa: E402
    EVENTS, GRANTS, check_exact, doctor_says, house, lag, new_org, told, wait_for, wait_said,
    wait_told)


def test_a_killed_process_keeps_the_next_one_waiting_for_seconds():
    with house() as (home, stripe):
        stripe.fault("delay_after", "POST", EVENTS, ms=2000)
        s = home.server()
        s.call_ok("middle", {})
        while not stripe.requests("POST", EVENTS):
            s._pump(0.02)
        s.kill9()
        stripe.clear_faults()
        with home.server() as s:
            wait_told(home, s, 12)
        check_exact(home, stripe)


def test_a_long_turn_is_renewed():
    # Longer than the turn would last; the other process keeps away.
    with house() as (home, stripe), home.server() as a, home.server() as b:
        stripe.fault("delay_before", "POST", EVENTS, ms=8000)
        a.call_ok("middle", {})
        b.call_ok("middle", {})
        wait_told(home, a)
        asked = stripe.requests("POST", EVENTS)
        assert all("params" in r for r in asked), "one is still held, and was told by the other"
        names = [r["params"]["identifier"] for r in asked]
        assert len(names) == len(set(names)), names
        check_exact(home, stripe)


def test_orgs_are_told_several_at_a_time_and_no_more():
    names = ["org%d" % n for n in range(7)]
    with house() as (home, stripe), contextlib.ExitStack() as stack:
        servers = [stack.enter_context(new_org(home, name)) for name in names]
        servers[0].call_ok("middle", {})
        wait_told(home, servers[0])  # what all of them need is there
        stripe.fault("delay_before", "POST", EVENTS, ms=700, count=1000)
        for s in servers:
            s.call_ok("middle", {})
        most = 0
        deadline = time.monotonic() + 30
        while lag(home):
            assert time.monotonic() < deadline, servers[0].err_text()
            waiting = [r for r in stripe.requests("POST", EVENTS) if "status" not in r]
            most = max(most, len(waiting))
            servers[0]._pump(0.05)
        assert 2 <= most <= 4, most
        check_exact(home, stripe)


def test_a_cancelled_subscription_is_said_once_and_holds_no_other_org_up():
    with house() as (home, stripe), home.server() as s, new_org(home, "other") as other:
        s.call_ok("middle", {})
        other.call_ok("middle", {})
        wait_told(home, s)
        gone = stripe.objects("subscription")[0]["id"]
        customer = stripe.objects("subscription")[0]["customer"]
        stripe.control("subscriptions/cancel", subscription=gone)
        home.change("UPDATE mirror_org SET checked_ms = 0")
        before = told(stripe)
        for n in range(3):
            s.call_ok("middle", {})
            other.call_ok("middle", {})
            wait_for(s, lambda: told(stripe) >= before + 10 * (n + 1))
        assert lag(home) > 0
        said = [line for line in (s.err_text() + other.err_text()).splitlines()
                if "event=mirror_lags" in line and gone in line]
        assert len(said) == 1, said
        found = doctor_says(home)
        assert any(gone in str(c) and "cancelled" in str(c) for c in found), found
        assert home.query("SELECT max(failures) FROM mirror_org")[0][0] >= 2
        # The operator makes another one.
        stripe.post("/v1/subscriptions", "by-hand", {
            "customer": customer, "items": [{"price": stripe.objects("price")[0]["id"]}]})
        wait_told(home, s, 30)
        check_exact(home, stripe)
        assert home.query("SELECT count(*) FROM mirror_org WHERE trouble IS NOT NULL") == [(0,)]


def test_an_archived_meter_is_said_and_told_to_once_it_is_back():
    with house() as (home, stripe), home.server() as s:
        s.call_ok("middle", {})
        wait_told(home, s)
        meter = stripe.objects("billing.meter")[0]["id"]
        stripe.control("meters/move", meter=meter, status="inactive")
        home.change("UPDATE mirror_org SET checked_ms = 0")
        s.call_ok("middle", {})
        wait_said(s, "was archived at Stripe")
        found = doctor_says(home)
        assert any(meter in str(c) and "archived" in str(c) for c in found), found
        stripe.control("meters/move", meter=meter, status="active")
        wait_told(home, s, 30)
        assert s.err_text().count("was archived at Stripe") == 1, s.err_text()
        check_exact(home, stripe)


def test_a_deleted_customer_is_made_again_before_usage_is_told():
    with house() as (home, stripe), home.server() as s:
        s.call_ok("middle", {})
        wait_told(home, s)
        stripe.control("customers/delete", customer=stripe.objects("customer")[0]["id"])
        home.change("UPDATE mirror_org SET checked_ms = 0")
        s.call_ok("middle", {})
        wait_told(home, s, 30)
        live = [c["id"] for c in stripe.objects("customer") if not c.get("deleted")]
        events = stripe.objects("billing.meter_event")
        assert len(live) == 1 and events[-1]["payload"]["stripe_customer_id"] == live[0], events
        assert stripe.invariants()["meter_event_faults"] == []


def test_a_refused_grant_keeps_no_usage_back():
    with house() as (home, stripe), home.server() as s:
        stripe.fault("error_before", "POST", GRANTS, status=400, count=1000)
        s.call_ok("large", {})
        deadline = time.monotonic() + 30
        while told(stripe) != 100:
            assert time.monotonic() < deadline, s.err_text()
            s._pump(0.1)
        assert stripe.objects("billing.credit_grant") == []
        wait_said(s, "event=mirror_lags")


if __name__ == "__main__":
    main()
