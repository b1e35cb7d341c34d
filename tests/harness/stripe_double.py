"""The stand-in for Stripe: starts fake-stripe, tells it what to do, asks what it has seen.

    with Stripe() as stripe:
        env = {"FAREBOX_STRIPE_API_BASE": stripe.url, "STRIPE_SECRET_KEY": SECRET_KEY}
        stripe.fault("drop_after", "POST", "/v1/payment_intents")
        ...
        assert stripe.invariants()["charged_twice"] == []

What it refuses and keeps stands in tests/fakes/stripe_double.h, its control interface in
tests/fakes/stripe_control.c and stripe_control_money.c.
"""

import http.client
import json
import os
import urllib.parse

from farebox_test import SANITIZER_SAYS, TIMEOUT_S, Program, fake

VERSION = "2026-10-28.endive"
SECRET_KEY = "sk_test_farebox"
RESTRICTED_KEY = "rk_test_farebox"
WEBHOOK_SECRET = "whsec_farebox"


def form(params, outer=None):
    """Pairs as Stripe's clients write them: {"a": {"b": [1]}} is a[b][0]=1."""
    pairs = []
    items = params.items() if isinstance(params, dict) else enumerate(params)
    for name, value in items:
        full = str(name) if outer is None else "%s[%s]" % (outer, name)
        if isinstance(value, (dict, list, tuple)):
            pairs += form(value, full)
        elif isinstance(value, bool):
            pairs.append((full, "true" if value else "false"))
        else:
            pairs.append((full, str(value)))
    return pairs


class Answer:
    """Of one request: status, headers in lower case, body and, where it is JSON, json."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body
        self.json = json.loads(body) if "json" in self.headers.get("content-type", "") else None

    @property
    def error(self):
        return self.json["error"]


class Stripe(Program):
    """fake-stripe; port and url say where."""

    def __init__(self, *args):
        env = {name: os.environ[name] for name in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                                                   "LSAN_OPTIONS") if name in os.environ}
        super().__init__([fake("fake-stripe"), *args], env)
        self.until(lambda: any(line.startswith("listening ") for line in self.out_lines))
        self.port = int(self.out_lines[0].split()[1])
        self.url = "http://127.0.0.1:%d" % self.port

    def __exit__(self, kind, *_):
        if self._pidfd < 0:
            return
        try:
            self.terminate()
            status = self.wait_exit()
            said = self.err_text()
            if kind is None:
                assert status == 0, "status %d, stderr:\n%s" % (status, said)
                assert not any(word in said for word in SANITIZER_SAYS), said
            elif said:
                print("--- stderr of fake-stripe\n%s---" % said)
        finally:
            self.dispose()

    # What a client does.

    def connect(self, timeout=TIMEOUT_S):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def send(self, connection, method, path, params=None, key=None, auth="Bearer " + SECRET_KEY,
             version=VERSION, body=None, headers=None):
        """Sends a request without waiting for its answer."""
        all_headers = {"Authorization": auth, "Stripe-Version": version, "Idempotency-Key": key,
                       **(headers or {})}
        encoded = urllib.parse.urlencode(form(params or {}))
        if method == "POST":
            all_headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            body = encoded if body is None else body
        elif encoded:
            path += "?" + encoded
        connection.request(method, path, body, {n: v for n, v in all_headers.items() if v})

    def request(self, method, path, params=None, **how):
        """One request of the API over a connection of its own."""
        connection = self.connect()
        try:
            self.send(connection, method, path, params, **how)
            got = connection.getresponse()
            return Answer(got.status, got.getheaders(), got.read())
        finally:
            connection.close()

    def get(self, path, params=None, **how):
        """The object of a GET that must succeed."""
        answer = self.request("GET", path, params, **how)
        assert answer.status == 200, answer.body
        return answer.json

    def post(self, path, key, params=None, **how):
        """The object of a POST that must succeed."""
        answer = self.request("POST", path, params, key=key, **how)
        assert answer.status == 200, answer.body
        return answer.json

    # What a test does behind Stripe's back.

    def control(self, command, /, **what):
        """Tells the control interface; what comes back is JSON."""
        return self._control("POST", command, json.dumps(what))

    def _control(self, method, path, body=None):
        connection = self.connect()
        try:
            connection.request(method, "/_control/" + path, body)
            got = connection.getresponse()
            text = got.read()
            assert got.status == 200, "%s: %s" % (path, text.decode())
            return json.loads(text)
        finally:
            connection.close()

    def reset(self):
        self.control("reset")

    def fault(self, mode, method=None, path="/", **how):
        """The next requests (count, after skip) that begin so go wrong; see stripe_faults.c."""
        if method is not None:
            how["method"] = method
        self.control("faults/add", mode=mode, path=path, **how)

    def clear_faults(self):
        self.control("faults/clear")

    def add_card(self, customer, behaviour="ok", default=False, **card):
        return self.control("cards/add", customer=customer, behaviour=behaviour, default=default,
                            **card)

    def behave(self, card, behaviour):
        return self.control("cards/behave", payment_method=card, behaviour=behaviour)

    def pay_invoice(self, invoice, behaviour="ok", **how):
        """As the customer on the hosted page."""
        return self.control("invoices/pay", invoice=invoice, behaviour=behaviour, **how)

    def complete_session(self, session, behaviour="ok", **how):
        return self.control("sessions/complete", session=session, behaviour=behaviour, **how)

    def settle(self, intent, paid):
        return self.control("intents/settle", payment_intent=intent, paid=paid)

    def refund(self, charge, amount=None, **how):
        """As from the dashboard."""
        if amount is not None:
            how["amount"] = amount
        return self.control("charges/refund", charge=charge, **how)

    def dispute(self, charge, inquiry=False, **how):
        return self.control("disputes/open", charge=charge, inquiry=inquiry, **how)

    def close_dispute(self, dispute, won):
        return self.control("disputes/close", dispute=dispute, won=won)

    def advance(self, seconds):
        """The double's clock; nothing waits."""
        return self.control("clock", advance_s=seconds)["now"]

    def forget_keys(self):
        """As when 24 hours have passed."""
        self.control("keys/forget")

    def aim_webhooks(self, url, secret=WEBHOOK_SECRET, auto=True):
        self.control("webhooks", url=url, secret=secret, auto=auto)

    def send_events(self, *ids):
        """One after the other; an id that stands here twice is sent twice."""
        self.control("webhooks/send", events=ids)

    def sign(self, payload, secret=WEBHOOK_SECRET, t=None):
        """The value of Stripe-Signature for these bytes."""
        more = {} if t is None else {"t": t}
        return self.control("events/sign", payload=payload, secret=secret, **more)["signature"]

    # What a test asks at the end.

    def requests(self, method=None, path=""):
        return [r for r in self._control("GET", "requests")
                if (method is None or r["method"] == method) and r["path"].startswith(path)]

    def objects(self, type):
        return self._control("GET", "objects").get(type, [])

    def events(self, *types):
        """Those of the types (or all), each with its exact payload."""
        return [e for e in self._control("GET", "events") if not types or e["type"] in types]

    def event_types(self):
        return [e["type"] for e in self.events()]

    def deliveries(self):
        return self._control("GET", "deliveries")

    def invariants(self):
        """purchases, topups, charged_twice, unclaimed_charges, customers_of_org."""
        return self._control("GET", "invariants")


class Shop(Stripe):
    """A double with one customer, and what our product asks of it."""

    def __enter__(self):
        self.customer = self.post("/v1/customers", "cust", {
            "email": "owner@example.com", "metadata": {"org_id": "org_1"}})["id"]
        return self

    def purchase(self, card, purchase="p1", **more):
        params = {"amount": 2500, "currency": "usd", "customer": self.customer,
                  "payment_method": card, "allowed_payment_method_types": ["card"],
                  "off_session": True, "confirm": True, "description": "5.5% & more",
                  "metadata": {"org_id": "org_1", "purchase_id": purchase}, **more}
        return {name: value for name, value in params.items() if value is not None}

    def buy(self, card, key, purchase="p1", **more):
        return self.request("POST", "/v1/payment_intents", self.purchase(card, purchase, **more),
                            key=key)

    def draft(self, key="inv", **more):
        return self.post("/v1/invoices", key, {
            "customer": self.customer, "collection_method": "send_invoice", "days_until_due": 1,
            "auto_advance": False, "metadata": {"topup_id": key},
            "payment_settings": {"payment_method_types": ["card"]}, **more})["id"]

    def add_item(self, invoice, key, amount):
        return self.post("/v1/invoiceitems", key, {
            "customer": self.customer, "invoice": invoice, "amount": amount, "currency": "usd",
            "description": key, "metadata": {"kind": key}})

    def open_invoice(self, key="inv"):
        invoice = self.draft(key)
        self.add_item(invoice, key + "-credit", 2000)
        self.add_item(invoice, key + "-fee", 110)
        return self.post("/v1/invoices/%s/finalize" % invoice, key + "-fin",
                         {"auto_advance": False})

    def types_of(self, action):
        """The events that the action makes."""
        before = len(self.event_types())
        action()
        return self.event_types()[before:]


def refused(answer, status, code=None, param=None, type="invalid_request_error", message=None):
    """The error of an answer that must be one."""
    assert answer.status == status, (answer.status, answer.body)
    error = answer.error
    assert error["type"] == type, error
    assert error.get("code") == code, error
    assert param is None or error.get("param") == param, error
    assert message is None or message in error["message"], error
    assert answer.headers["request-id"].startswith("req_"), answer.headers
    return error
