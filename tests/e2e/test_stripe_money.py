#!/usr/bin/env python3
"""The stand-in for Stripe: charges, invoices, refunds, disputes, and the states they go through."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import main  # noqa: E402
from stripe_double import Shop, refused  # noqa: E402

DAY_S = 24 * 60 * 60


def test_an_off_session_charge_has_its_rules():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        refused(s.buy(card, "a", allowed_payment_method_types=None), 400, None, "return_url")
        refused(s.buy(card, "b", confirm=None), 400, None, "off_session")
        refused(s.buy(card, "c", setup_future_usage="off_session"), 400, None,
                "setup_future_usage")
        refused(s.buy(card, "d", automatic_payment_methods={"enabled": True}), 400)
        refused(s.buy(None, "e"), 400, "payment_intent_unexpected_state")
        refused(s.buy(card, "f", customer=None), 400, None, "payment_method")
        other = s.post("/v1/customers", "other", {"email": "x@example.com"})["id"]
        refused(s.buy(card, "g", customer=other), 400, None, "payment_method")
        never = {"enabled": True, "allow_redirects": "never"}
        good = s.buy(card, "h", allowed_payment_method_types=None, automatic_payment_methods=never)
        assert good.json["status"] == "succeeded", good.body


def test_a_charge_succeeds():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        bought = {}
        types = s.types_of(lambda: bought.update(s.buy(card, "k").json))
        assert types == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]
        assert bought["status"] == "succeeded" and bought["amount_received"] == 2500
        assert bought["metadata"]["purchase_id"] == "p1" and bought["livemode"] is False
        assert "secret" in bought["client_secret"]
        charge = s.get("/v1/charges/" + bought["latest_charge"])
        assert charge["paid"] and charge["receipt_url"].startswith("https://pay.stripe.com/")
        assert charge["payment_intent"] == bought["id"] and "refunds" not in charge
        moved = s.get("/v1/charges/" + charge["id"], {"expand": ["balance_transaction"]})
        assert moved["balance_transaction"]["net"] == 2500 - 103
        whole = s.get("/v1/payment_intents/" + bought["id"], {"expand": ["latest_charge.customer"]})
        assert whole["latest_charge"]["customer"]["email"] == "owner@example.com"
        refused(s.request("GET", "/v1/payment_intents/" + bought["id"], {"expand": ["bogus"]}), 400,
                param="expand", message="This property cannot be expanded (bogus).")
        refused(s.request("POST", "/v1/payment_intents/%s/cancel" % bought["id"], key="c"), 400,
                "payment_intent_unexpected_state")
        event = json.loads(s.events("payment_intent.succeeded")[0]["payload"])
        assert event["request"]["idempotency_key"] == "k"
        assert event["api_version"] == "2026-10-28.endive"
        assert event["data"]["object"]["id"] == bought["id"]


def test_a_charge_is_declined():
    declines = [("insufficient_funds", "card_declined", "insufficient_funds", "try_again_later"),
                ("lost_card", "card_declined", "lost_card", "do_not_try_again"),
                ("expired_card", "expired_card", "expired_card", "do_not_try_again"),
                ("authentication_required", "authentication_required", "authentication_required",
                 None)]
    with Shop() as s:
        for behaviour, code, decline_code, advice in declines:
            card = s.add_card(s.customer, behaviour)["id"]
            answer = s.buy(card, behaviour, behaviour)
            error = refused(answer, 402, code, type="card_error")
            assert error["decline_code"] == decline_code and error.get("advice_code") == advice
            intent = s.get("/v1/payment_intents/" + error["payment_intent"]["id"])
            assert intent == error["payment_intent"]
            assert intent["status"] == "requires_payment_method"
            assert intent["payment_method"] is None and intent["amount_received"] == 0
            assert intent["last_payment_error"]["decline_code"] == decline_code
            charge = s.get("/v1/charges/" + error["charge"])
            assert charge["status"] == "failed" and charge["failure_code"] == code
            assert s.event_types()[-2:] == ["charge.failed", "payment_intent.payment_failed"]
            gone = s.post("/v1/payment_intents/%s/cancel" % intent["id"], "c" + behaviour)
            assert gone["status"] == "canceled"
        refused(s.request("POST", "/v1/payment_methods/pm_card_chargeDeclined/attach",
                          {"customer": s.customer}, key="at"), 402, "card_declined",
                type="card_error")
        visa = s.post("/v1/payment_methods/pm_card_visa/attach", "at2", {"customer": s.customer})
        assert s.buy(visa["id"], "visa").status == 200


def test_a_200_that_is_no_money():
    with Shop() as s:
        for behaviour, status in (("requires_action", "requires_action"),
                                  ("processing", "processing")):
            card = s.add_card(s.customer, behaviour)["id"]
            for paid, end in ((True, "succeeded"), (False, "requires_payment_method")):
                answer = s.buy(card, "%s %s" % (behaviour, paid))
                intent = answer.json["id"]
                assert answer.status == 200 and answer.json["status"] == status
                assert answer.json["amount_received"] == 0
                s.settle(intent, paid)
                assert s.get("/v1/payment_intents/" + intent)["status"] == end
                assert s.event_types()[-1] == ("payment_intent.succeeded" if paid
                                               else "payment_intent.payment_failed")
        asks = s.add_card(s.customer, "authentication_required")["id"]
        on_session = s.buy(asks, "on", off_session=None)
        assert on_session.json["status"] == "requires_action"
        refused(s.buy(asks, "err", off_session=None, error_on_requires_action=True), 402,
                "authentication_required", type="card_error")


def test_the_life_of_an_invoice():
    with Shop() as s:
        def call(what, invoice, key, **params):
            return s.request("POST", "/v1/invoices/%s/%s" % (invoice, what), params, key=key)

        draft = s.draft()
        refused(call("void", draft, "1"), 400, message="isn't open")
        assert s.get("/v1/invoices/" + draft)["hosted_invoice_url"] is None
        s.add_item(draft, "credit", 2000)
        s.add_item(draft, "fee", 110)
        opened = call("finalize", draft, "2").json
        assert opened["status"] == "open" and opened["total"] == opened["amount_due"] == 2110
        assert opened["hosted_invoice_url"] and opened["invoice_pdf"] and opened["number"]
        assert [line["metadata"]["kind"] for line in opened["lines"]["data"]] == ["fee", "credit"]
        refused(call("finalize", draft, "3"), 400, message="already finalized")
        refused(s.request("DELETE", "/v1/invoices/" + draft), 400,
                message="You can only delete draft invoices.")
        refused(s.request("POST", "/v1/invoiceitems", {
            "customer": s.customer, "invoice": draft, "amount": 1, "currency": "usd"}, key="4"),
            400, "invoice_not_editable")
        s.pay_invoice(draft)
        paid = s.get("/v1/invoices/" + draft, {"expand": ["payments"]})
        assert paid["status"] == "paid" and paid["amount_paid"] == 2110
        payment = paid["payments"]["data"][0]
        intent = s.get("/v1/payment_intents/" + payment["payment"]["payment_intent"])
        assert payment["status"] == "paid" and intent["metadata"] == {}
        found = s.get("/v1/invoice_payments", {"payment": {
            "type": "payment_intent", "payment_intent": intent["id"]}})["data"]
        assert [p["invoice"] for p in found] == [draft]
        refused(call("pay", draft, "5"), 400, message="Invoice is already paid")
        refused(call("void", draft, "6"), 400, message="cannot be voided")
        refused(s.request("POST", "/v1/payment_intents/%s/cancel" % intent["id"], key="7"), 400)
        assert s.event_types()[-4:] == ["payment_intent.succeeded", "invoice_payment.paid",
                                        "invoice.paid", "invoice.payment_succeeded"]
        assert s.invariants()["topups"]["inv"]["amount"] == 2110

        voided = s.open_invoice("v")["id"]
        assert call("void", voided, "8").json["status"] == "void"
        assert s.event_types()[-2:] == ["payment_intent.canceled", "invoice.voided"]
        refused(call("pay", voided, "9"), 400)

        gone = s.draft("gone")
        answer = s.request("DELETE", "/v1/invoices/" + gone)
        assert answer.json == {"id": gone, "object": "invoice", "deleted": True}
        refused(s.request("GET", "/v1/invoices/" + gone), 404, "resource_missing")

        free = call("finalize", s.draft("free"), "10").json
        assert free["status"] == "paid" and free["total"] == 0
        bad = s.open_invoice("bad")["id"]
        assert call("mark_uncollectible", bad, "11").json["status"] == "uncollectible"
        assert s.pay_invoice(bad)["status"] == "paid"


def test_how_an_open_invoice_is_not_paid():
    with Shop() as s:
        invoice = s.open_invoice()["id"]
        types = s.types_of(lambda: s.pay_invoice(invoice, "insufficient_funds"))
        assert types[-1] == "invoice.payment_failed"
        state = s.get("/v1/invoices/" + invoice)
        assert state["status"] == "open" and state["attempt_count"] == 1
        card = s.add_card(s.customer, "lost_card", default=True)["id"]
        refused(s.request("POST", "/v1/invoices/%s/pay" % invoice, key="pay"), 402,
                "card_declined", type="card_error")
        s.behave(card, "authentication_required")
        s.pay_invoice(invoice, "authentication_required", gives_up=True)
        assert s.event_types()[-1] == "invoice.payment_action_required"
        s.pay_invoice(invoice, "processing")
        refused(s.request("POST", "/v1/invoices/%s/void" % invoice, key="void"), 400,
                message="while a payment on it is still pending")
        payment = s.get("/v1/invoice_payments", {"invoice": invoice})["data"][0]
        s.settle(payment["payment"]["payment_intent"], True)
        assert s.get("/v1/invoices/" + invoice)["status"] == "paid"

        cash = s.open_invoice("cash")["id"]
        types = s.types_of(lambda: s.control("invoices/pay_out_of_band", invoice=cash))
        assert types == ["payment_intent.canceled", "invoice.paid"]
        state = s.get("/v1/invoices/" + cash, {"expand": ["payments"]})
        assert state["status"] == "paid" and state["payments"]["data"] == []


def test_an_invoice_that_is_sent_has_its_rules():
    with Shop() as s:
        def create(key, **params):
            return s.request("POST", "/v1/invoices", {"customer": s.customer, **params}, key=key)

        refused(create("a", collection_method="send_invoice"), 400, "parameter_missing",
                "days_until_due")
        refused(create("b", days_until_due=1), 400, None, "days_until_due")
        refused(create("c", customer="cus_x"), 400, "resource_missing", "customer")
        nobody = s.post("/v1/customers", "nobody", {"name": "no address"})["id"]
        draft = s.post("/v1/invoices", "d", {"customer": nobody, "days_until_due": 1,
                                             "collection_method": "send_invoice"})["id"]
        refused(s.request("POST", "/v1/invoices/%s/finalize" % draft, key="e"), 400,
                message="Missing email")
        mine = s.draft()
        refused(s.request("POST", "/v1/invoiceitems", {
            "customer": nobody, "invoice": mine, "amount": 1, "currency": "usd"}, key="f"), 400)
        refused(s.request("POST", "/v1/invoiceitems", {
            "customer": s.customer, "invoice": mine, "amount": 1, "currency": "usd",
            "quantity": 2}, key="g"), 400, None, "quantity")
        lines = s.post("/v1/invoices/%s/add_lines" % mine, "h", {"lines": [
            {"amount": 500, "description": "credit"}, {"amount": 80, "description": "fee"}]})
        assert lines["total"] == 580
        assert [line["amount"] for line in lines["lines"]["data"]] == [80, 500]
        refused(s.request("POST", "/v1/invoices/%s/add_lines" % mine, {
            "lines": {"1": {"amount": 500}}}, key="i"), 400, None, "lines")
        stray = s.post("/v1/invoiceitems", "j", {"customer": s.customer, "amount": 5,
                                                 "currency": "usd"})
        assert stray["invoice"] is None
        assert s.get("/v1/invoices/" + s.draft("excl"))["total"] == 0
        assert s.get("/v1/invoices/" + s.draft(
            "incl", pending_invoice_items_behavior="include"))["total"] == 5


def test_money_goes_back():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        charge = s.buy(card, "k").json["latest_charge"]

        def refund(key, **params):
            return s.request("POST", "/v1/refunds", params, key=key)

        refused(refund("a"), 400, "parameter_missing")
        refused(refund("b", charge=charge, amount=2501), 400, None, "amount")
        types = s.types_of(lambda: refund("c", charge=charge, amount=1000,
                                          reason="requested_by_customer"))
        assert types == ["refund.created", "charge.refunded"]
        event = json.loads(s.events("charge.refunded")[-1]["payload"])
        assert event["data"]["object"]["amount_refunded"] == 1000
        assert event["data"]["previous_attributes"]["amount_refunded"] == 0
        made = s.refund(charge, 500)
        assert s.get("/v1/charges/" + charge)["amount_refunded"] == 1500
        assert s.control("refunds/settle", refund=made["id"], good=False)["status"] == "failed"
        assert s.get("/v1/charges/" + charge)["amount_refunded"] == 1000
        assert "refund.failed" in s.event_types()
        assert refund("d", charge=charge).json["amount"] == 1500
        refused(refund("e", charge=charge), 400, "charge_already_refunded")
        listed = s.get("/v1/refunds", {"charge": charge})["data"]
        assert [r["amount"] for r in listed] == [1500, 500, 1000]
        whole = s.get("/v1/charges", {"customer": s.customer, "expand": ["data.refunds"]})["data"]
        assert [r["id"] for r in whole[0]["refunds"]["data"]] == [r["id"] for r in listed]


def test_disputes_move_money_and_inquiries_do_not():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]

        def dispute(key, **how):
            charge = s.buy(card, key, key).json["latest_charge"]
            return s.dispute(charge, **how), charge

        def amounts(id):
            moved = s.get("/v1/disputes/" + id)["balance_transactions"]
            assert all(s.get("/v1/balance_transactions/" + m["id"]) == m for m in moved)
            return [m["amount"] for m in moved]

        won, charge = dispute("won")
        assert won["id"].startswith("du_") and won["status"] == "needs_response"
        assert s.event_types()[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
        assert amounts(won["id"]) == [-2500]
        refused(s.request("POST", "/v1/refunds", {"charge": charge}, key="r"), 400,
                "charge_disputed")
        s.close_dispute(won["id"], True)
        assert s.event_types()[-2:] == ["charge.dispute.funds_reinstated", "charge.dispute.closed"]
        assert amounts(won["id"]) == [-2500, 2500]

        lost, _ = dispute("lost")
        assert s.close_dispute(lost["id"], False)["status"] == "lost"
        assert amounts(lost["id"]) == [-2500]

        asked, charge = dispute("asked", inquiry=True)
        assert asked["status"] == "warning_needs_response" and amounts(asked["id"]) == []
        assert s.control("disputes/escalate", dispute=asked["id"])["status"] == "needs_response"
        assert amounts(asked["id"]) == [-2500]
        assert [d["id"] for d in s.get("/v1/disputes", {"charge": charge})["data"]] == [asked["id"]]

        s.behave(card, "dispute")
        types = s.types_of(lambda: s.buy(card, "at once", "p9"))
        assert types[1:] == ["charge.succeeded", "charge.dispute.created",
                             "charge.dispute.funds_withdrawn", "payment_intent.succeeded"]


def test_checkout_sessions():
    with Shop() as s:
        def create(key, **params):
            return s.request("POST", "/v1/checkout/sessions", {
                "customer": s.customer, "success_url": "https://example.com/{CHECKOUT_SESSION_ID}",
                **params}, key=key)

        card = ["card"]
        refused(create("a"), 400, "parameter_missing", "mode")
        refused(create("b", mode="setup"), 400, "parameter_missing", "currency")
        refused(create("c", mode="setup", payment_method_types=card), 400,
                "payment_method_types_no_longer_supported")
        refused(create("d", mode="payment"), 400, "parameter_missing", "line_items")
        refused(create("e", mode="gift"), 400, None, "mode")
        setup = create("f", mode="setup", allowed_payment_method_types=card,
                       setup_intent_data={"metadata": {"org_id": "org_1"}}).json
        assert setup["id"].startswith("cs_test_") and setup["status"] == "open" and setup["url"]
        assert setup["payment_status"] == "no_payment_required"
        types = s.types_of(lambda: s.complete_session(setup["id"], brand="mastercard"))
        assert types == ["payment_method.attached", "setup_intent.succeeded",
                         "checkout.session.completed"]
        done = s.get("/v1/checkout/sessions/" + setup["id"], {"expand": ["setup_intent"]})
        saved = done["setup_intent"]["payment_method"]
        assert done["status"] == "complete" and done["setup_intent"]["status"] == "succeeded"
        customer = s.get("/v1/customers/" + s.customer)
        assert customer["invoice_settings"]["default_payment_method"] is None
        listed = s.get("/v1/customers/%s/payment_methods" % s.customer, {"type": "card"})["data"]
        assert [c["id"] for c in listed] == [saved] and listed[0]["card"]["brand"] == "mastercard"
        s.post("/v1/customers/" + s.customer, "g",
               {"invoice_settings": {"default_payment_method": saved}})
        whole = s.get("/v1/customers/" + s.customer,
                      {"expand": ["invoice_settings.default_payment_method"]})
        assert whole["invoice_settings"]["default_payment_method"]["card"]["last4"] == "4242"

        item = {"quantity": 1, "price_data": {"currency": "usd", "unit_amount": 2500,
                                              "product_data": {"name": "2500 tokens"}}}
        data = {"metadata": {"purchase_id": "p1"}}

        def pay(key):
            return create(key, mode="payment", line_items=[item], payment_intent_data=data).json

        paid = pay("h")
        assert paid["amount_total"] == 2500 and paid["payment_intent"] is None
        s.complete_session(paid["id"])
        paid = s.get("/v1/checkout/sessions/" + paid["id"])
        assert paid["payment_status"] == "paid"
        assert s.invariants()["purchases"]["p1"]["amount"] == 2500
        slow = pay("i")
        assert s.complete_session(slow["id"], "processing")["payment_status"] == "unpaid"
        s.settle(s.get("/v1/checkout/sessions/" + slow["id"])["payment_intent"], True)
        assert s.event_types()[-1] == "checkout.session.async_payment_succeeded"
        late = pay("j")["id"]
        s.advance(DAY_S + 1)
        assert s.get("/v1/checkout/sessions/" + late)["status"] == "expired"
        refused(s.request("POST", "/v1/checkout/sessions/%s/expire" % late, key="k"), 400,
                message="status of expired")
        assert s.event_types()[-1] == "checkout.session.expired"


def test_the_portal_customers_and_cards():
    with Shop() as s:
        params = {"customer": s.customer, "return_url": "https://example.com/"}
        s.control("portal", configured=False)
        refused(s.request("POST", "/v1/billing_portal/sessions", params, key="a"), 400,
                message="No configuration provided")
        assert s.get("/v1/billing_portal/configurations")["data"] == []
        s.control("portal", configured=True)
        session = s.post("/v1/billing_portal/sessions", "b", params)
        assert session["id"].startswith("bps_") and session["url"].startswith("https://billing.")
        card = s.add_card(s.customer, default=True)["id"]
        types = s.types_of(lambda: s.control("cards/detach", payment_method=card))
        assert types == ["customer.updated", "payment_method.detached"]
        refused(s.request("POST", "/v1/customers/" + s.customer, {
            "invoice_settings": {"default_payment_method": card}}, key="c"), 400,
            "resource_missing", "invoice_settings[default_payment_method]")
        s.control("customers/delete", customer=s.customer)
        assert s.get("/v1/customers/" + s.customer)["deleted"] is True
        refused(s.request("POST", "/v1/invoices", {"customer": s.customer}, key="d"), 400,
                "resource_missing", "customer", message="No such customer")
        refused(s.request("POST", "/v1/customers", {"email": "nobody"}, key="e"), 400,
                "email_invalid", "email")


def test_stripes_own_metering():
    with Shop() as s:
        meter = s.post("/v1/billing/meters", "m", {
            "display_name": "usage", "event_name": "usage_milli_usd",
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
            "value_settings": {"event_payload_key": "value"}})["id"]
        product = s.post("/v1/products", "p", {"name": "usage"})["id"]
        metered = {"interval": "month", "usage_type": "metered"}
        price = {"currency": "usd", "product": product, "unit_amount_decimal": "0.1"}
        refused(s.request("POST", "/v1/prices", {**price, "recurring": metered}, key="n"), 400,
                "parameter_missing", "recurring[meter]")
        price = s.post("/v1/prices", "o", {**price, "recurring": {**metered, "meter": meter}})["id"]
        item = {"customer": s.customer, "billing_thresholds": {"amount_gte": 200}}
        refused(s.request("POST", "/v1/subscriptions", {
            **item, "items": [{"price": price, "quantity": 1}]}, key="q"), 400)
        subscription = s.post("/v1/subscriptions", "r", {**item, "items": [{"price": price}]})
        assert subscription["items"]["data"][0]["price"]["id"] == price

        def use(key, identifier, **more):
            return s.request("POST", "/v1/billing/meter_events", {
                "event_name": "usage_milli_usd", "identifier": identifier,
                "payload": {"stripe_customer_id": s.customer, "value": "5"}, **more}, key=key)

        assert use("e1", "call-1").status == 200
        refused(use("e2", "call-1"), 400, None,
                message="An event already exists with identifier call-1.")
        s.advance(DAY_S + 1)
        assert use("e3", "call-1").status == 200
        refused(use("e4", "call-2", timestamp=1), 400, None, "timestamp")
        stranger = {"stripe_customer_id": "cus_x", "value": "5"}
        assert use("e5", "call-3", payload=stranger).status == 200
        assert s.invariants()["meter_event_faults"] == [
            {"identifier": "call-3", "code": "meter_event_customer_not_found"}]

        def balance():
            scope = {"type": "applicability_scope",
                     "applicability_scope": {"price_type": "metered"}}
            got = s.get("/v1/billing/credit_balance_summary", {"customer": s.customer,
                                                               "filter": scope})
            return got["balances"][0]["available_balance"]["monetary"]["value"]

        s.post("/v1/billing/credit_grants", "g", {
            "customer": s.customer, "category": "paid", "name": "top-up",
            "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 2000}},
            "applicability_config": {"scope": {"price_type": "metered"}}})
        assert balance() == 2000
        s.control("credits/spend", customer=s.customer, amount=300)
        assert balance() == 1700


main()
