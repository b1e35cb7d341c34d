#!/usr/bin/env python3
"""What a person needs around Stripe: doctor, webhook verify and apply, orgs email."""

import hashlib
import hmac
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, main
from stripe_double import RESTRICTED_KEY, SECRET_KEY, WEBHOOK_SECRET, Stripe

LIVE_KEY = "sk_live_0123456789secret"
EMAIL = {"org": {"name": "default", "email": "billing@example.com"}}
WHOLE = {**EMAIL, "stripe": {"return_url": "https://example.com/billing"}}
AREAS = {
    "/v1/customers": "Customers: Write",
    "/v1/payment_methods": "PaymentMethods: Read",
    "/v1/payment_intents": "PaymentIntents: Write",
    "/v1/checkout/sessions": "Checkout Sessions: Write",
    "/v1/invoices": "Invoices: Write",
    "/v1/refunds": "Charges and Refunds: Read",
    "/v1/disputes": "Disputes: Read",
    "/v1/billing_portal/configurations": "Customer portal: Write",
}
# Vectors that openssl and Stripe's own client agree on.
MINIMAL = '{"id":"evt_test"}'
MINIMAL_V1 = "14c4f43763339dcb1c15f41a1ff31a94f2f09f8de278f8b4392ca0d7cbcd257e"
PRETTY = '{\n  "id": "evt_1",\n  "object": "event",\n  "data": {"object": {"name": "Zo\u00eb \u2013 5 \u20ac"}}\n}'
VECTORS = [
    ("whsec_test", MINIMAL, "t=1700000000,v1=" + MINIMAL_V1),
    ("whsec_4f9c2b7e1a", PRETTY,
     "t=1795000000,v1=300b6fdd18c3b7e4cf5be4767b35fc851b0d6a4b203af114e2312c0e2a45cbe6"),
    ("whsec_test", MINIMAL,
     "t=1700000000,v1=%s,v1=%s,v0=%s" % ("ab" * 32, MINIMAL_V1, "cd" * 32)),
]


def at(stripe, key=SECRET_KEY, **more):
    return {"STRIPE_SECRET_KEY": key, "FAREBOX_STRIPE_API_BASE": stripe.url, **more}


def stripe_home(stripe, config=None, key=SECRET_KEY, **more):
    return Home(config, env=at(stripe, key, **more), payments=None)


def signature(payload, secret=WEBHOOK_SECRET, t=None):
    t = int(time.time()) if t is None else t
    v1 = hmac.new(secret.encode(), b"%d." % t + payload.encode(), hashlib.sha256).hexdigest()
    return "t=%d,v1=%s" % (t, v1)


def examine(home, status=0, env=None):
    """The checks by name (several remedies and texts where one stands several times)."""
    done = home.cli("doctor", "--json", status=status, env=env)
    report = done.json()
    assert report["ok"] is (status == 0), report
    checks = {}
    for c in report["checks"]:
        assert (c["remedy"] is None) == (c["status"] == "ok"), c
        checks.setdefault(c["check"], []).append(c)
    for secret in (SECRET_KEY, RESTRICTED_KEY, LIVE_KEY, WEBHOOK_SECRET):
        assert secret not in done.out + done.err, done.out + done.err
    return checks


def one(checks, name, status, *says):
    assert len(checks[name]) == 1, checks[name]
    check = checks[name][0]
    assert check["status"] == status, check
    for word in says:
        assert word in check["text"] + (check["remedy"] or ""), (word, check)
    return check


def test_doctor_changes_nothing_and_is_content_with_a_whole_setup():
    with Stripe() as stripe, stripe_home(stripe, WHOLE) as home:
        checks = examine(home)
        assert not os.path.exists(home.store)
        one(checks, "config", "ok", "farebox.json")
        one(checks, "store", "ok", home.store, "not there yet")
        one(checks, "payments", "ok", "stripe")
        one(checks, "stripe.key", "ok", "sk_test_...", "test mode")
        one(checks, "stripe.reach", "ok", "2026-10-28.endive")
        one(checks, "stripe.clock", "ok")
        one(checks, "stripe.account", "ok", "acct_", "US", "charges enabled")
        one(checks, "stripe.permissions", "ok")
        one(checks, "stripe.portal", "ok")
        one(checks, "stripe.return_url", "ok", "https://example.com/billing")
        one(checks, "org.email", "ok")
        one(checks, "stripe.webhook", "ok", "asks Stripe itself")
        one(checks, "stripe.api_base", "warn", stripe.url)
        asked = stripe.requests()
        assert {r["method"] for r in asked} == {"GET"}, asked
        assert {r["path"] for r in asked} == {"/v1/account", *AREAS}, asked
        # With a store, and for people.
        home.cli("grant", "--tokens", "7")
        checks = examine(home)
        one(checks, "store", "ok", "sqlite", "version")
        one(checks, "org", "ok", "default: 107 tokens")
        done = home.cli("doctor")
        assert re.search(r"^ok +stripe\.account +acct_", done.out, re.MULTILINE), done.out
        assert re.search(r"^warn +stripe\.api_base ", done.out, re.MULTILINE), done.out
        assert "-> It is for tests" in done.out and "0 failed, 1 warned" in done.err


def test_doctor_without_stripe_asks_nobody():
    with Stripe() as stripe, Home(payments="sandbox", env=at(stripe)) as home:
        one(examine(home), "payments", "ok", "sandbox")
        one(examine(home, env={"FAREBOX_PAYMENTS": "off"}), "payments", "ok", "off")
        checks = examine(home, env={"FAREBOX_PAYMENTS": None, "STRIPE_SECRET_KEY": None})
        one(checks, "payments", "ok", "off")
        assert not any(name.startswith("stripe") for name in checks), checks
        home.configure(EMAIL)
        assert home.cli("config", "check", env={"FAREBOX_PAYMENTS": "stripe"}).out == "ok\n"
        assert stripe.requests() == []


def test_doctor_knows_a_live_key_and_a_wrong_one():
    with Stripe() as stripe, stripe_home(stripe, WHOLE) as home:
        checks = examine(home, 1, env={"STRIPE_SECRET_KEY": LIVE_KEY})
        one(checks, "stripe.key", "ok", "sk_live_...", "real money")
        one(checks, "stripe.account", "fail", "does not know this key", "API keys")
        assert "stripe.permissions" not in checks
        assert [r["path"] for r in stripe.requests()] == ["/v1/account"]
        one(examine(home, 1, env={"STRIPE_SECRET_KEY": "sk_test_wrong"}), "stripe.account", "fail")
        stripe.reset()
        one(examine(home, 1, env={"STRIPE_SECRET_KEY": "pk_test_1"}), "stripe.key", "fail",
            "publishable")
        one(examine(home, 1, env={"STRIPE_SECRET_KEY": None, "FAREBOX_PAYMENTS": "stripe"}),
            "payments", "fail", "STRIPE_SECRET_KEY_FILE")
        one(examine(home, 1, env={"FAREBOX_STRIPE_API_BASE": "http://example.com"}),
            "stripe.api_base", "fail")
        assert stripe.requests() == []


def test_doctor_names_each_permission_that_a_restricted_key_lacks():
    with Stripe() as stripe, stripe_home(stripe, WHOLE, RESTRICTED_KEY) as home:
        one(examine(home), "stripe.key", "ok", "rk_test_...", "restricted")
        for path, permission in AREAS.items():
            stripe.control("permissions", denied=["GET " + path])
            one(examine(home, 1), "stripe.permissions", "fail", path, "'%s'" % permission)
        stripe.control("permissions", denied=["GET /v1/refunds", "GET /v1/disputes",
                                              "GET /v1/account"])
        checks = examine(home, 1)
        one(checks, "stripe.account", "warn")
        assert len(checks["stripe.permissions"]) == 2, checks
        one(checks, "stripe.portal", "ok")
        stripe.reset()
        stripe.control("portal", configured=False)
        one(examine(home), "stripe.portal", "warn", "Customer portal")


def test_doctor_compares_the_clocks():
    with Stripe() as stripe, stripe_home(stripe, WHOLE) as home:
        for offset, status, says in ((0, "ok", ""), (-55, "ok", ""), (55, "ok", ""),
                                     (-70, "warn", "ahead"), (70, "warn", "behind"),
                                     (-330, "fail", "ahead"), (330, "fail", "behind")):
            stripe.control("clock", offset_s=offset)
            one(examine(home, int(status == "fail")), "stripe.clock", status, says)


def test_doctor_goes_on_where_stripe_is_not_reached():
    with Stripe() as stripe, stripe_home(stripe, {}) as home:
        stripe.fault("error_before", "GET", "/v1/account", should_retry="false")
        checks = examine(home, 1)
        one(checks, "stripe.reach", "fail", "500", "status.stripe.com")
        env = {"FAREBOX_STRIPE_API_BASE": "http://127.0.0.1:1"}
        checks = examine(home, 1, env=env)
        one(checks, "stripe.reach", "fail", "Couldn't connect", "firewall")
        one(checks, "stripe.return_url", "warn", "example.com")
        one(checks, "org.email", "warn", "farebox orgs email --org ORG --email ADDRESS")
        one(checks, "stripe.webhook", "ok")
        assert "stripe.account" not in checks


def test_doctor_finds_what_is_wrong_at_home():
    with Home(payments="off") as home:
        home.configure({"org": {"nme": "x"}, "fees": 7})
        one(examine(home, 1), "config", "fail", "2 faults", "farebox config check")
        home.configure({"stripe": {"return_url": "${env:NOWHERE}/x"}})
        one(examine(home, 1), "config", "fail", "NOWHERE")
        home.configure({})
        one(examine(home, 1, env={"FAREBOX_CONFIG": "/nowhere.json"}), "config", "fail",
            "/nowhere.json")
        one(examine(home, 1, env={"FAREBOX_LOG": "loud"}), "log", "fail", "loud")
        one(examine(home, 1, env={"FAREBOX_STORE": home.path}), "store", "fail", "not a file")
        one(examine(home, 1, env={"FAREBOX_STORE": home.env["FAREBOX_CONFIG"] + "/x.db"}), "store",
            "fail", "Not a directory")
        junk = os.path.join(home.path, "junk.db")
        with open(junk, "w", encoding="ascii") as f:
            f.write("no database at all" * 100)
        os.chmod(junk, 0o600)
        one(examine(home, 1, env={"FAREBOX_STORE": junk}), "store", "fail", junk)
        key = home.cli("keys", "create", "--json").json()["api_key"]
        one(examine(home, env={"FAREBOX_API_KEY": key}), "api_key", "ok")
        one(examine(home, 1, env={"FAREBOX_API_KEY": "fbx_" + "A" * 43}), "api_key", "fail")
        os.chmod(home.store, 0o640)
        one(examine(home, 1), "store.mode", "fail", "chmod 600 " + home.store, "0640")


def test_doctor_minds_who_may_read_a_secret_file():
    with Stripe() as stripe, stripe_home(stripe, WHOLE) as home:
        path = os.path.join(home.path, "stripe.key")
        with open(path, "w", encoding="ascii") as f:
            f.write(SECRET_KEY + "\n")
        env = {"STRIPE_SECRET_KEY": None, "STRIPE_SECRET_KEY_FILE": path}
        os.chmod(path, 0o600)
        one(examine(home, env=env), "stripe.key", "ok")
        os.chmod(path, 0o644)
        found = examine(home, env=env)["stripe.key"]
        assert [c["status"] for c in found] == ["ok", "warn"], found
        assert found[1]["remedy"] == "chmod 600 " + path
        one(examine(home, env={"STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET}), "stripe.webhook", "ok",
            "1 signing secret")
        one(examine(home, env={"STRIPE_WEBHOOK_SECRET": "sk_test_1"}), "stripe.webhook", "warn")


def verify(home, payload, header, secrets=WEBHOOK_SECRET, status=0, command="verify"):
    """The event, or with another status the message."""
    done = home.cli("webhook", command, "--signature", header, "--json", stdin=payload,
                    status=status, env={"STRIPE_WEBHOOK_SECRET": secrets})
    for secret in re.split("[, ]", secrets or ""):
        assert len(secret) < 6 or secret not in done.out + done.err, done.out + done.err
    return done.json() if status == 0 else done.json()["error"]["message"]


def test_verify_agrees_with_the_vectors():
    with Home() as home:
        for secret, payload, header in VECTORS:
            # Genuine, and refused for its age only: the age is looked at after the signature.
            said = verify(home, payload, header, secret, 1)
            assert "timestamp is" in said and "check the clock" in said, said
            said = verify(home, payload, header, "whsec_other", 1)
            assert "no signature matches" in said, said
            said = verify(home, payload + "\n", header, secret, 1)
            assert "no signature matches" in said, said
            fresh = signature(payload, secret)
            assert verify(home, payload, fresh, secret)["id"] == json.loads(payload)["id"]
        assert not os.path.exists(home.store)


def test_verify_takes_the_bytes_as_they_came():
    body = '{"id": "evt_7",\r\n "type":"invoice.paid" , "name": "\u00eb"}\n\n'
    with Home() as home:
        path = os.path.join(home.path, "body")
        with open(path, "wb") as f:
            f.write(body.encode())
        env = {"STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET}
        for header in (signature(body), "Stripe-Signature: " + signature(body)):
            done = home.cli("webhook", "verify", "--signature", header, path, env=env)
            assert done.out == "evt_7 invoice.paid\n", done.out
        with open(path, "wb") as f:
            f.write(body.replace("\r\n", "\n").encode())
        done = home.cli("webhook", "verify", "--signature", signature(body), path, env=env,
                        status=1)
        assert done.out == "" and "no signature matches" in done.err


def test_verify_while_a_secret_is_rolled():
    body = '{"id": "evt_8", "type": "invoice.paid"}'
    with Home() as home:
        for secrets in ("whsec_older,whsec_newer", "whsec_newer whsec_older",
                        " whsec_newer,\n\twhsec_older,,"):
            for secret in ("whsec_older", "whsec_newer"):
                event = verify(home, body, signature(body, secret), secrets)
                assert event == {"id": "evt_8", "type": "invoice.paid"}, event
            verify(home, body, signature(body, "whsec_newe"), secrets, 1)
            verify(home, body, signature(body, ""), secrets, 1)
        assert "more than 8" in verify(home, body, signature(body), ",".join(
            "whsec_%d" % i for i in range(9)), 1)


def test_verify_refuses_what_is_not_good():
    now = int(time.time())
    with Home() as home:
        said = verify(home, MINIMAL, signature(MINIMAL, t=now - 400), status=1)
        assert "in the past" in said, said
        assert "in the future" in verify(home, MINIMAL, signature(MINIMAL, t=now + 400), status=1)
        verify(home, MINIMAL, signature(MINIMAL, t=now - 200))
        assert "v1" in verify(home, MINIMAL, "t=%d" % now, status=1)
        assert "timestamp" in verify(home, MINIMAL, "v1=" + MINIMAL_V1, status=1)
        assert "missing" in verify(home, MINIMAL, "", status=1)
        assert "not set" in verify(home, MINIMAL, signature(MINIMAL), None, 1)
        assert "set, but empty" in verify(home, MINIMAL, signature(MINIMAL), "", 1)
        assert "holds no secret" in verify(home, MINIMAL, signature(MINIMAL, ","), ",", 1)
        assert "no event" in verify(home, "[1]", signature("[1]"), status=1)
        assert "no event" in verify(home, "{", signature("{"), status=1)
        long = '{"id":"%s"}' % ("x" * (1024 * 1024 - 9))
        verify(home, long, signature(long))
        assert "1048576 bytes" in verify(home, long + " ", signature(long + " "), status=1)
        home.cli("webhook", "verify", status=2)
        said = home.cli("webhook", "verify", "--signature", "x", "/nowhere", status=1).err
        assert "/nowhere: No such file" in said, said


def available(home):
    return home.query("SELECT available_microusd FROM wallet")[0][0] // 10000


def top_up(home, stripe, usd):
    """Pays an invoice behind farebox's back; returns the event of it."""
    url = home.cli("billing", "checkout", "--amount", str(usd), "--json").json()["url"]
    assert url.startswith("http"), url
    invoice = stripe.objects("invoice")[-1]["id"]
    stripe.pay_invoice(invoice)
    return [e for e in stripe.events("invoice.paid") if invoice in e["payload"]][-1]


def apply(home, payload, status=0, **how):
    return verify(home, payload, signature(payload), command="apply", status=status, **how)


def test_apply_credits_once():
    with Stripe() as stripe, stripe_home(stripe, WHOLE) as home:
        event = top_up(home, stripe, 20)
        assert available(home) == 100
        told = apply(home, event["payload"])
        assert told["id"] == event["id"] and told["payment_status"] == "succeeded", told
        assert available(home) == 2100
        assert apply(home, event["payload"])["payment_id"] == told["payment_id"]
        copy = stripe.control("events/copy", event=event["id"])
        other = [e for e in stripe.events("invoice.paid") if e["id"] != event["id"]][-1]
        assert copy and apply(home, other["payload"])["id"] == other["id"]
        assert available(home) == 2100
        home.ledger_verify()


def test_apply_takes_back_what_was_refunded():
    with Stripe() as stripe, stripe_home(stripe, WHOLE) as home:
        apply(home, top_up(home, stripe, 20)["payload"])
        charge = stripe.objects("charge")[-1]["id"]
        stripe.refund(charge)
        for event in stripe.events("charge.refunded", "refund.created"):
            apply(home, event["payload"])
        assert available(home) == 100
        home.ledger_verify()


def test_apply_believes_nothing_that_it_reads():
    with Stripe() as stripe, stripe_home(stripe, WHOLE) as home:
        home.cli("billing", "checkout", "--amount", "20")
        invoice = dict(stripe.objects("invoice")[-1], status="paid", amount_paid=2110)
        forged = json.dumps({"id": "evt_x", "type": "invoice.paid", "livemode": False,
                             "data": {"object": invoice}})
        assert apply(home, forged)["payment_status"] == "open"
        assert available(home) == 100
        seen = len(stripe.requests())
        verify(home, forged, signature(forged, "whsec_other"), status=1, command="apply")
        assert len(stripe.requests()) == seen and available(home) == 100
        said = apply(home, forged.replace('"livemode": false', '"livemode": true'), 1)
        assert "live mode" in said, said
        assert "no event" in apply(home, '{"id": "evt_y"}', 1)


def test_apply_of_what_is_not_ours_is_done():
    with Stripe() as stripe, stripe_home(stripe, EMAIL) as home:
        for type in ("customer.updated", "invoice.paid", "charge.refunded"):
            body = json.dumps({"id": "evt_z", "type": type, "livemode": False,
                               "data": {"object": {"id": "x_1", "object": "x"}}})
            assert apply(home, body) == {"id": "evt_z", "type": type, "payment_id": None,
                                         "payment_status": None}
        # Of another kind of endpoint: without an object, and in no mode.
        thin = apply(home, json.dumps({"id": "evt_t", "object": "v2.core.event",
                                       "type": "v1.billing.meter.no_meter_found"}))
        assert thin["id"] == "evt_t" and thin["payment_id"] is None, thin


def test_apply_asks_to_be_sent_again():
    with Stripe() as stripe, stripe_home(stripe, WHOLE) as home:
        event = top_up(home, stripe, 20)
        stripe.fault("error_before", "GET", "/v1/invoices", should_retry="false", count=1000)
        assert "not applied yet" in apply(home, event["payload"], 1)
        assert available(home) == 100
        stripe.clear_faults()
        apply(home, event["payload"])
        assert available(home) == 2100
        done = home.cli("webhook", "apply", "--signature", signature(event["payload"]),
                        stdin=event["payload"], status=1,
                        env={"STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET, "FAREBOX_PAYMENTS": "off"})
        assert "PAYMENTS_NOT_CONFIGURED" in done.err


def test_an_address_is_set_and_invoices_go_there():
    with Stripe() as stripe, stripe_home(stripe) as home:
        done = home.cli("billing", "checkout", "--amount", "20", status=1)
        assert "farebox orgs email --org ORG --email ADDRESS" in done.err, done.err
        one(examine(home), "org.email", "warn")
        org = home.cli("orgs", "email", "--org", "default", "--email", "a@example.com",
                       "--json").json()
        assert org["name"] == "default" and org["email"] == "a@example.com", org
        one(examine(home), "org.email", "ok")
        home.cli("billing", "checkout", "--amount", "20")
        assert stripe.objects("customer")[-1]["email"] == "a@example.com"
        home.cli("orgs", "create", "--name", "acme")
        done = home.cli("orgs", "email", "--org", "acme", "--email", "b@example.com")
        assert done.out == "" and "acme go to b@example.com" in done.err, done.err
        orgs = {o["name"]: o["email"] for o in home.cli("orgs", "list", "--json").json()["orgs"]}
        assert orgs == {"default": "a@example.com", "acme": "b@example.com"}, orgs
        home.cli("orgs", "email", "--org", "nobody", "--email", "b@example.com", status=1)
        home.cli("orgs", "email", "--org", "acme", "--email", "nowhere", status=2)
        home.cli("orgs", "email", "--org", "acme", status=2)
        home.configure(EMAIL)
        done = home.cli("orgs", "email", "--org", "default", "--email", "c@example.com")
        assert "billing@example.com is used" in done.err, done.err
        home.ledger_verify()


main()
