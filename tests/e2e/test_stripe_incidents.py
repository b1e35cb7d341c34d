#!/usr/bin/env python3
"""What went wrong elsewhere, by the thread that tells of it: owner, repository's number, rule."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import binary, main  # noqa: E402
from stripe_double import Stripe  # noqa: E402
from stripe_till import DISPUTED, FAILED, SUCCEEDED, Till  # noqa: E402

INTENTS = "/v1/payment_intents"


def page_to_pay(home):
    """A purchase without a card, paid at its page; nobody has looked yet."""
    with home.server() as s:
        got = s.call_ok("buy_tokens", {"amount_usd": 20})
    home.stripe.complete_session(home.stripe.objects("checkout.session")[-1]["id"], save=True)
    return got["payment_id"]


def top_up_to_pay(home, usd=20):
    with home.server() as s:
        got = s.call_ok("top_up_credits", {"amount_usd": usd})
    home.stripe.pay_invoice(home.stripe.objects("invoice")[-1]["id"])
    return got["payment_id"]


def one(home, type):
    events = home.stripe.events(type)
    assert len(events) == 1, [e["type"] for e in home.stripe.events()]
    return events[0]


def test_opencode_28402_duplicate_webhook_grants_once():
    # Delivered three times, for a top-up by hand and for a reload.
    with Stripe() as stripe, Till(stripe) as home:
        top_up_to_pay(home)
        for _ in range(3):
            home.webhook(one(home, "invoice.paid"))
        assert home.granted() == (1, 2000)
        with home.server() as s:
            stripe.add_card(home.customer())
            s.call_ok("set_auto_reload",
                      {"enabled": True, "threshold_tokens": 2100, "topup_usd": 5})
            home.settled_balance(s, 2500)
        for event in stripe.events("payment_intent.succeeded") * 2:
            home.webhook(event)
        assert home.granted() == (2, 2500)
        home.check_books()


def test_pollinations_11522_parallel_deliveries_grant_once():
    with Stripe() as stripe, Till(stripe) as home:
        page_to_pay(home)
        event = one(home, "checkout.session.completed")
        path = os.path.join(home.path, "event.json")
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(event["payload"])
        argv = [binary(), "webhook", "apply", "--signature", stripe.sign(event["payload"]), path]
        runs = [subprocess.Popen(argv, env=home.environment(), stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT) for _ in range(4)]
        for run in runs:
            out, _ = run.communicate(timeout=60)
            assert run.returncode == 0, out.decode()
        assert home.granted() == (1, 2000)
        home.check_books()


def test_librechat_13812_failed_credit_is_retried():
    # A delivery that could not be credited is not remembered as seen.
    with Stripe() as stripe, Till(stripe) as home:
        payment = top_up_to_pay(home)
        stripe.fault("error_before", "GET", "/v1/invoices", count=9, should_retry="false")
        home.webhook(one(home, "invoice.paid"), status=1)
        assert home.granted() == (0, 0)
        stripe.clear_faults()
        home.webhook(one(home, "invoice.paid"))
        assert home.granted() == (1, 2000) and home.state_of(payment) == SUCCEEDED
        home.check_books()


def test_sokosumi_1846_several_events_for_one_payment_grant_once():
    with Stripe() as stripe, Till(stripe) as home:
        page_to_pay(home)
        for type in ("payment_intent.succeeded", "checkout.session.completed", "charge.succeeded"):
            home.webhook(one(home, type))
        top_up_to_pay(home)
        for type in ("invoice.payment_succeeded", "invoice.paid"):
            home.webhook(one(home, type))
        for event in stripe.events("payment_intent.succeeded", "charge.succeeded"):
            home.webhook(event)
        assert home.granted() == (2, 4000)
        home.check_books()


def test_sokosumi_3120_same_fact_under_another_event_id_grants_once():
    with Stripe() as stripe, Till(stripe) as home:
        top_up_to_pay(home)
        event = one(home, "invoice.paid")
        home.webhook(event)
        copy = stripe.control("events/copy", event=event["id"])["id"]
        other = [e for e in stripe.events("invoice.paid") if e["id"] == copy]
        home.webhook(other[0])
        assert home.granted() == (1, 2000)
        home.check_books()


def test_capgo_1483_paid_and_never_redirected_is_credited():
    # No return to our page, no webhook, no question for the balance: the next start finds it.
    with Stripe() as stripe, Till(stripe) as home:
        payment = page_to_pay(home)
        with home.server() as s:
            s.call_ok("get_usage")
            home.wait_state(s, payment, SUCCEEDED)
        assert home.granted() == (1, 2000)
        home.check_books()


def test_akash_3449_retry_of_a_slow_purchase_charges_once():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            stripe.fault("delay_after", "POST", INTENTS, ms=1200)
            ids = [s.send_call("buy_tokens", {"amount_usd": 20})]
            home.wait(s, lambda: stripe.requests("POST", INTENTS))
            # The client has lost its patience, and so has another process of it.
            ids.append(s.send_call("buy_tokens", {"amount_usd": 20}))
            with home.server() as other:
                theirs = other.call_ok("buy_tokens", {"amount_usd": 20})
            ours = [s.wait(id)["structuredContent"] for id in ids]
        assert len({r["payment_id"] for r in ours + [theirs]}) == 1, (ours, theirs)
        assert [r["replayed"] for r in ours] == [False, True] and theirs["replayed"] is True
        assert home.granted() == (1, 2000)
        home.check_books()


def test_akash_3809_intent_that_wants_its_owner_is_no_success_and_not_repeated():
    with Stripe() as stripe, Till(stripe, starter=100) as home:
        with home.server() as s:
            home.save_card(s, "requires_action")
            s.call_ok("set_auto_reload",
                      {"enabled": True, "threshold_tokens": 1000, "topup_usd": 20})
            home.wait(s, lambda: not s.call_ok("get_token_balance")["auto_reload"]["enabled"])
        home.change("UPDATE reload SET not_before_ms = 0")
        with home.server() as s:
            for n in range(5):
                s.call("now", {"n": n})
            assert s.balance() == 95
        assert [i["status"] for i in stripe.objects("payment_intent")] == ["canceled"]
        assert home.granted() == (0, 0)


def test_openstory_1334_declined_reload_is_not_tried_at_each_call():
    # 20 declines in 8 minutes: here one an hour, whatever is called by however many.
    with Stripe() as stripe, Till(stripe, starter=100) as home:
        with home.server() as a, home.server() as b:
            home.save_card(a, "insufficient_funds")
            a.call_ok("set_auto_reload",
                      {"enabled": True, "threshold_tokens": 1000, "topup_usd": 20})
            ids = [(s, s.send_call("now", {"n": n})) for n in range(20) for s in (a, b)]
            for s, id in ids:
                s.wait(id)
            home.wait(a, lambda: [p[0] for p in home.payments()] == [FAILED])
            a.call("now", {"n": 99})
            b.call("now", {"n": 98})
        assert [c["status"] for c in stripe.objects("charge")] == ["failed"]
        assert len({r["key"] for r in stripe.requests("POST", INTENTS)}) == 1


def test_lago_5870_duplicate_top_ups_are_one_invoice():
    with Stripe() as stripe, Till(stripe) as home, home.server() as a, home.server() as b:
        ids = [(s, s.send_call("top_up_credits", {"amount_usd": 20})) for s in (a, b, a, b)]
        got = [s.wait(id, 60)["structuredContent"] for s, id in ids]
        assert len({g["payment_id"] for g in got}) == len({g["url"] for g in got}) == 1, got
        assert len(stripe.objects("invoice")) == len(stripe.objects("customer")) == 1


def test_octopusreview_630_refund_of_an_off_session_charge_is_deducted():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            s.call_ok("buy_tokens", {"amount_usd": 20})
        stripe.refund(stripe.objects("charge")[0]["id"], 500)
        home.webhook(one(home, "charge.refunded"))
        with home.server() as s:
            assert s.balance() == 1500
        home.check_books()


def test_elizaos_10938_cumulative_refund_events_deduct_the_difference():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            s.call_ok("buy_tokens", {"amount_usd": 20})
        charge = stripe.objects("charge")[0]["id"]
        stripe.refund(charge, 500)
        stripe.refund(charge, 700)
        # charge.refunded says 500, then 1200; told last first, and again.
        events = stripe.events("charge.refunded")
        for event in (events[1], events[0], events[1]):
            home.webhook(event)
        with home.server() as s:
            assert s.balance() == 800
        home.check_books()


def test_elizaos_11017_refund_with_fee_takes_no_more_than_the_credit():
    with Stripe() as stripe, Till(stripe) as home:
        top_up_to_pay(home, 10)
        home.webhook(one(home, "invoice.paid"))
        charge = stripe.objects("charge")[0]
        assert charge["amount"] == 1080
        stripe.refund(charge["id"])
        home.webhook(one(home, "charge.refunded"))
        with home.server() as s:
            assert s.balance() == 0
        home.check_books()


def test_elizaos_10997_withdrawn_funds_come_back_and_count_in_later_refunds():
    with Stripe() as stripe, Till(stripe) as home:
        payment = top_up_to_pay(home)
        home.webhook(one(home, "invoice.paid"))
        charge = stripe.objects("charge")[0]["id"]
        dispute = stripe.dispute(charge)["id"]
        home.webhook(one(home, "charge.dispute.funds_withdrawn"))
        assert home.state_of(payment) == DISPUTED
        stripe.close_dispute(dispute, True)
        home.webhook(one(home, "charge.dispute.funds_reinstated"))
        home.webhook(one(home, "charge.dispute.created"))
        assert home.state_of(payment) == SUCCEEDED
        stripe.refund(charge)
        home.webhook(one(home, "charge.refunded"))
        with home.server() as s:
            assert s.balance() == 0
        home.check_books()


def test_polar_13315_late_event_does_not_downgrade():
    # The first card at the page was declined, the second paid; told the other way round.
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            payment = s.call_ok("buy_tokens", {"amount_usd": 20})["payment_id"]
        session = stripe.objects("checkout.session")[0]["id"]
        stripe.complete_session(session, "generic_decline")
        stripe.complete_session(session)
        home.webhook(one(home, "checkout.session.completed"))
        home.webhook(one(home, "payment_intent.payment_failed"))
        assert home.state_of(payment) == SUCCEEDED and home.granted() == (1, 2000)
        home.check_books()


def test_x402_3438_answer_lost_after_the_charge_is_one_purchase():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
        stripe.fault("delay_after", "POST", INTENTS, ms=600)
        s = home.server()
        s.send_call("buy_tokens", {"amount_usd": 20})
        while not stripe.objects("charge"):
            time.sleep(0.005)
        s.kill9()
        home.make_due()
        # The client knows nothing, and asks a fresh process, without a key.
        with home.server() as s:
            got = s.call_ok("buy_tokens", {"amount_usd": 20})
            assert got["status"] == "succeeded" and got["replayed"] is True, got
            assert got["balance_tokens"] == 2000, got
        home.check_books()


main()
