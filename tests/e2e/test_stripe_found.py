#!/usr/bin/env python3
"""An older copy of the store is put back: what was paid since is found at Stripe, and credited once,
or reported by its name."""

import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import main  # noqa: E402
from stripe_double import Stripe  # noqa: E402
from stripe_till import SUCCEEDED, Till  # noqa: E402


class Kept(Till):
    """A till with a card saved and nothing bought, whose store can be put back."""

    def __init__(self, stripe, **more):
        super().__init__(stripe, **more)
        with self.server() as s:
            self.save_card(s)

    def keep(self):
        self.copy = os.path.join(self.path, "copy.db")
        source, copy = sqlite3.connect(self.store), sqlite3.connect(self.copy)
        source.backup(copy)
        source.close()
        copy.close()

    def put_back(self):
        for end in ("-wal", "-shm"):
            if os.path.exists(self.store + end):
                os.unlink(self.store + end)
        with open(self.copy, "rb") as source, open(self.store, "wb") as store:
            store.write(source.read())

    def buy(self, usd=25):
        with self.server() as s:
            return s.call_ok("buy_tokens", {"amount_usd": usd})["payment_id"]

    def top_up(self, usd=20):
        with self.server() as s:
            s.call_ok("list_invoices")
            payment = s.call_ok("top_up_credits", {"amount_usd": usd})["payment_id"]
            self.stripe.pay_invoice(self.stripe.objects("invoice")[-1]["id"])
            self.settled_balance(s, usd * 100)
            return payment

    def looked(self, tokens):
        with self.server() as s:
            s.call_ok("list_invoices")
            self.settled_balance(s, tokens)

    def strays(self):
        return self.query("SELECT ref, amount_cents, reason FROM stray_money ORDER BY ref")


def intent(stripe):
    return [i for i in stripe.objects("payment_intent") if i["status"] == "succeeded"][-1]


def paid_event(stripe, kind="payment_intent.succeeded"):
    return stripe.events(kind)[-1]


def test_a_purchase_that_the_store_forgot_is_credited_once_by_a_look():
    with Stripe() as stripe, Kept(stripe) as home:
        home.keep()
        payment = home.buy()
        home.put_back()
        told = [c for c in home.cli("--json", "doctor", status=None).json()["checks"]
                if c["check"] == "stripe.unknown_money"]
        assert [c["status"] for c in told] == ["warn"], told
        assert "1 paid payment over $25.00" in told[0]["text"], told
        assert home.granted() == (0, 0)
        home.looked(2500)
        assert home.state_of(payment) == SUCCEEDED
        assert "unknown_money" not in home.cli("--json", "doctor", status=None).out
        home.looked(2500)
        home.webhook(paid_event(stripe))
        home.check_books()
        assert home.granted() == (1, 2500) and home.strays() == []


def test_a_purchase_that_the_store_forgot_is_credited_once_by_its_event():
    with Stripe() as stripe, Kept(stripe) as home:
        home.keep()
        home.buy()
        home.put_back()
        for _ in range(2):
            home.webhook(paid_event(stripe))
            assert home.granted() == (1, 2500)
        home.looked(2500)
        home.check_books()


def test_an_invoice_that_the_store_forgot_is_credited_without_its_fee():
    for by_event in (False, True):
        with Stripe() as stripe, Kept(stripe) as home:
            home.keep()
            payment = home.top_up()
            home.put_back()
            if by_event:
                home.webhook(paid_event(stripe, "invoice.paid"))
                assert home.granted() == (1, 2000)
            home.looked(2000)
            assert home.query("SELECT kind, fee_cents FROM payment") == [(2, 110)]
            assert home.state_of(payment) == SUCCEEDED
            home.check_books()


def test_a_page_that_was_paid_and_forgotten_is_credited():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            s.call_ok("billing_portal")
        Kept.keep(home)
        with home.server() as s:
            s.call_ok("buy_tokens", {"amount_usd": 30})
            sessions = stripe.objects("checkout.session")
            stripe.complete_session(sessions[0]["id"])
            home.settled_balance(s, 3000)
        Kept.put_back(home)
        Kept.looked(home, 3000)
        home.webhook(paid_event(stripe, "checkout.session.completed"))
        home.check_books()


def test_what_went_back_of_it_is_taken_back_in_proportion():
    with Stripe() as stripe, Kept(stripe) as home:
        home.keep()
        home.top_up()
        stripe.refund(stripe.objects("charge")[-1]["id"], 1055)
        home.put_back()
        home.looked(1000)
        home.ledger_verify()


def test_a_payment_of_an_org_that_is_not_here_is_reported_by_its_name_and_not_credited():
    with Stripe() as stripe, Kept(stripe) as home:
        home.buy()
        ref = intent(stripe)["id"]
        # Another store of the same account.
        home.env["FAREBOX_STORE"] = home.store = os.path.join(home.path, "other.db")
        for _ in range(2):
            with home.server() as s:
                s.call_ok("list_invoices")
                home.wait(s, lambda: home.strays())
                assert s.balance() == 0
        assert home.strays() == [(ref, 2500, "its org is not in this store")]
        home.webhook(paid_event(stripe))
        told = [c for c in home.cli("--json", "doctor", status=None).json()["checks"]
                if c["check"] == "stripe.unknown_money"]
        assert [c["status"] for c in told] == ["warn"] and ref in told[0]["text"], told
        assert "$25.00" in told[0]["text"] and "farebox grant" in told[0]["remedy"], told
        assert home.granted() == (0, 0)


def test_a_payment_over_another_sum_than_it_says_is_reported_and_not_credited():
    with Stripe() as stripe, Kept(stripe) as home:
        org = "org_" + home.query("SELECT hex(id) FROM org")[0][0].lower()
        stripe.post("/v1/payment_intents", "odd", {
            "amount": 2500, "currency": "usd", "customer": home.customer(), "confirm": True,
            "payment_method": stripe.add_card(home.customer())["id"], "off_session": True,
            "allowed_payment_method_types": ["card"],
            "metadata": {"purchase_id": "pay_01a22f82654470018bb3fe02bdaedee4", "org_id": org,
                         "credit_cents": "250000"}})
        one = intent(stripe)
        with home.server() as s:
            s.call_ok("list_invoices")
            home.wait(s, lambda: home.strays())
        assert home.strays() == [(one["id"], 2500, "what was paid is not what its metadata says")]
        assert home.granted() == (0, 0)


if __name__ == "__main__":
    main()
