#!/usr/bin/env python3
"""Auto-reload by Stripe: how much, how often, and when it stops."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import AT_ONCE_S, main  # noqa: E402
from stripe_double import Stripe  # noqa: E402
from stripe_till import FAILED, SUCCEEDED, Till  # noqa: E402

INTENTS = "/v1/payment_intents"


def shop(stripe):
    return Till(stripe, starter=100)


def switch_on(s, threshold=1000, usd=5, enabled=True):
    s.call_ok("set_auto_reload",
              {"enabled": enabled, "threshold_tokens": threshold, "topup_usd": usd})


def reload_of(s):
    return s.call_ok("get_token_balance")["auto_reload"]


def charges(stripe):
    return [c["amount"] for c in stripe.objects("charge") if c["status"] == "succeeded"]


def warm(home):
    """As if the pause between two reloads were over. No farebox runs."""
    home.change("UPDATE reload SET not_before_ms = 0")


def trouble(home, behaviour, tries=1):
    """Reloads with such a card, one process a try; what the balance says in the end."""
    said = None
    for n in range(tries):
        with home.server() as s:
            if n == 0:
                card = home.save_card(s)
                home.stripe.behave(card, behaviour)
                switch_on(s)
            else:
                warm(home)
                s.call("now", {"n": n})
            home.wait(s, lambda: len(home.payments()) == n + 1
                      and all(p[0] == FAILED for p in home.payments()))
            said = reload_of(s)
    return said


def test_one_charge_closes_the_gap():
    with Stripe() as stripe, shop(stripe) as home, home.server() as s:
        home.save_card(s)
        switch_on(s, threshold=1000, usd=5)
        home.settled_balance(s, 1100)
        assert charges(stripe) == [1000], "two steps of 5 in one charge"
        sent = stripe.requests("POST", INTENTS)
        assert len(sent) == 1 and sent[0]["params"]["off_session"] in (True, "true"), sent
        assert reload_of(s) == {"enabled": True, "last_error": None}
        assert [i["type"] for i in s.call_ok("list_invoices")["items"]] == ["charge"]
        home.check_books()


def test_reloads_are_a_minute_apart():
    with Stripe() as stripe, shop(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            switch_on(s, threshold=150, usd=5)
            home.settled_balance(s, 600)
            s.call("dear")
            assert s.balance() == 100
            assert len(home.payments()) == 1
        warm(home)
        with home.server() as s:
            s.call("now")
            home.settled_balance(s, 599)
        home.check_books()


def test_one_reload_in_flight_over_two_processes():
    with Stripe() as stripe, shop(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            # No room for anything yet.
            s.call_ok("set_billing_preferences", {"budget_limit": 0})
            switch_on(s, threshold=1000, usd=10)
        stripe.fault("delay_after", "POST", INTENTS, ms=700)
        with home.server() as a, home.server() as b:
            a.call_ok("set_billing_preferences", {"budget_limit": None})
            ids = [(s, s.send_call("now", {"n": n})) for n in range(20) for s in (a, b)]
            for s, id in ids:
                assert not s.wait(id).get("isError")
            home.settled_balance(a, 1060)
            assert b.balance() == 1060
        assert charges(stripe) == [1000]
        home.check_books()


def test_three_declines_switch_it_off():
    with Stripe() as stripe, shop(stripe) as home:
        said = trouble(home, "insufficient_funds", tries=2)
        assert said["enabled"] is True and "insufficient_funds" in said["last_error"], said
        assert "not before" in said["last_error"] and ".;" not in said["last_error"], said
        # Off by hand, and on again: it says what is so, not what was.
        with home.server() as s:
            switch_on(s, enabled=False)
            said = reload_of(s)["last_error"]
            assert said.endswith("auto-reload is switched off") and "not before" not in said, said
            switch_on(s)
            assert "not before" in reload_of(s)["last_error"], reload_of(s)
        warm(home)
        with home.server() as s:
            s.call("now", {"n": 9})
            home.wait(s, lambda: not reload_of(s)["enabled"])
            assert "switched off" in reload_of(s)["last_error"]
            assert len(home.payments()) == 3
        warm(home)
        with home.server() as s:
            s.call("now", {"n": 10})
            assert s.call_ok("get_billing_preferences")["auto_reload_enabled"] is False
            assert len(home.payments()) == 3
            switch_on(s)
            said = reload_of(s)["last_error"]
            assert "insufficient_funds" in said and "switched off" not in said, said
        assert charges(stripe) == []
        home.ledger_verify()


def test_decline_that_a_webhook_tells_counts_like_another():
    with Stripe() as stripe, shop(stripe) as home:
        trouble(home, "insufficient_funds", tries=2)
        warm(home)
        s = home.server()
        stripe.fault("delay_after", "POST", INTENTS, ms=5000)
        before = len(stripe.requests("POST", INTENTS))
        s.call("now", {"n": 9})
        home.wait(s, lambda: len(stripe.events("payment_intent.payment_failed")) == 3)
        assert len(stripe.requests("POST", INTENTS)) == before + 1
        s.kill9()
        stripe.clear_faults()
        home.webhook(stripe.events("payment_intent.payment_failed")[-1])
        assert [p[0] for p in home.payments()] == [FAILED] * 3, home.payments()
        with home.server() as s:
            assert reload_of(s)["enabled"] is False, "the third decline"


def check_final(behaviour, word):
    with Stripe() as stripe, shop(stripe) as home:
        said = trouble(home, behaviour)
        assert said["enabled"] is False and word in said["last_error"], said
        with home.server() as s:
            assert s.call_ok("get_billing_preferences")["auto_reload_enabled"] is False
            assert stripe.objects("checkout.session") == [], "nobody is there to pay"
            # Who switches it on again, with another card, gets all tries again.
            stripe.add_card(home.customer(), "ok", default=True)
        warm(home)
        with home.server() as s:
            switch_on(s)
            home.settled_balance(s, 1100)
            assert reload_of(s) == {"enabled": True, "last_error": None}
        home.check_books()


def test_authentication_required_switches_off_at_once():
    check_final("authentication_required", "authentication_required")


def test_requires_action_switches_off_at_once():
    check_final("requires_action", "authentication_required")


def test_lost_card_switches_off_at_once():
    check_final("lost_card", "lost_card")


def test_no_saved_card_switches_off_and_says_so():
    with Stripe() as stripe, shop(stripe) as home, home.server() as s:
        switch_on(s)
        home.wait(s, lambda: not reload_of(s)["enabled"])
        assert "no saved card" in reload_of(s)["last_error"]
        assert charges(stripe) == []


def test_outage_is_no_decline_and_ends_in_one_charge():
    with Stripe() as stripe, shop(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            stripe.fault("error_before", "POST", INTENTS, count=1000, should_retry="false")
            switch_on(s)
            home.wait(s, lambda: len(stripe.requests("POST", INTENTS)) >= 1)
            s.call("now")
            assert reload_of(s)["enabled"] is True
        stripe.clear_faults()
        home.make_due()
        with home.server() as s:
            home.settled_balance(s, 1099)
            assert reload_of(s) == {"enabled": True, "last_error": None}
        assert charges(stripe) == [1000] and home.query("SELECT declines FROM reload") == [(0,)]
        home.check_books()


def test_wrong_key_is_no_decline():
    with Stripe() as stripe, shop(stripe) as home:
        with home.server(env={"STRIPE_SECRET_KEY": "sk_test_wrong"}) as s:
            switch_on(s)
            home.wait(s, lambda: reload_of(s)["last_error"])
            assert reload_of(s)["enabled"] is True, reload_of(s)
        assert home.query("SELECT declines FROM reload") == [(0,)]


def test_budget_bounds_reloads_and_no_purchases():
    with Stripe() as stripe, shop(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            s.call_ok("set_billing_preferences", {"budget_limit": 12})
            switch_on(s, threshold=5000, usd=5)
            home.settled_balance(s, 1100)
        warm(home)
        with home.server() as s:
            s.call("now")
            assert s.call_ok("buy_tokens", {"amount_usd": 20})["balance_tokens"] == 3099
            assert charges(stripe) == [1000, 2000], "the rest of the budget is no whole step"
            s.call_ok("set_billing_preferences", {"budget_limit": 15})
            home.settled_balance(s, 3599)
        home.check_books()


def test_reload_is_at_most_500_usd():
    with Stripe() as stripe, shop(stripe) as home, home.server() as s:
        home.save_card(s)
        switch_on(s, threshold=1000000, usd=300)
        home.settled_balance(s, 30100)
        assert charges(stripe) == [30000]
        home.check_books()


def test_refused_call_does_not_wait_for_the_reload():
    with Stripe() as stripe, shop(stripe) as home, home.server() as s:
        home.save_card(s)
        stripe.fault("delay_before", "POST", INTENTS, ms=12000)
        switch_on(s, threshold=150, usd=5)
        home.wait(s, lambda: home.payments())
        began = time.monotonic()
        s.call_error("dear", code="INSUFFICIENT_CREDITS")
        assert time.monotonic() - began < AT_ONCE_S
        home.settled_balance(s, 600)
        assert [p[0] for p in home.payments()] == [SUCCEEDED]
        home.check_books()


main()
