#!/usr/bin/env python3
"""Money in by Stripe: buying with and without a saved card, top-ups, the portal, outages.

What goes back stands in test_stripe_back.py, auto-reload in test_stripe_reload.py, kills in
fault/test_stripe_kill.py.
"""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import binary, echo_tool, error_of, main  # noqa: E402
from stripe_double import RESTRICTED_KEY, SECRET_KEY, Stripe  # noqa: E402
from stripe_till import (CANCELLED, FAILED, OPEN, REQUIRES_ACTION, SUCCEEDED, Till)  # noqa: E402

INTENTS, SESSIONS, INVOICES = "/v1/payment_intents", "/v1/checkout/sessions", "/v1/invoices"


def session_of(stripe):
    return stripe.objects("checkout.session")[-1]


def test_saved_card_is_charged_at_once_and_once():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        card = home.save_card(s)
        got = s.call_ok("buy_tokens", {"amount_usd": 25})
        assert (got["status"], got["tokens"], got["balance_tokens"]) == ("succeeded", 2500, 2500), got
        assert got["replayed"] is False and "sandbox" not in got, got
        again = s.call_ok("buy_tokens", {"amount_usd": 25})
        assert again == {**got, "replayed": True}, again
        sent = stripe.requests("POST", INTENTS)
        assert len(sent) == 1 and sent[0]["params"]["payment_method"] == card, sent
        assert sent[0]["key"] == got["payment_id"], sent
        assert s.call_ok("buy_tokens", {"amount_usd": 30})["balance_tokens"] == 5500
        home.check_books()


def test_default_card_is_taken_before_a_newer_one():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        card = home.save_card(s, default=True)
        stripe.add_card(home.customer(), "lost_card")
        assert s.call_ok("buy_tokens", {"amount_usd": 5})["status"] == "succeeded"
        assert stripe.requests("POST", INTENTS)[0]["params"]["payment_method"] == card


def test_without_a_card_a_page_is_paid_and_saves_it():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        got = s.call_ok("buy_tokens", {"amount_usd": 10})
        assert got["status"] == "requires_payment" and got["payment_id"].startswith("pay_"), got
        assert got["url"] == session_of(stripe)["url"], got
        assert s.balance() == 0
        # The same again is the same page.
        assert s.call_ok("buy_tokens", {"amount_usd": 10}) == got
        assert s.call_ok("list_invoices")["items"][0]["url"] == got["url"]
        stripe.complete_session(session_of(stripe)["id"], save=True)
        home.settled_balance(s, 1000)
        assert s.call_ok("list_invoices")["items"][0]["url"] is None
        assert s.call_ok("buy_tokens", {"amount_usd": 10})["replayed"] is True
        assert s.call_ok("buy_tokens", {"amount_usd": 7})["balance_tokens"] == 1700
        assert len(stripe.objects("checkout.session")) == 1
        home.check_books()


def test_paid_page_is_seen_by_who_buys_again_without_asking_for_the_balance():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        s.call_ok("buy_tokens", {"amount_usd": 10})
        stripe.complete_session(session_of(stripe)["id"], save=True)
        got = s.call_ok("buy_tokens", {"amount_usd": 10})
        assert (got["status"], got["replayed"], got["balance_tokens"]) == ("succeeded", True, 1000), got
        home.check_books()


def check_owner_is_asked(behaviour):
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        home.save_card(s, behaviour)
        error = s.call_error("buy_tokens", {"amount_usd": 20}, code="PAYMENT_ACTION_REQUIRED")
        assert error["url"] == session_of(stripe)["url"] and not error["retryable"], error
        # Nothing that could still be paid stands beside the page.
        assert [i["status"] for i in stripe.objects("payment_intent")][0] == "canceled"
        stripe.complete_session(session_of(stripe)["id"], save=True)
        home.settled_balance(s, 2000)
        assert home.state_of(error["payment_id"]) == SUCCEEDED
        home.check_books()


def test_authentication_required_leads_to_a_page():
    check_owner_is_asked("authentication_required")


def test_requires_action_with_200_leads_to_a_page_and_is_no_money():
    check_owner_is_asked("requires_action")


def test_each_decline_is_told_and_the_next_try_has_a_new_key():
    classes = ("insufficient_funds", "generic_decline", "lost_card", "do_not_honor", "expired_card",
               "incorrect_cvc")
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        card = home.save_card(s)
        for n, behaviour in enumerate(classes):
            stripe.behave(card, behaviour)
            error = s.call_error("buy_tokens", {"amount_usd": 20 + n}, code="PAYMENT_DECLINED")
            assert error["message"].startswith(behaviour), error
            assert home.state_of(error["payment_id"]) == FAILED and not error["retryable"]
        assert s.balance() == 0
        # By the same amount, and by the same key of the caller's: a new payment each.
        arguments = {"amount_usd": 50, "idempotency_key": "mine"}
        first = s.call_error("buy_tokens", arguments, code="PAYMENT_DECLINED")
        stripe.behave(card, "ok")
        second = s.call_ok("buy_tokens", arguments)
        assert second["payment_id"] != first["payment_id"] and second["replayed"] is False
        assert s.call_ok("buy_tokens", arguments) == {**second, "replayed": True}
        s.call_error("buy_tokens", {**arguments, "amount_usd": 51}, code="IDEMPOTENCY_CONFLICT")
        keys = [r["key"] for r in stripe.requests("POST", INTENTS)]
        assert len(keys) == len(set(keys)) == len(classes) + 2, keys
        assert s.balance() == 5000
        home.check_books()


def test_card_that_is_declined_again_and_again_is_left_alone():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as one, home.server() as two:
            card = home.save_card(one, "generic_decline")
            calls = [(s, s.send_call("buy_tokens", {"amount_usd": 20 + n}))
                     for n, s in enumerate((one, two) * 7)]
            errors = [error_of(s.wait(id)) for s, id in calls]
            codes = sorted(e["code"] for e in errors)
            assert codes == ["PAYMENT_DECLINED"] * 10 + ["RATE_LIMITED"] * 4, codes
            # A look of the other process may repeat one under its key.
            assert len({r["key"] for r in stripe.requests("POST", INTENTS)}) == 10
            braked = two.call_error("buy_tokens", {"amount_usd": 40}, code="RATE_LIMITED")
            assert 500 < braked["retry_after_s"] <= 600 and braked["retryable"], braked
            hint = braked["resolution_hint"]
            assert "top_up_credits" in hint and "billing_portal" in hint, hint
            assert one.call_ok("top_up_credits", {"amount_usd": 20})["status"] == "open"
            one.call_ok("billing_portal")
            assert len({r["key"] for r in stripe.requests("POST", INTENTS)}) == 10
        stripe.behave(card, "ok")
        with home.server() as s:
            s.call_error("buy_tokens", {"amount_usd": 40}, code="RATE_LIMITED")
        home.forget_declines()
        with home.server() as s:
            assert s.call_ok("buy_tokens", {"amount_usd": 40})["status"] == "succeeded"
        home.check_books()


def test_card_that_is_processing_is_pending_until_the_bank_has_said():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s, "processing")
            got = s.call_ok("buy_tokens", {"amount_usd": 20})
            assert got["status"] == "pending" and s.balance() == 0, got
        stripe.settle(stripe.objects("payment_intent")[0]["id"], True)
        home.make_due()
        with home.server() as s:
            home.settled_balance(s, 2000)
            assert home.state_of(got["payment_id"]) == SUCCEEDED
        home.check_books()


def invoice_of(stripe):
    return stripe.objects("invoice")[-1]


def test_top_up_is_an_invoice_of_two_lines_credited_without_its_fee():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        got = s.call_ok("top_up_credits", {"amount_usd": 20})
        assert (got["credit_usd"], got["fee_usd"], got["total_usd"]) == (20, 1.1, 21.1), got
        assert got["status"] == "open" and got["url"] == invoice_of(stripe)["hosted_invoice_url"]
        assert invoice_of(stripe)["total"] == 2110
        lines = sorted(i["amount"] for i in stripe.objects("invoiceitem"))
        assert lines == [110, 2000], lines
        assert s.call_ok("top_up_credits", {"amount_usd": 20}) == got
        other = s.call_ok("top_up_credits", {"amount_usd": 5})
        assert (other["fee_usd"], other["total_usd"]) == (0.8, 5.8), other
        assert s.balance() == 0
        stripe.pay_invoice(stripe.objects("invoice")[0]["id"])
        home.settled_balance(s, 2000)
        assert home.state_of(got["payment_id"]) == SUCCEEDED
        assert home.state_of(other["payment_id"]) == OPEN
        # A paid one does not answer for another.
        assert s.call_ok("top_up_credits", {"amount_usd": 20})["payment_id"] != got["payment_id"]
        home.check_books()


def test_top_up_without_an_address_names_it_and_the_command():
    with Stripe() as stripe, Till(stripe, email=None) as home:
        with home.server() as s:
            error = s.call_error("top_up_credits", {"amount_usd": 20}, code="INVALID_ARGUMENTS")
            assert "org.email" in error["message"], error
            assert "farebox orgs email" in error["message"], error
            assert stripe.objects("invoice") == []
        home.cli("orgs", "email", "--org", "default", "--email", "late@example.com")
        with home.server() as s:
            assert s.call_ok("top_up_credits", {"amount_usd": 20})["status"] == "open"
            assert invoice_of(stripe)["customer_email"] == "late@example.com"


def test_address_that_comes_after_the_customer_is_told_to_stripe():
    with Stripe() as stripe, Till(stripe, email=None) as home:
        with home.server() as s:
            home.save_card(s)
            assert stripe.objects("customer")[0]["email"] is None
        home.cli("orgs", "email", "--org", "default", "--email", "late@example.com")
        with home.server() as s:
            assert s.call_ok("top_up_credits", {"amount_usd": 20})["status"] == "open"
        assert stripe.objects("customer")[0]["email"] == "late@example.com"
        home.check_books()


def test_404_of_a_proxy_is_no_word_on_customer_or_payment():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            stripe.fault("html", "GET", "/v1/customers", status=404)
            assert s.call_ok("buy_tokens", {"amount_usd": 25})["status"] == "succeeded"
            page = s.call_ok("top_up_credits", {"amount_usd": 20})
            stripe.fault("html", "GET", INVOICES, status=404, count=9, should_retry="false")
            stripe.pay_invoice(invoice_of(stripe)["id"])
            assert s.balance() == 2500 and home.state_of(page["payment_id"]) == OPEN
        stripe.clear_faults()
        with home.server() as s:
            home.settled_balance(s, 4500)
        assert len(stripe.objects("customer")) == 1
        home.check_books()


def test_replaced_top_up_is_voided():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            first = s.call_ok("top_up_credits", {"amount_usd": 20})
        home.make_recent_old()
        with home.server() as s:
            second = s.call_ok("top_up_credits", {"amount_usd": 20})
            assert second["payment_id"] != first["payment_id"]
            home.wait_state(s, first["payment_id"], CANCELLED)
            assert [i["status"] for i in stripe.objects("invoice")] == ["void", "open"]


def test_expired_top_up_is_voided_unless_the_payer_was_faster():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            late = s.call_ok("top_up_credits", {"amount_usd": 20})
            fast = s.call_ok("top_up_credits", {"amount_usd": 30})
        stripe.pay_invoice(stripe.objects("invoice")[1]["id"])
        home.make_recent_old(24 * 3600 + 1)
        home.make_due()
        with home.server() as s:
            home.settled_balance(s, 3000)
            home.wait_state(s, late["payment_id"], CANCELLED)
            assert home.state_of(fast["payment_id"]) == SUCCEEDED
        assert [i["status"] for i in stripe.objects("invoice")] == ["void", "paid"]
        home.check_books()


def test_expired_page_cannot_be_paid_any_more():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            got = s.call_ok("buy_tokens", {"amount_usd": 20})
        home.make_recent_old(24 * 3600 + 1)
        home.make_due()
        with home.server() as s:
            s.balance()
            home.wait_state(s, got["payment_id"], CANCELLED)
        assert session_of(stripe)["status"] == "expired"


def test_top_up_paid_out_of_band_is_not_credited_and_not_asked_for_ever():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        got = s.call_ok("top_up_credits", {"amount_usd": 20})
        stripe.control("invoices/pay_out_of_band", invoice=invoice_of(stripe)["id"])
        home.wait(s, lambda: s.balance() == 0 and home.state_of(got["payment_id"]) == CANCELLED,
                  pause=0.2)
        # It is nothing that the next top-up could be answered with.
        assert s.call_ok("top_up_credits", {"amount_usd": 20})["payment_id"] != got["payment_id"]
        home.ledger_verify()


def test_portal_opens_and_its_refusal_reaches_the_operator():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        url = s.call_ok("billing_portal")["url"]
        assert url.startswith("https://"), url
        stripe.control("portal", configured=False)
        error = s.call_error("billing_portal", code="PAYMENTS_NOT_CONFIGURED")
        assert "No configuration provided" in error["message"], error
        assert "Customer portal" in error["resolution_hint"], error
        stripe.control("portal", configured=True)
        assert home.cli("billing", "portal", "--json").json()["url"].startswith("https://")


def test_deleted_customer_is_made_again():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        home.save_card(s)
        stripe.control("customers/delete", customer=home.customer())
        assert s.call_ok("billing_portal")["url"].startswith("https://")
        assert s.call_ok("buy_tokens", {"amount_usd": 5})["status"] == "requires_payment"
        assert s.call_ok("top_up_credits", {"amount_usd": 5})["status"] == "open"
        assert len(stripe.objects("customer")) == 2


def test_deleted_customer_is_made_again_for_a_page():
    tools = {"echo": echo_tool(30)}
    with Stripe() as stripe, Till(stripe, tools=tools) as home:
        with home.server(capabilities={"elicitation": {"url": {}}}) as s:
            s.call_ok("billing_portal")
            stripe.control("customers/delete", customer=home.customer())
            result = s.call("echo")
            assert result["resultType"] == "input_required", result
            assert session_of(stripe)["customer"] == stripe.objects("customer")[-1]["id"]
            stripe.control("customers/delete", customer=stripe.objects("customer")[-1]["id"])
            assert s.call_ok("buy_tokens", {"amount_usd": 5})["status"] == "requires_payment"
            assert session_of(stripe)["customer"] == stripe.objects("customer")[-1]["id"]
            assert len(stripe.objects("customer")) == 3


def test_refused_key_says_so_and_nothing_is_lost():
    bad = {"STRIPE_SECRET_KEY": "sk_test_wrong"}
    with Stripe() as stripe, Till(stripe) as home:
        with home.server(env=bad) as s:
            for tool in ("buy_tokens", "top_up_credits"):
                error = s.call_error(tool, {"amount_usd": 20}, code="PAYMENTS_NOT_CONFIGURED")
                assert "Invalid API Key" in error["message"], error
                assert "farebox doctor" in error["resolution_hint"], error
            error = s.call_error("billing_portal", code="PAYMENTS_NOT_CONFIGURED")
            assert "Invalid API Key" in error["message"], error
            assert "sk_test" not in s.err_text(), s.err_text()
        with home.server() as s:
            invoice = s.call_ok("top_up_credits", {"amount_usd": 20})
            page = s.call_ok("buy_tokens", {"amount_usd": 20})
        # A key that is wrong for a while forgets no page that can still be paid.
        home.make_due()
        with home.server(env=bad) as s:
            home.wait(s, lambda: s.balance() == 0 and stripe.requests("GET", INVOICES)
                      and stripe.requests("GET", SESSIONS))
            s.call_ok("list_invoices")
            assert home.state_of(invoice["payment_id"]) == OPEN
            assert home.state_of(page["payment_id"]) == OPEN
        stripe.pay_invoice(invoice_of(stripe)["id"])
        stripe.complete_session(session_of(stripe)["id"])
        home.make_due()
        with home.server() as s:
            home.settled_balance(s, 4000)
        home.check_books()


def test_restricted_key_is_a_key():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server(env={"STRIPE_SECRET_KEY": RESTRICTED_KEY}) as s:
            home.save_card(s)
            assert s.call_ok("buy_tokens", {"amount_usd": 5})["status"] == "succeeded"
        home.check_books()


def test_stripe_that_is_down_is_pending_and_completes_later():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            stripe.fault("error_before", "POST", INTENTS, count=1000, should_retry="false")
            got = s.call_ok("buy_tokens", {"amount_usd": 20})
            assert got["status"] == "pending", got
            assert s.balance() == 0
        stripe.clear_faults()
        home.make_due()
        with home.server() as s:
            home.settled_balance(s, 2000)
            assert s.call_ok("buy_tokens", {"amount_usd": 20})["payment_id"] == got["payment_id"]
        home.check_books()


def test_end_while_stripe_is_silent_leaves_nothing_behind():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        home.save_card(s)
        stripe.fault("drop_before", "POST", INTENTS, count=1000)
        s.send_call("buy_tokens", {"amount_usd": 20})
        s.send_call("top_up_credits", {"amount_usd": 20})
        home.wait(s, lambda: stripe.requests("POST", INTENTS))
        s.terminate()
        assert s.wait_exit() == 0
        s.check_healthy()
        home.ledger_verify()


def test_clock_that_was_set_back_days_charges_once():
    # What was sent under a clock that was two days ahead may be forgotten at Stripe by now.
    day_ms = 24 * 60 * 60 * 1000
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            home.save_card(s)
            stripe.fault("drop_after", "POST", INTENTS, count=1000)
            s.send_call("buy_tokens", {"amount_usd": 20})
            home.wait(s, lambda: stripe.objects("payment_intent"))
            s.kill9()
        stripe.clear_faults()
        stripe.forget_keys()
        home.change("UPDATE payment SET created_ms = created_ms + ?", 2 * day_ms)
        home.change("UPDATE gateway_request SET created_ms = created_ms + ?", 2 * day_ms)
        home.make_due()
        with home.server() as s:
            home.settled_balance(s, 2000)
        assert len(stripe.objects("payment_intent")) == 1
        home.check_books()


def test_answers_that_get_lost_charge_once():
    faults = ("drop_after", "truncate", "html_after", "error_after", "lock_timeout", "key_in_use",
              "error_before", "html")
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        home.save_card(s)
        for n, fault in enumerate(faults):
            stripe.fault(fault, "POST", INTENTS)
            got = s.call_ok("buy_tokens", {"amount_usd": 20 + n}, timeout=60)
            assert got["status"] == "succeeded", (fault, got)
        home.check_books()


def test_failure_that_is_not_said_to_be_kept_is_looked_up_before_the_caller_is_kept_waiting():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        home.save_card(s)
        stripe.fault("error_after", "POST", INTENTS, should_retry="false")
        assert s.call_ok("buy_tokens", {"amount_usd": 25})["status"] == "succeeded"
        # What is in no list yet may come with the next repetition: it is not given up.
        stripe.fault("error_before", "POST", INTENTS, should_retry="false")
        got = s.call_ok("buy_tokens", {"amount_usd": 26})
        assert got["status"] == "pending", got
        assert s.call_ok("buy_tokens", {"amount_usd": 26})["status"] == "succeeded"
        home.check_books()


def test_top_up_survives_each_lost_answer():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        for n, path in enumerate(("/v1/customers", INVOICES, "/v1/invoiceitems", INVOICES + "/in_")):
            for m, fault in enumerate(("drop_after", "truncate", "html_after")):
                stripe.fault(fault, "POST", path)
                got = s.call_ok("top_up_credits", {"amount_usd": 20 + 3 * n + m}, timeout=60)
                assert got["status"] == "open", (path, fault, got)
                assert invoice_of(stripe)["total"] == got["total_usd"] * 100
        assert len(stripe.objects("customer")) == 1
        assert all(i["status"] == "open" for i in stripe.objects("invoice"))


def test_failure_that_stripe_keeps_under_the_key_ends_the_top_up():
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        s.call_ok("billing_portal")
        for n, path in enumerate(("/v1/invoiceitems", INVOICES + "/in_")):
            stripe.fault("error_before", "POST", path, saved=True)
            id = s.send_call("top_up_credits", {"amount_usd": 20 + n})
            result = s.wait(id, 60)
            assert result.get("isError") and "draft" not in str(result), result
            assert all(i["status"] != "draft" for i in stripe.objects("invoice"))
        assert s.call_ok("top_up_credits", {"amount_usd": 20})["status"] == "open"


def test_top_up_that_is_not_answered_in_time_is_an_error_and_goes_on():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            stripe.fault("error_before", "POST", INVOICES, count=1000, should_retry="false")
            error = s.call_error("top_up_credits", {"amount_usd": 20}, code="UPSTREAM_ERROR")
            assert error["retryable"], error
        stripe.clear_faults()
        with home.server() as s:
            assert s.call_ok("top_up_credits", {"amount_usd": 20})["status"] == "open"
        assert len(stripe.objects("invoice")) == 1


def test_slow_stripe_is_pending_at_the_end_of_the_time_and_completes_later():
    # In its own time: at most 45 s, and the next look a minute later.
    if not os.environ.get("FAREBOX_SLOW"):
        return
    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        home.save_card(s)
        stripe.fault("delay_before", "POST", INTENTS, ms=50000)
        began = time.monotonic()
        got = s.call_ok("buy_tokens", {"amount_usd": 20}, timeout=60)
        assert got["status"] == "pending" and time.monotonic() - began < 47, got
        home.settled_balance(s, 2000, timeout=90)
        home.check_books()


def files_of(folder):
    for where, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(where, name), "rb") as f:
                yield name, f.read()


def test_secret_key_is_nowhere():
    secrets = [SECRET_KEY.encode(), b"whsec_farebox"]
    with Stripe() as stripe, Till(stripe, env={"FAREBOX_LOG": "debug"}) as home:
        with home.server() as s:
            home.save_card(s)
            s.call_ok("buy_tokens", {"amount_usd": 20})
            stripe.fault("error_before", "POST", INTENTS)
            s.call_ok("buy_tokens", {"amount_usd": 21})
            s.call_ok("top_up_credits", {"amount_usd": 20})
            s.stop()
            said = s.err + "\n".join(s.out_lines).encode()
            done = home.cli("billing", "invoices", "--json")
            said += done.out.encode() + done.err.encode()
        for secret in secrets:
            assert secret not in said, said
            for name, data in files_of(home.path):
                assert secret not in data, name


def test_command_line_pays_like_the_tools():
    with Stripe() as stripe, Till(stripe) as home:
        home.cli("billing", "portal")
        stripe.add_card(home.customer())
        got = home.cli("call", "buy_tokens", '{"amount_usd": 25}', "--json").json()
        assert got["status"] == "succeeded", got
        page = home.cli("billing", "checkout", "--amount", "20", "--json").json()
        assert page["total_usd"] == 21.1 and page["status"] == "open", page
        stripe.pay_invoice(invoice_of(stripe)["id"])
        assert home.cli("billing", "balance", "--json").json()["tokens"] == 4500
        items = home.cli("billing", "invoices", "--json").json()["items"]
        assert [i["type"] for i in items] == ["invoice", "charge"], items
        home.check_books()


def test_command_line_balance_knows_what_a_killed_command_left_and_what_went_back():
    with Stripe() as stripe, Till(stripe) as home:
        home.cli("billing", "portal")
        stripe.add_card(home.customer())
        stripe.fault("delay_after", "POST", INTENTS, ms=30000)
        buy = subprocess.Popen([binary(), "call", "buy_tokens", '{"amount_usd": 25}'],
                               env=home.environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
        while not stripe.objects("charge"):
            time.sleep(0.02)
        buy.kill()
        buy.communicate()
        stripe.clear_faults()
        assert home.cli("billing", "balance", "--json").json()["tokens"] == 2500
        stripe.refund(stripe.objects("charge")[0]["id"], 500)
        assert home.cli("billing", "balance", "--json").json()["tokens"] == 2000
        assert len(stripe.objects("payment_intent")) == 1
        home.ledger_verify()


def test_command_that_ends_gives_its_turn_at_stripe_back():
    # Else every other process waits for it, and never looks itself while commands come and go.
    with Stripe() as stripe, Till(stripe) as home:
        home.cli("billing", "portal")
        stripe.add_card(home.customer())
        home.cli("call", "buy_tokens", '{"amount_usd": 25}')
        stripe.fault("delay_before", "GET", "/v1/refunds", ms=3000)
        home.cli("call", "now", "{}")
        assert home.query("SELECT until_ms, next_ms FROM poller") == [(0, 0)]


def test_open_pages_are_paid_while_nobody_looks():
    with Stripe() as stripe, Till(stripe) as home:
        with home.server() as s:
            s.call_ok("top_up_credits", {"amount_usd": 20})
            s.call_ok("buy_tokens", {"amount_usd": 10})
        stripe.pay_invoice(invoice_of(stripe)["id"])
        stripe.complete_session(session_of(stripe)["id"])
        with home.server() as s, home.server() as other:
            home.settled_balance(other, 3000)
            assert s.balance() == 3000
        home.check_books()


main()
