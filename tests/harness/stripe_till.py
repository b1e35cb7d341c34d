"""A farebox whose till is the stand-in for Stripe.

    with Stripe() as stripe, Till(stripe) as home, home.server() as s:
        home.save_card(s)
        assert s.call_ok("buy_tokens", {"amount_usd": 25})["status"] == "succeeded"
        home.check_books()

Balances are compared by what was bought: the starter grant is switched off.
"""

import os
import time

from farebox_test import TIMEOUT_S, Home, echo_tool
from stripe_double import SECRET_KEY, WEBHOOK_SECRET

MAIL = "owner@example.com"
TOOLS = {"now": echo_tool(1), "dear": echo_tool(500)}
# payment.state and entry.kind as they are stored.
SUBMITTED, REQUIRES_ACTION, OPEN, SUCCEEDED, FAILED, CANCELLED, REFUNDED, DISPUTED = range(2, 10)
PURCHASE, RELOAD = 3, 4


class Till(Home):
    """A home whose payments are Stripe's; stripe is the running double."""

    def __init__(self, stripe, email=MAIL, starter=0, tools=None, env=None):
        org = {"starter_tokens": starter}
        if email:
            org["email"] = email
        self.stripe = stripe
        super().__init__({"org": org, "tools": TOOLS if tools is None else tools},
                         {"FAREBOX_STRIPE_API_BASE": stripe.url, "STRIPE_SECRET_KEY": SECRET_KEY,
                          "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET, **(env or {})},
                         payments="stripe")

    def save_card(self, s, behaviour="ok", default=False):
        """A customer with a card and nothing bought: by the portal, as users do."""
        s.call_ok("billing_portal")
        return self.stripe.add_card(self.customer(), behaviour, default=default)["id"]

    def customer(self):
        customers = self.stripe.objects("customer")
        assert len(customers) == 1, customers
        return customers[0]["id"]

    def payments(self):
        """(state, kind, credit in cents), oldest first."""
        return self.query("SELECT state, kind, credit_cents FROM payment ORDER BY id")

    def state_of(self, payment_id):
        rows = self.query("SELECT state FROM payment WHERE id = ?",
                          bytes.fromhex(payment_id.split("_")[1]))
        return rows[0][0]

    def granted(self):
        """Cents that payments put into the wallet, and how often."""
        rows = self.query("SELECT count(*), coalesce(sum(amount_microusd), 0) FROM entry "
                          "WHERE kind IN (?, ?)", PURCHASE, RELOAD)
        return rows[0][0], rows[0][1] // 10000

    def make_recent_old(self, seconds=301):
        """As if all payments were made so much earlier. Only while no farebox runs."""
        self.change("UPDATE payment SET created_ms = created_ms - ?", seconds * 1000)

    def forget_declines(self):
        """As if ten minutes had passed since the last one. Only while no farebox runs."""
        self.change("UPDATE payment SET declined_ms = declined_ms - 600000")

    def age_requests(self, kept_s, sent_s):
        """As if what was kept for Stripe were so much older, and sent so much longer ago. Only
        while no farebox runs."""
        self.change("UPDATE gateway_request SET sent_ms = coalesce(sent_ms, created_ms) - ?, "
                    "created_ms = created_ms - ?", sent_s * 1000, kept_s * 1000)

    def make_due(self):
        """As if it were time to ask Stripe again. Only while no farebox runs."""
        self.change("UPDATE poller SET next_ms = 0, until_ms = 0")

    def wait(self, s, condition, timeout=TIMEOUT_S, pause=0.02):
        """Until the condition holds while the server works."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that; stderr:\n" + s.err_text()
            s.call_ok("ping")
            time.sleep(pause)

    def wait_state(self, s, payment_id, state, timeout=TIMEOUT_S):
        self.wait(s, lambda: self.state_of(payment_id) == state, timeout)

    def settled_balance(self, s, tokens, timeout=TIMEOUT_S):
        """Asks for the balance until it is that; a balance asks Stripe at most every 1.5 s."""
        self.wait(s, lambda: s.balance() == tokens, timeout, 0.2)

    def balance_after_look(self):
        """Of a process that starts now, once it has looked at what went back at Stripe."""
        with self.server() as s:
            s.call_ok("list_invoices")
            return s.balance()

    def webhook(self, event, status=0):
        """Applies one event of the double as a web server would hand it over."""
        path = os.path.join(self.path, "event.json")
        with open(path, "w", encoding="utf-8", newline="") as f:
            f.write(event["payload"])
        return self.cli("webhook", "apply", "--signature", self.stripe.sign(event["payload"]),
                        path, status=status)

    def check_books(self):
        """Nobody was charged twice, what was charged was granted once, and the ledger proves it."""
        seen = self.stripe.invariants()
        assert seen["charged_twice"] == [], seen
        assert seen["unclaimed_charges"] == [], seen
        assert all(n == 1 for n in seen["customers_of_org"].values()), seen
        fees = self.query("SELECT coalesce(sum(fee_cents), 0) FROM payment "
                          "WHERE state IN (5, 8, 9)")[0][0]
        paid = [p["amount"] for kind in ("purchases", "topups") for p in seen[kind].values()]
        count, cents = self.granted()
        assert (count, cents + fees) == (len(paid), sum(paid)), (count, cents, fees, paid)
        self.ledger_verify()
