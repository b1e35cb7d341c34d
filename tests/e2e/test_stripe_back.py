#!/usr/bin/env python3
"""Money that goes back by Stripe, and comes again: refunds, disputes, the list of both, webhooks."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import main  # noqa: E402
from stripe_double import Stripe  # noqa: E402
from stripe_till import DISPUTED, REFUNDED, SUCCEEDED, Till  # noqa: E402


class Sold(Till):
    """A till with one purchase of 20 USD, or one top-up of 20 and its fee of 1.10."""

    def buy(self, usd=20):
        with self.server() as s:
            if not self.stripe.objects("customer"):
                self.save_card(s)
            self.payment = s.call_ok("buy_tokens", {"amount_usd": usd})["payment_id"]
        return self.charge()

    def top_up(self, usd=20):
        with self.server() as s:
            s.call_ok("list_invoices")
            before = s.balance()
            self.payment = s.call_ok("top_up_credits", {"amount_usd": usd})["payment_id"]
            self.stripe.pay_invoice(self.stripe.objects("invoice")[-1]["id"])
            self.settled_balance(s, before + usd * 100)
        return self.charge()

    def charge(self):
        return self.stripe.objects("charge")[-1]["id"]

    def check_back(self, tokens, state):
        assert self.balance_after_look() == tokens
        assert self.state_of(self.payment) == state
        self.check_books()


def test_partial_refunds_take_their_share_each():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.buy()
        stripe.refund(charge, 500)
        home.check_back(1500, SUCCEEDED)
        stripe.refund(charge, 333)
        home.check_back(1167, SUCCEEDED)
        stripe.refund(charge)
        home.check_back(0, REFUNDED)
        home.check_back(0, REFUNDED)


def test_more_refunds_than_are_read_at_once_are_read_one_look_after_the_other():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.buy()
        for _ in range(1001):
            stripe.refund(charge, 1)
        with home.server() as s:
            s.call_ok("list_invoices")
            home.settled_balance(s, 999)
            home.wait(s, lambda: home.query("SELECT pass_since_ms, seen_ms > 0 FROM poller")
                      == [(0, 1)])
        home.check_books()


def test_a_notice_of_a_charge_with_more_refunds_than_are_read_at_once_takes_all():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.buy()
        for _ in range(1001):
            stripe.refund(charge, 1)
        home.webhook(stripe.events("charge.refunded")[-1])
        assert home.query("SELECT taken_microusd FROM payment") == [(1001 * 10000,)]
        home.check_books()


def foreign_refunds(stripe, count):
    """Of the same account, and none of ours."""
    customer = stripe.post("/v1/customers", "other", {"email": "other@example.com"})["id"]
    stripe.post("/v1/payment_intents", "other-pay", {
        "amount": 10 * count, "currency": "usd", "customer": customer, "confirm": True,
        "payment_method": stripe.add_card(customer)["id"], "off_session": True,
        "allowed_payment_method_types": ["card"]})
    charge = stripe.objects("charge")[-1]["id"]
    for _ in range(count):
        stripe.refund(charge, 10)


def test_a_long_list_is_read_on_by_the_next_process_where_a_killed_one_stopped():
    with Stripe() as stripe, Sold(stripe) as home:
        stripe.refund(home.buy(), 700)
        foreign_refunds(stripe, 2100)
        s = home.server()
        s.call_ok("get_token_balance")
        home.wait(s, lambda: home.query("SELECT 1 FROM poller "
                                        "WHERE pass_after IS NOT NULL AND until_ms = 0"))
        s.kill9()
        place = home.query("SELECT pass_after FROM poller")[0][0]
        heard = len(stripe.requests("GET", "/v1/refunds"))
        home.make_due()
        with home.server() as s:
            s.call_ok("get_token_balance")
            home.wait(s, lambda: place in [r["params"].get("starting_after") for r in
                                           stripe.requests("GET", "/v1/refunds")[heard:]])
            home.wait(s, lambda: s.balance() == 1300, pause=0.2)


def test_a_place_that_is_gone_begins_the_list_again():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.buy()
        stripe.refund(charge, 500)
        home.check_back(1500, SUCCEEDED)
        stripe.refund(charge, 200)
        home.change("UPDATE poller SET pass_since_ms = 1000, pass_seen_ms = 1000, "
                    "pass_after = 're_gone', next_ms = 0")
        with home.server() as s:
            s.call_ok("get_token_balance")
            home.wait(s, lambda: b"event=reversals_not_read" in s.err)
            home.wait(s, lambda: home.query("SELECT pass_after FROM poller") == [(None,)])
        home.make_due()
        with home.server() as s:
            s.call_ok("get_token_balance")
            home.wait(s, lambda: s.balance() == 1300, pause=0.2)


def test_refund_of_an_invoice_that_was_paid_without_an_intent_is_found_by_its_charge():
    with Stripe() as stripe, Sold(stripe) as home:
        with home.server() as s:
            home.payment = s.call_ok("top_up_credits", {"amount_usd": 20})["payment_id"]
            stripe.pay_invoice(stripe.objects("invoice")[-1]["id"])
            stripe.control("charges/without_intent", charge=home.charge())
            home.settled_balance(s, 2000)
        refund = stripe.refund(home.charge(), 1055)
        assert refund["payment_intent"] is None, refund
        assert home.balance_after_look() == 1000
        stripe.refund(home.charge())
        events = stripe.events("charge.refunded")
        home.webhook(events[-1])
        assert home.state_of(home.payment) == REFUNDED
        assert home.balance_after_look() == 0
        home.ledger_verify()


def test_refund_of_a_fee_bearing_invoice_takes_the_credit_and_not_the_fee():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.top_up()
        stripe.refund(charge, 1055)
        home.check_back(1000, SUCCEEDED)
        stripe.refund(charge)
        home.check_back(0, REFUNDED)


def test_failed_refund_gives_back():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.buy()
        refund = stripe.refund(charge, 700, status="pending")["id"]
        home.check_back(1300, SUCCEEDED)
        stripe.control("refunds/settle", refund=refund, good=False)
        home.check_back(2000, SUCCEEDED)
        # One that had succeeded may fail, too.
        refund = stripe.refund(charge)["id"]
        home.check_back(0, REFUNDED)
        stripe.control("refunds/settle", refund=refund, good=False)
        home.check_back(2000, SUCCEEDED)


def test_dispute_takes_all_and_gives_it_back_when_won():
    with Stripe() as stripe, Sold(stripe) as home:
        dispute = stripe.dispute(home.top_up())["id"]
        home.check_back(0, DISPUTED)
        stripe.close_dispute(dispute, True)
        home.check_back(2000, SUCCEEDED)


def test_lost_dispute_stays_taken():
    with Stripe() as stripe, Sold(stripe) as home:
        dispute = stripe.dispute(home.buy())["id"]
        stripe.close_dispute(dispute, False)
        home.check_back(0, DISPUTED)


def test_inquiry_moves_nothing_until_it_escalates():
    with Stripe() as stripe, Sold(stripe) as home:
        dispute = stripe.dispute(home.buy(), inquiry=True)["id"]
        home.check_back(2000, SUCCEEDED)
        stripe.control("disputes/escalate", dispute=dispute)
        home.check_back(0, DISPUTED)
        stripe.close_dispute(dispute, True)
        home.check_back(2000, SUCCEEDED)


def test_dispute_after_a_refund_takes_no_more_than_was_granted():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.buy()
        stripe.refund(charge, 1500)
        dispute = stripe.dispute(charge)["id"]
        home.check_back(0, DISPUTED)
        stripe.close_dispute(dispute, True)
        home.check_back(500, SUCCEEDED)


def test_debt_refuses_paid_calls_until_a_purchase_covers_it():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.buy()
        with home.server() as s:
            for n in range(3):
                assert not s.call("dear", {"n": n}).get("isError")
            assert s.balance() == 500
        stripe.refund(charge)
        assert home.balance_after_look() == -1500
        with home.server() as s:
            error = s.call_error("now", code="INSUFFICIENT_CREDITS")
            assert error["available_tokens"] == -1500, error
            assert s.call_ok("buy_tokens", {"amount_usd": 15})["balance_tokens"] == 0
            s.call_error("now", code="INSUFFICIENT_CREDITS")
            assert s.call_ok("buy_tokens", {"amount_usd": 5})["balance_tokens"] == 500
            assert not s.call("now").get("isError")
        home.check_books()


def test_what_went_back_before_we_knew_of_the_payment_is_taken():
    with Stripe() as stripe, Sold(stripe) as home:
        with home.server() as s:
            got = s.call_ok("buy_tokens", {"amount_usd": 20})
        stripe.complete_session(stripe.objects("checkout.session")[0]["id"])
        stripe.refund(stripe.objects("charge")[0]["id"], 500)
        home.payment = got["payment_id"]
        home.make_due()
        with home.server() as s:
            home.settled_balance(s, 1500)
        assert home.state_of(home.payment) == SUCCEEDED
        home.check_books()


def test_list_has_all_kinds_newest_first_in_pages():
    with Stripe() as stripe, Sold(stripe) as home:
        charge = home.buy()
        refunds = [stripe.refund(charge, 100 + n)["id"] for n in range(3)]
        invoiced = home.top_up()
        dispute = stripe.dispute(invoiced)["id"]
        with home.server() as s:
            whole = s.call_ok("list_invoices")
            assert whole["next_cursor"] is None
            items = whole["items"]
            kinds = [i["type"] for i in items]
            assert sorted(kinds) == ["charge", "dispute"] + ["invoice"] + ["refund"] * 3, items
            assert kinds.index("dispute") < kinds.index("invoice"), kinds
            assert kinds[-1] == "charge", "what went back is newer than what was paid"
            by_id = {i["id"]: i for i in items}
            assert [by_id[r]["amount_usd"] for r in refunds] == [1, 1.01, 1.02], items
            assert by_id[dispute]["amount_usd"] == 21.1 and by_id[dispute]["status"]
            paged, cursor = [], None
            for _ in range(len(items)):
                page = s.call_ok("list_invoices", {"limit": 1, **({"cursor": cursor} if cursor
                                                                  else {})})
                paged += page["items"]
                cursor = page["next_cursor"]
            assert cursor is None and paged == items, (paged, items)
            s.call_error("list_invoices", {"cursor": "nonsense"}, code="INVALID_ARGUMENTS")


def test_charge_of_a_stranger_changes_nothing():
    with Stripe() as stripe, Sold(stripe) as home:
        home.buy()
        other = stripe.post("/v1/payment_intents", "other", {
            "amount": 700, "currency": "usd", "customer": home.customer(),
            "payment_method": stripe.add_card(home.customer())["id"], "off_session": True,
            "confirm": True, "allowed_payment_method_types": ["card"]})
        stripe.refund(other["latest_charge"])
        assert home.balance_after_look() == 2000
        for event in stripe.events("charge.refunded", "payment_intent.succeeded"):
            home.webhook(event)
        assert home.balance_after_look() == 2000
        home.ledger_verify()


def test_events_shuffled_doubled_and_late_come_to_the_same():
    with Stripe() as stripe, Sold(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            s.call_ok("buy_tokens", {"amount_usd": 20})
            s.call_ok("top_up_credits", {"amount_usd": 20})
        stripe.pay_invoice(stripe.objects("invoice")[0]["id"])
        first, second = (c["id"] for c in stripe.objects("charge"))
        stripe.refund(first, 500)
        stripe.refund(first, 300)
        dispute = stripe.dispute(second)["id"]
        stripe.close_dispute(dispute, True)
        stripe.refund(second, 1055)
        wanted = 2000 - 800 + 2000 - 1000
        events = [e for e in stripe.events() if e["type"].split(".")[0] in
                  ("payment_intent", "invoice", "charge", "refund")]
        rng = random.Random(7)
        events = rng.sample(events, 9)
        rng.shuffle(events)
        for event in events:
            home.webhook(event)
        home.webhook(events[0])
        assert home.balance_after_look() == wanted
        home.check_books()


main()
