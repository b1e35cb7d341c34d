#!/usr/bin/env python3
"""Top-ups whose invoice goes another way than planned: refused, written off, changed by others."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import content_of, error_of, main  # noqa: E402
from stripe_double import Stripe  # noqa: E402
from stripe_till import CANCELLED, OPEN, Till  # noqa: E402

INVOICES = "/v1/invoices"


def invoice_of(stripe):
    return stripe.objects("invoice")[-1]


def test_address_that_stripe_refuses_can_be_corrected():
    # What was refused under the customer's key is refused for ever; the correction is not.
    with Stripe() as stripe, Till(stripe, email="owner@example") as home:
        with home.server() as s:
            for _ in range(2):
                error = s.call_error("top_up_credits", {"amount_usd": 20}, code="INVALID_ARGUMENTS")
                assert "owner@example" in error["message"], error
        assert len({r["key"] for r in stripe.requests("POST", "/v1/customers")}) == 1
        home.configure({"org": {"starter_tokens": 0, "email": "owner@example.com"}})
        with home.server() as s:
            assert s.call_ok("top_up_credits", {"amount_usd": 20})["status"] == "open"
        assert [c["email"] for c in stripe.objects("customer")] == ["owner@example.com"]


def test_top_up_that_was_written_off_can_still_be_paid():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            s.call_ok("top_up_credits", {"amount_usd": 20})
            got = s.call_ok("top_up_credits", {"amount_usd": 30})
            for i in stripe.objects("invoice"):
                stripe.post("%s/%s/mark_uncollectible" % (INVOICES, i["id"]), "off-" + i["id"])
            assert s.balance() == 0 and home.state_of(got["payment_id"]) == OPEN
            stripe.pay_invoice(stripe.objects("invoice")[0]["id"])
            home.settled_balance(s, 2000)
        home.make_recent_old(24 * 3600 + 1)
        with home.server() as s:
            s.balance()
            home.wait_state(s, got["payment_id"], CANCELLED)
        assert [i["status"] for i in stripe.objects("invoice")] == ["paid", "void"]
        home.check_books()


def send_top_up(stripe, home, s):
    """(request, invoice): both lines are there, and its finalizing waits."""
    stripe.fault("delay_before", "POST", INVOICES + "/", ms=1500)
    request = s.send_call("top_up_credits", {"amount_usd": 20})
    home.wait(s, lambda: any(i["total"] == 2110 for i in stripe.objects("invoice")))
    return request, invoice_of(stripe)["id"]


def test_invoice_that_is_finalized_already_is_taken_as_it_is():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        request, invoice = send_top_up(stripe, home, s)
        stripe.clear_faults()
        stripe.post("%s/%s/finalize" % (INVOICES, invoice), "dashboard")
        got = content_of("top_up_credits", s.wait(request))
        assert got["status"] == "open" and got["url"] == invoice_of(stripe)["hosted_invoice_url"]
        stripe.pay_invoice(invoice)
        home.settled_balance(s, 2000)
        home.check_books()


def test_page_of_an_invoice_over_another_sum_is_shown_to_nobody():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        request, invoice = send_top_up(stripe, home, s)
        stripe.post("/v1/invoiceitems", "dashboard", {
            "customer": home.customer(), "invoice": invoice, "amount": 1, "currency": "usd"})
        # What it was finalized to is not answered under the key.
        stripe.fault("error_after", "POST", INVOICES + "/")
        error = error_of(s.wait(request))
        assert error["code"] == "INVALID_ARGUMENTS" and "another sum" in error["message"], error
        assert invoice_of(stripe)["status"] == "void"


main()
