#!/usr/bin/env python3
"""The stand-in for Stripe: what it refuses, which keys it keeps, how it goes wrong when told."""

import base64
import http.client
import json
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import main  # noqa: E402
from stripe_double import RESTRICTED_KEY, SECRET_KEY, Shop, Stripe, refused  # noqa: E402

DAY_S = 24 * 60 * 60


def test_who_asks_and_in_which_version():
    with Stripe() as s:
        for auth in (None, "Bearer sk_test_other", "Bearer sk_live_farebox", SECRET_KEY):
            refused(s.request("GET", "/v1/account", auth=auth), 401)
        basic = "Basic " + base64.b64encode(SECRET_KEY.encode() + b":").decode()
        assert s.get("/v1/account", auth=basic)["object"] == "account"
        for version in (None, "2025-03-31.basil", "2026-10-28"):
            refused(s.request("GET", "/v1/account", version=version), 400)
        restricted = "Bearer " + RESTRICTED_KEY
        assert s.get("/v1/customers", auth=restricted)["data"] == []
        s.control("permissions", denied=["GET /v1/customers"])
        refused(s.request("GET", "/v1/customers", auth=restricted), 403)
        assert s.get("/v1/account", auth=restricted)


def test_what_is_no_request():
    with Stripe() as s:
        refused(s.request("GET", "/v1/nothing"), 404)
        refused(s.request("GET", "/v1/refunds/"), 404)
        refused(s.request("GET", "/v1/account", body="a=1",
                          headers={"Content-Length": "3"}), 400)
        refused(s.request("POST", "/v1/customers", {"name": "x"}), 400)
        refused(s.request("POST", "/v1/customers", {"name": "x"}, key="k" * 256), 400)
        refused(s.request("POST", "/v1/customers?name=x", key="k"), 400)
        refused(s.request("POST", "/v1/customers", body='{"name":"x"}', key="k",
                          headers={"Content-Type": "application/json"}), 400)
        for body in ("name=5.5%", "name=%zz", "name=%4z", "name=%z4", "name=%4", "name=a b",
                     "name", "name=a&name=b", "name[=x", "name=%ff", "metadata[a]]=x",
                     "metadata=x&metadata[a]=y", "name=\"x\"", "name=%00"):
            refused(s.request("POST", "/v1/customers", body=body, key="k"), 400)
        answer = s.request("POST", "/v1/customers", body="name=5.5%25+%c3%a9", key="k")
        assert answer.json["name"] == "5.5% \u00e9", answer.body


def test_parameters_are_those_of_the_version():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]

        def buy(**more):
            return s.buy(card, "k %s" % more, **more)

        refused(buy(bogus=1), 400, "parameter_unknown", "bogus")
        refused(buy(automatic_payment_methods={"enabled": True, "bogus": 1}), 400,
                "parameter_unknown", "automatic_payment_methods[bogus]")
        refused(buy(payment_method_types=["card"]), 400,
                "payment_method_types_no_longer_supported", "payment_method_types")
        refused(buy(transfer_group="x"), 400, "double_does_not_serve", "transfer_group")
        refused(buy(amount=None), 400, "parameter_missing", "amount")
        refused(buy(currency=None), 400, "parameter_missing", "currency")
        for amount in ("5.5", "x", "1e3", " 1", "99999999999999999999"):
            refused(buy(amount=amount), 400, "parameter_invalid_integer", "amount")
        refused(buy(description=""), 400, "parameter_invalid_empty", "description")
        refused(buy(confirm="yes"), 400, None, "confirm")
        refused(buy(allowed_payment_method_types="card"), 400, None,
                "allowed_payment_method_types")
        refused(buy(allowed_payment_method_types=["gold"]), 400, None,
                "allowed_payment_method_types[0]")
        refused(buy(metadata={"k" * 41: "v"}), 400)
        refused(buy(metadata={"k": "v" * 501}), 400)
        refused(buy(metadata={"k%d" % i: "v" for i in range(51)}), 400)
        refused(buy(amount=49), 400, "amount_too_small", "amount")
        refused(buy(amount=100000000), 400, "amount_too_large", "amount")
        refused(buy(currency="USD"), 400, None, "currency")
        refused(buy(customer="cus_x"), 400, "resource_missing", "customer",
                message="No such customer: 'cus_x'")
        refused(s.buy("pm_x", "k2"), 400, "resource_missing", "payment_method")
        assert s.objects("payment_intent") == []


def test_a_key_is_kept_with_its_answer():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        first = s.buy(card, "k1")
        again = s.buy(card, "k1")
        assert first.status == again.status == 200 and first.body == again.body
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["original-request"] == first.headers["request-id"]
        assert again.headers["request-id"] != first.headers["request-id"]
        refused(s.buy(card, "k1", amount=2501), 400, None, type="idempotency_error",
                message="can only be used with the same parameters")
        refused(s.request("POST", "/v1/customers", {}, key="k1"), 400, type="idempotency_error",
                message="('/v1/customers' vs '/v1/payment_intents')")
        assert len(s.objects("charge")) == 1

        s.behave(card, "insufficient_funds")
        declined = s.buy(card, "k2")
        s.behave(card, "ok")
        assert declined.status == 402 and s.buy(card, "k2").body == declined.body
        assert s.buy(card, "k3").status == 200

        refused(s.buy(card, "k4", bogus=1), 400, "parameter_unknown")
        assert s.buy(card, "k4").status == 200, "a refused parameter does not use the key up"

        missing = s.request("POST", "/v1/invoices/in_x/finalize", key="k5")
        refused(missing, 404, "resource_missing")
        assert s.request("POST", "/v1/invoices/in_x/finalize",
                         key="k5").headers["idempotent-replayed"] == "true"
        assert [r["replayed"] for r in s.requests() if r["key"] == "k1"][:2] == [False, True]


def test_a_key_is_forgotten_after_a_day():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        first = s.buy(card, "k").json["id"]
        s.advance(DAY_S - 60)
        assert s.buy(card, "k").json["id"] == first
        s.advance(61)
        second = s.buy(card, "k").json["id"]
        assert second != first, "the same key charges again"
        s.forget_keys()
        assert s.buy(card, "k").json["id"] not in (first, second)
        assert s.invariants()["charged_twice"] == ["p1"]


def test_a_twin_waits_for_the_first():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        s.fault("delay_before", "POST", "/v1/payment_intents", ms=2500)
        connection = s.connect()
        s.send(connection, "POST", "/v1/payment_intents", s.purchase(card), key="k")
        while not s.requests("POST", "/v1/payment_intents"):
            pass
        refused(s.buy(card, "k"), 409, "idempotency_key_in_use", type="idempotency_error")
        assert s.buy(card, "other", purchase="p2").status == 200, "others do not wait"
        got = connection.getresponse()
        assert got.status == 200
        assert s.buy(card, "k").body == got.read()
        connection.close()


def test_a_client_that_is_gone_is_charged_all_the_same():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        s.fault("delay_before", "POST", "/v1/payment_intents", ms=300)
        connection = s.connect()
        s.send(connection, "POST", "/v1/payment_intents", s.purchase(card), key="k")
        while not s.requests("POST", "/v1/payment_intents"):
            pass
        connection.close()
        while not s.objects("charge"):
            pass
        assert s.buy(card, "k").headers["idempotent-replayed"] == "true"


def test_outcomes_that_are_not_known():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        path = "/v1/payment_intents"

        def charges():
            return len(s.objects("charge"))

        s.fault("error_before", "POST", path)
        assert s.buy(card, "a").status == 500 and charges() == 0
        assert s.buy(card, "a").status == 200 and charges() == 1

        s.fault("error_after", "POST", path)
        assert s.buy(card, "b", "p2").status == 500 and charges() == 2
        assert s.buy(card, "b", "p2").status == 500 and charges() == 2, "saved under the key"
        assert s.buy(card, "c", "p2").status == 200 and charges() == 3

        s.fault("drop_before", "POST", path)
        try:
            s.buy(card, "d", "p3")
            assert False, "it answered"
        except (http.client.RemoteDisconnected, ConnectionResetError):
            pass
        assert charges() == 3

        s.fault("drop_after", "POST", path)
        try:
            s.buy(card, "d", "p3")
            assert False, "it answered"
        except (http.client.RemoteDisconnected, ConnectionResetError):
            pass
        assert charges() == 4
        assert s.buy(card, "d", "p3").status == 200 and charges() == 4

        s.fault("truncate", "POST", path)
        try:
            s.buy(card, "e", "p4")
            assert False, "it was whole"
        except http.client.IncompleteRead as half:
            assert half.partial.startswith(b"{") and half.expected > 0
        assert s.buy(card, "e", "p4").status == 200 and charges() == 5

        s.fault("html", "POST", path)
        answer = s.buy(card, "f", "p5")
        assert answer.status == 503 and answer.json is None and b"<html>" in answer.body
        s.fault("html_after", "POST", path)
        assert s.buy(card, "f", "p5").status == 503 and charges() == 6
        assert s.buy(card, "f", "p5").status == 200 and charges() == 6


def test_too_much_and_too_soon():
    with Shop() as s:
        card = s.add_card(s.customer)["id"]
        s.fault("rate_limit", "POST", retry_after="2", should_retry="true")
        answer = s.buy(card, "a")
        refused(answer, 429, "rate_limit")
        assert answer.headers["stripe-rate-limited-reason"] == "global-rate"
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["stripe-should-retry"] == "true"
        s.fault("lock_timeout", "POST", count=2)
        for _ in range(2):
            answer = s.buy(card, "a")
            refused(answer, 429, "lock_timeout")
            assert "stripe-rate-limited-reason" not in answer.headers
        s.fault("key_in_use", "POST")
        refused(s.buy(card, "a"), 409, "idempotency_key_in_use", type="idempotency_error")
        assert s.buy(card, "a").status == 200, "none of these was kept under the key"
        s.fault("error_before", "GET", "/v1/charges", skip=1)
        assert [s.request("GET", "/v1/charges").status for _ in range(3)] == [200, 500, 200]


def test_lists_are_newest_first_and_paged():
    with Shop() as s:
        ids = []
        for i in range(7):
            ids.insert(0, s.post("/v1/products", "p%d" % i, {"name": "n"})["id"])
            s.post("/v1/prices", "r%d" % i, {"product": ids[0], "currency": "usd",
                                             "unit_amount": 100 + i})
            s.advance(10)
        prices = s.get("/v1/prices", {"limit": 3})
        assert [p["product"] for p in prices["data"]] == ids[:3] and prices["has_more"] is True
        seen = []
        page = {"data": [], "has_more": True}
        while page["has_more"]:
            more = {"starting_after": page["data"][-1]["id"]} if page["data"] else {}
            page = s.get("/v1/prices", {"limit": 3, **more})
            seen += [p["product"] for p in page["data"]]
        assert seen == ids
        middle = page["data"][-1]["id"]
        back = s.get("/v1/prices", {"limit": 2, "ending_before": middle})
        assert [p["product"] for p in back["data"]] == ids[4:6] and back["has_more"] is True
        made = s.get("/v1/prices", {"limit": 1})["data"][0]["created"]
        for range_, count in (({"gte": made}, 1), ({"gt": made}, 0), ({"lt": made}, 6),
                              ({"gte": made - 11, "lt": made}, 1), (made, 1)):
            assert len(s.get("/v1/prices", {"created": range_})["data"]) == count, range_
        assert len(s.get("/v1/prices", {"limit": 1000})["data"]) == 7, "a limit is clamped"
        refused(s.request("GET", "/v1/prices", {"starting_after": "price_x"}), 400,
                "resource_missing", "starting_after")
        refused(s.request("GET", "/v1/prices", {"starting_after": middle,
                                                "ending_before": middle}), 400)
        refused(s.request("GET", "/v1/prices", {"bogus": 1}), 400, "parameter_unknown", "bogus")
        assert s.get("/v1/customers", {"email": "owner@example.com"})["data"][0]["id"] == s.customer
        assert s.get("/v1/customers", {"email": "Owner@example.com"})["data"] == []
        types = s.get("/v1/events", {"types": ["product.created"], "limit": 100})["data"]
        assert [e["data"]["object"]["id"] for e in types] == ids


def test_the_signature_is_stripes():
    with Stripe() as s:
        assert s.sign('{"id":"evt_test"}', "whsec_test", 1700000000) == (
            "t=1700000000,v1=14c4f43763339dcb1c15f41a1ff31a94f2f09f8de278f8b4392ca0d7cbcd257e")


class Endpoint:
    """A webhook endpoint that keeps what it gets and answers 200."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/hook" % self.listener.getsockname()[1]
        self.got = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as f:
                f.readline()
                headers = http.client.parse_headers(f)
                body = f.read(int(headers["Content-Length"]))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                self.got.append((headers["Stripe-Signature"], body))


def test_webhooks_are_sent_signed():
    with Shop() as s:
        end = Endpoint()
        s.aim_webhooks(end.url, "whsec_test")
        card = s.add_card(s.customer)["id"]
        s.buy(card, "k")

        def sent(count):
            while len([d for d in s.deliveries() if d["status"] is not None]) < count:
                pass

        sent(4)
        events = {e["id"]: e["payload"] for e in s.events()}
        for signature, body in end.got:
            assert events[json.loads(body)["id"]].encode() == body
            assert s.sign(body.decode(), "whsec_test",
                          int(signature[2:].split(",")[0])) == signature
        ids = [e["id"] for e in s.events("charge.succeeded", "payment_intent.succeeded")]
        s.aim_webhooks(end.url, "whsec_test", auto=False)
        s.send_events(ids[1], ids[0], ids[1])
        sent(7)
        again = [json.loads(body)["id"] for _, body in end.got[4:]]
        assert again == [ids[1], ids[0], ids[1]], "one after the other"
        copy = s.control("events/copy", event=ids[0])["id"]
        assert copy != ids[0] and copy in [e["id"] for e in s.events("charge.succeeded")]
        end.listener.close()


def test_the_clock_and_the_reset():
    with Shop() as s:
        now = s.advance(3600)
        answer = s.request("GET", "/v1/customers/" + s.customer)
        assert now - answer.json["created"] >= 3600
        made = s.post("/v1/customers", "late", {})
        assert made["created"] >= now
        s.fault("error_before", path="/v1/customers", count=5)
        assert s.request("GET", "/v1/customers").status == 500
        s.reset()
        assert s.get("/v1/customers")["data"] == [] and s.events() == []
        assert [r["path"] for r in s.requests()] == ["/v1/customers"]


main()
