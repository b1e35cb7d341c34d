#!/usr/bin/env python3
"""Play money on a store that goes live: it stays where it is, cannot be spent, and is taken out."""

import glob
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, error_of, main  # noqa: E402

CONFIG = {"tools": {"echo": {"inputSchema": {"type": "object"},
                             "price": {"kind": "flat", "tokens": 10},
                             "provider": {"kind": "echo"}}}}
# Nobody listens there: nothing of this needs Stripe.
LIVE = {"FAREBOX_PAYMENTS": "stripe", "STRIPE_SECRET_KEY": "sk_live_0123456789",
        "FAREBOX_STRIPE_API_BASE": "http://127.0.0.1:9"}
SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "schemas", "sql")


def played():
    home = Home(CONFIG)
    with home.server() as s:
        s.call_ok("buy_tokens", {"amount_usd": 500})
        for _ in range(3):
            s.call_ok("echo")
    return home


def balance(home, env=None):
    return home.cli("--json", "billing", "balance", env=env).json()


def test_money_of_the_sandbox_cannot_be_spent_on_a_live_store_in_any_process():
    with played() as home:
        assert "test_tokens" not in balance(home)
        for env in (LIVE, None, {"FAREBOX_PAYMENTS": "off"},
                    {**LIVE, "STRIPE_SECRET_KEY": "sk_test_0123456789"}):
            left = balance(home, env)
            assert (left["tokens"], left["test_tokens"]) == (100, 49970), (env, left)
            assert left["usd"] == 1
        # What is real can be spent to the last token, and no more.
        with home.server(env=LIVE) as s:
            for _ in range(10):
                s.call_ok("echo")
            error = error_of(s.call("echo", {}))
            assert error["code"] == "INSUFFICIENT_CREDITS" and error["available_tokens"] == 0
            assert error["shortfall_tokens"] == 10, error
            assert not s.call_ok("quote", {"tool": "echo", "arguments": {}})["affordable"]
        home.cli("ledger", "verify")


def test_the_sandbox_and_test_keys_sell_nothing_on_a_live_store():
    with played() as home:
        balance(home, LIVE)
        for env in (None, {**LIVE, "STRIPE_SECRET_KEY": "sk_test_0123456789"}):
            with home.server(env=env) as s:
                for tool in ("buy_tokens", "top_up_credits"):
                    error = error_of(s.call(tool, {"amount_usd": 25}))
                    assert error["code"] == "PAYMENTS_NOT_CONFIGURED", error
                    assert "live Stripe key" in error["message"], error


def test_doctor_names_the_amount_of_each_org_and_the_remedy_takes_it_out_once():
    with played() as home:
        home.cli("orgs", "create", "--name", "acme")
        before = home.cli("--json", "doctor").json()["checks"]
        assert not [c for c in before if c["check"] == "test_money"]
        balance(home, LIVE)
        told = [c for c in home.cli("--json", "doctor", status=1).json()["checks"]
                if c["check"] == "test_money"]
        assert [c["status"] for c in told] == ["fail"], told
        assert "default has 49970 tokens" in told[0]["text"], told
        checked = home.cli("config", "check", "--store", status=1).out
        assert "default has 49970 tokens" in checked and "void-test-money" in checked, checked
        remedy = told[0]["remedy"].split()
        assert remedy[:3] == ["farebox", "orgs", "void-test-money"], remedy
        voided = home.cli("--json", *remedy[1:]).json()["orgs"]
        assert [(o["name"], o["voided_tokens"], o["tokens"], o["test_tokens"])
                for o in voided] == [("default", 49970, 100, 0)]
        assert home.cli("--json", "orgs", "void-test-money", "--all").json() == {"orgs": []}
        assert "test_tokens" not in balance(home, LIVE)
        assert home.query("SELECT kind, from_account, to_account, amount_microusd FROM entry "
                          "ORDER BY seq DESC LIMIT 1") == [(13, 1, 4, 499700000)]
        home.cli("ledger", "verify")


def test_doctor_warns_before_the_first_use_of_a_live_key():
    with played() as home:
        text = [c["text"] for c in home.cli("--json", "doctor", env=LIVE, status=1).json()["checks"]
                if c["check"] == "test_money"]
        assert len(text) == 1 and "is a live one" in text[0], text
        assert home.query("SELECT * FROM live") == []


def test_void_test_money_refuses_what_it_does_not_know():
    with played() as home:
        home.cli("orgs", "void-test-money", "--org", "nobody", status=1)
        home.cli("orgs", "void-test-money", "--org", "default", "--all", status=2)
        home.cli("orgs", "void-test-money", "--nope", status=2)
        assert balance(home)["tokens"] == 50070


def test_an_older_store_knows_its_play_money_from_its_entries():
    with played() as home:
        columns = "play_microusd, play_base_microusd - play_microusd, live_seq"
        path = glob.glob(os.path.join(SCHEMAS, "*_play.sqlite.sql"))[0]
        db = sqlite3.connect(home.store)
        with db:
            db.execute("DROP TABLE live")
            for name in ("play_microusd", "live_seq", "play_base_seq", "play_base_microusd"):
                db.execute("ALTER TABLE wallet DROP COLUMN " + name)
            with open(path, encoding="utf-8") as f:
                db.executescript(f.read())
        assert db.execute("SELECT %s FROM wallet" % columns).fetchall() == [(499700000, 0, None)]
        db.close()
        home.cli("ledger", "verify")
        with home.server() as s:
            s.call_ok("echo")
        home.cli("ledger", "verify")
        assert balance(home, LIVE)["test_tokens"] == 49960


if __name__ == "__main__":
    main()
