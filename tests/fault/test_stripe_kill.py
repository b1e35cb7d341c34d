#!/usr/bin/env python3
"""kill -9 at each request to Stripe: charged and credited once, or neither.

Each request of a flow is held at Stripe, before it is executed and after; then farebox is killed.
The held request goes on over there, as a real one would. The next process finds out.

FAREBOX_KILLS=N kills N times at random moments (8 by default) and at all requests in both ways;
FAREBOX_SEED=N chooses the moments.
"""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Gone, main  # noqa: E402
from stripe_double import Stripe  # noqa: E402
from stripe_till import (  # noqa: E402
    CANCELLED, OPEN, REQUIRES_ACTION, SUBMITTED, SUCCEEDED, Till)

IS_LONG = "FAREBOX_KILLS" in os.environ
KILLS = int(os.environ.get("FAREBOX_KILLS", "8"))
SEED = int(os.environ.get("FAREBOX_SEED", "1"))
MODES = ("delay_before", "delay_after")
HOLD_MS = 150
DAY_S = 24 * 60 * 60
PENDING_OVER_S = 40
KEY = {"amount_usd": 20, "idempotency_key": "mine"}


class Flow:
    """What is done, and what it must have come to when it is done again and settled."""

    starter = 0
    steps = 1  # requests to Stripe
    is_charge = False

    def prepare(self, home):
        with home.server() as s:
            s.balance()

    def send(self, s):
        raise NotImplementedError

    def settle(self, home, s):
        raise NotImplementedError


class BuyWithCard(Flow):
    steps = 3
    is_charge = True

    def prepare(self, home):
        with home.server() as s:
            home.save_card(s)

    def send(self, s):
        return s.send_call("buy_tokens", KEY)

    def settle(self, home, s):
        assert s.call_ok("buy_tokens", KEY, timeout=60)["status"] in ("succeeded", "pending")
        home.settled_balance(s, 2000)
        assert s.call_ok("buy_tokens", KEY)["replayed"] is True
        assert [p[0] for p in home.payments()] == [SUCCEEDED], home.payments()


class BuyWithoutCard(Flow):
    steps = 2

    def send(self, s):
        return s.send_call("buy_tokens", KEY)

    def settle(self, home, s):
        until_page(home, s, "buy_tokens", KEY)
        pages = home.stripe.objects("checkout.session")
        assert len(pages) == 1, pages
        home.stripe.complete_session(pages[0]["id"])
        home.settled_balance(s, 2000)


class BuyWithOwner(Flow):
    steps = 5

    def prepare(self, home):
        with home.server() as s:
            home.save_card(s, "authentication_required")

    send = BuyWithoutCard.send

    def settle(self, home, s):
        BuyWithoutCard.settle(self, home, s)
        ends = sorted(i["status"] for i in home.stripe.objects("payment_intent"))
        assert ends == ["canceled", "succeeded"], ends


class TopUp(Flow):
    steps = 5

    def send(self, s):
        return s.send_call("top_up_credits", {"amount_usd": 20})

    def settle(self, home, s):
        until_page(home, s, "top_up_credits", {"amount_usd": 20})
        invoices = home.stripe.objects("invoice")
        made = [(i["status"], i["total"]) for i in invoices]
        assert made == [("open", 2110)], (made, home.payments())
        home.stripe.pay_invoice(invoices[0]["id"])
        home.settled_balance(s, 2000)


class TopUpIsPaid(Flow):
    def prepare(self, home):
        with home.server() as s:
            s.call_ok("top_up_credits", {"amount_usd": 20})
        home.stripe.pay_invoice(home.stripe.objects("invoice")[0]["id"])

    def send(self, s):
        return s.send_call("check_balance")

    def settle(self, home, s):
        home.settled_balance(s, 2000)


class Reload(Flow):
    steps = 3
    is_charge = True
    starter = 100

    def prepare(self, home):
        with home.server() as s:
            home.save_card(s)

    def send(self, s):
        return s.send_call("set_auto_reload",
                           {"enabled": True, "threshold_tokens": 1000, "topup_usd": 5})

    def settle(self, home, s):
        home.settled_balance(s, 1100)
        assert [p[0] for p in home.payments()] == [SUCCEEDED], home.payments()


class Refund(Flow):
    steps = 2

    def prepare(self, home):
        with home.server() as s:
            home.save_card(s)
            s.call_ok("buy_tokens", {"amount_usd": 20})
        charge = home.stripe.objects("charge")[0]["id"]
        home.stripe.refund(charge, 500)
        home.stripe.refund(charge, 1, status="pending")

    def send(self, s):
        return s.send_call("list_invoices")

    def settle(self, home, s):
        home.wait(s, lambda: s.call_ok("list_invoices") and s.balance() == 1499, pause=0.1)


FLOWS = (BuyWithCard, BuyWithoutCard, BuyWithOwner, TopUp, TopUpIsPaid, Reload, Refund)


def until_page(home, s, tool, arguments):
    """Asks again until there is a page to pay at."""
    deadline = time.monotonic() + PENDING_OVER_S
    while not any(state in (REQUIRES_ACTION, OPEN) for state, _, _ in home.payments()):
        assert time.monotonic() < deadline, (home.payments(), s.err_text())
        s.call(tool, arguments, timeout=60)


def is_held(stripe, number):
    """The request of that number is over there, and is not answered."""
    seen = stripe.requests()
    return len(seen) >= number and "status" not in seen[number - 1]


def wait_held(home, s, id, number, is_watched):
    """True once it is held; False when the flow was over before."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if is_held(home.stripe, number):
            return True
        try:
            s.until(lambda: s.inbox, 0.005)
        except TimeoutError:
            continue
        if not is_watched and len(home.stripe.requests()) < number:
            return False
        time.sleep(0.005)
        if not is_watched:
            return is_held(home.stripe, number)
        if home.payments() and home.payments()[0][0] == SUCCEEDED:
            return False
    raise AssertionError("request %d was neither held nor left out" % number)


def kill_at(flow, step, mode, is_twin):
    """False when the flow has no such step."""
    with Stripe() as stripe, Till(stripe, starter=flow.starter) as home:
        flow.prepare(home)
        # What else is asked at the first use would come between a flow's own requests.
        if isinstance(flow, Refund):
            home.make_due()
        base = len(stripe.requests())
        stripe.fault(mode, skip=step, ms=HOLD_MS)
        s = home.server()
        other = None
        id = flow.send(s)
        was_held = wait_held(home, s, id, base + step + 1, isinstance(flow, Reload))
        if was_held and is_twin:
            other = home.server()
            flow.send(other)
            time.sleep(random.Random(step).uniform(0, 0.1))
        s.kill9()
        s.check_healthy()
        if not other:
            home.make_due()
            other = home.server()
        stripe.clear_faults()
        with other:
            flow.settle(home, other)
        home.check_books()
        return was_held


def kill_at_each_step(flow):
    """Each request before and after it is executed; where that is a page, one of both."""
    for step in range(flow.steps):
        for mode in MODES if flow.is_charge or IS_LONG else (MODES[step % 2],):
            assert kill_at(flow(), step, mode, False), (flow.__name__, step)
    if IS_LONG and flow is not Refund:  # two looks ask for it at once
        assert not kill_at(flow(), flow.steps, MODES[0], False), "there are more requests"


def test_kill_at_each_request_of_a_purchase():
    kill_at_each_step(BuyWithCard)


def test_kill_at_each_request_of_a_purchase_without_a_card():
    kill_at_each_step(BuyWithoutCard)


def test_kill_at_each_request_when_the_bank_wants_the_owner():
    kill_at_each_step(BuyWithOwner)


def test_kill_at_each_request_of_a_top_up():
    kill_at_each_step(TopUp)


def test_kill_while_a_paid_invoice_is_read():
    kill_at_each_step(TopUpIsPaid)


def test_kill_at_each_request_of_a_reload():
    kill_at_each_step(Reload)


def test_kill_at_each_request_for_what_went_back():
    kill_at_each_step(Refund)


def test_kill_beside_another_process_that_does_the_same():
    for n, flow in enumerate((BuyWithCard, BuyWithoutCard, BuyWithOwner, TopUp)):
        for step in range(flow.steps) if IS_LONG else (flow.steps - 1,):
            mode = MODES[(n + step) % 2]
            assert kill_at(flow(), step, mode, True), (flow, step)


def test_kill_at_any_moment():
    rng = random.Random(SEED)
    for n in range(KILLS):
        flow = rng.choice(FLOWS)()
        with Stripe() as stripe, Till(stripe, starter=flow.starter) as home:
            flow.prepare(home)
            began_at = time.monotonic()
            for _ in range(rng.choice((1, 1, 2))):
                home.make_due()
                s = home.server()
                flow.send(s)
                try:
                    s.until(lambda: False, rng.uniform(0.005, 0.15))
                except (TimeoutError, Gone):
                    pass
                s.kill9()
                s.check_healthy()
            home.make_due()
            with home.server() as s:
                # What was killed before it was durable is asked for again.
                flow.send(s)
                flow.settle(home, s)
            home.check_books()
            assert time.monotonic() - began_at < 200


def test_purchase_whose_key_stripe_forgot_is_looked_for_and_not_repeated():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
        for mode in ("delay_before", "delay_after"):
            before = len(stripe.objects("charge"))
            stripe.fault(mode, "POST", "/v1/payment_intents", ms=3000 if mode == "delay_after"
                         else HOLD_MS)
            base = len(stripe.requests("POST", "/v1/payment_intents"))
            s = home.server()
            s.send_call("buy_tokens", {**KEY, "idempotency_key": mode})
            while len(stripe.requests("POST", "/v1/payment_intents")) == base:
                time.sleep(0.005)
            s.kill9()
            while len(stripe.objects("charge")) == before:
                time.sleep(0.01)
            # A day later.
            stripe.clear_faults()
            stripe.forget_keys()
            home.change("UPDATE payment SET created_ms = created_ms - 86400000 "
                        "WHERE finished_ms IS NULL")
            home.age_requests(DAY_S, DAY_S)
            home.make_due()
            with home.server() as s:
                s.balance()
                home.wait(s, lambda: all(p[0] == SUCCEEDED for p in home.payments()))
        assert home.granted() == (2, 4000)
        home.check_books()


def test_purchase_that_never_arrived_is_not_charged_a_day_later():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            stripe.fault("error_before", "POST", "/v1/payment_intents", should_retry="false")
            assert s.call_ok("buy_tokens", KEY)["status"] == "pending"
        stripe.clear_faults()
        home.change("UPDATE payment SET created_ms = created_ms - 86400000")
        home.age_requests(DAY_S, DAY_S)
        home.make_due()
        with home.server() as s:
            s.balance()
            home.wait(s, lambda: all(p[0] == CANCELLED for p in home.payments()))
        assert stripe.objects("charge") == []
        home.check_books()


def test_purchase_that_was_sent_a_moment_ago_is_not_given_up_because_it_is_old():
    path = "/v1/payment_intents"
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            stripe.fault("error_before", "POST", path, should_retry="false")
            assert s.call_ok("buy_tokens", KEY)["status"] == "pending"
        # Nearly a day later it is sent again, and is slow over there.
        home.make_recent_old(DAY_S)
        home.age_requests(22 * 60 * 60, 22 * 60 * 60)
        home.make_due()
        stripe.fault("delay_before", "POST", path, ms=4000)
        s = home.server()
        s.call_ok("get_token_balance")
        home.wait(s, lambda: any("status" not in r for r in stripe.requests("POST", path)))
        s.kill9()
        home.age_requests(DAY_S, 0)
        home.make_due()
        listed = len(stripe.requests("GET", path))
        with home.server() as s:
            s.call_ok("get_token_balance")
            home.wait(s, lambda: len(stripe.requests("GET", path)) > listed)
            s.call_ok("get_token_balance")
        assert [p[0] for p in home.payments()] == [SUBMITTED], home.payments()
        assert stripe.objects("charge") == []
        while not stripe.objects("charge"):
            time.sleep(0.05)
        home.make_due()
        with home.server() as s:
            s.call_ok("get_token_balance")
            home.settled_balance(s, 2000)
        home.check_books()


main()
