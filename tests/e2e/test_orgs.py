#!/usr/bin/env python3
"""What an org is called: names that are told apart from ids and from each other, the default org,
and orgs of the configuration that are not there."""

import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, echo_tool, main, usage_of  # noqa: E402


def orgs(home, **more):
    return home.cli("orgs", "list", "--json", **more).json()["orgs"]


def create(home, name):
    return home.cli("orgs", "create", "--name", name, "--json").json()


def execute(home, *statements):
    with sqlite3.connect(home.store) as db:
        for sql, *values in statements:
            db.execute(sql, values)
    db.close()


def default_of(home):
    return [o["name"] for o in orgs(home) if o["default"]]


def test_a_name_that_is_no_name_makes_no_org():
    with Home() as home:
        acme = create(home, "acme")
        bad = [acme["id"], acme["id"].upper(), "org_01a2", "KEY_01", "call_0", "Pay_deadbeef",
               "fbx_abc", "", " ", " x", "x ", "a\tb", "a\nb", "a\x1bb", "x\u00a0", "\u200bx",
               "a\u202eb", "\ufeffx", "\u3000", "a\u0085b", "x" * 101]
        for name in bad:
            done = home.cli("orgs", "create", "--name", name, status=2)
            assert "--name" in done.err, (name, done.err)
            done = home.cli("orgs", "rename", "--org", "acme", "--name", name, status=2)
            assert "--name" in done.err, (name, done.err)
        for name in ("acme", "ACME", "aCmE", "Default"):
            done = home.cli("orgs", "create", "--name", name, status=1)
            assert "already" in done.err, (name, done.err)
        assert [o["name"] for o in orgs(home)] == ["default", "acme"]
        for name in ("organic", "org_acme", "key west", "pay", "call_me", "acmé", "x" * 100):
            create(home, name)


def test_a_name_that_is_anothers_id_is_nobodys_word():
    # A store of an earlier version may have one.
    with Home() as home:
        one, two = create(home, "one"), create(home, "two")
        execute(home, ("UPDATE org SET name = ? WHERE name = 'two'", one["id"]))
        for args in (["grant", "--tokens", "5", "--org", one["id"]],
                     ["keys", "create", "--org", one["id"]],
                     ["orgs", "email", "--email", "a@b.c", "--org", one["id"]]):
            done = home.cli(*args, status=1)
            assert "--org" in done.err and "rename" in done.err, done.err
        assert {o["tokens"] for o in orgs(home)} == {100}
        home.cli("orgs", "rename", "--org", two["id"], "--name", "two")
        home.cli("grant", "--tokens", "5", "--org", one["id"])
        assert {o["name"]: o["tokens"] for o in orgs(home)} == {
            "default": 100, "one": 105, "two": 100}


def test_a_renamed_org_keeps_its_wallet_and_its_keys_and_its_prices_go_by_the_name():
    config = {"tools": {"echo": echo_tool(10)}, "orgs": {
        "acme": {"prices": {"echo": {"kind": "flat", "tokens": 3}}},
        "apex": {"prices": {"echo": {"kind": "flat", "tokens": 2}}}}}
    with Home(config) as home:
        acme = create(home, "acme")
        key = home.cli("keys", "create", "--org", "acme").out.strip()
        with home.server(env={"FAREBOX_API_KEY": key}) as s:
            assert usage_of(s.call("echo", {"n": 1}))["tokens"] == 3
            said = home.cli("orgs", "rename", "--org", "acme", "--name", "apex", "--json").json()
            assert said["id"] == acme["id"] and said["name"] == "apex", said
            # In the process that runs, too.
            assert usage_of(s.call("echo", {"n": 2}))["tokens"] == 2
            assert s.balance() == 95
            done = home.cli("orgs", "rename", "--org", acme["id"], "--name", "plain")
            assert "farebox.json still has 'apex'" in done.err, done.err
            assert usage_of(s.call("echo", {"n": 3}))["tokens"] == 10
        home.cli("orgs", "rename", "--org", "nobody", "--name", "x", status=1)
        home.cli("orgs", "rename", "--org", "plain", "--name", "DEFAULT", status=1)
        home.cli("orgs", "rename", "--org", "plain", "--name", "Plain")
        home.cli("orgs", "rename", "--org", "plain", "--name", "x", status=1)
        home.ledger_verify()


def test_what_is_configured_for_an_org_is_its_own_in_any_case_of_letters():
    config = {"tools": {"echo": echo_tool(10)}, "budget": {"max_usd": 50}, "orgs": {
        "ACME": {"budget": {"max_usd": 0.1}, "purchases": {"per_day_usd": 5},
                 "prices": {"echo": {"kind": "flat", "tokens": 7}}}}}
    with Home(config) as home:
        create(home, "acme")
        key = home.cli("keys", "create", "--org", "acme", "--scopes", "call,billing").out.strip()
        with home.server(env={"FAREBOX_API_KEY": key}) as s:
            assert usage_of(s.call("echo", {"n": 1}))["tokens"] == 7
            s.call_error("echo", {"n": 2}, code="BUDGET_EXCEEDED")
            s.call_error("buy_tokens", {"amount_usd": 20}, code="PURCHASE_LIMIT")
        home.cli("config", "check", "--store")
        config["orgs"]["acme"] = {}
        home.configure(config)
        assert "case of letters" in home.cli("config", "check", status=1).out


def test_the_default_org_follows_its_name_and_is_granted_starter_tokens_once():
    with Home({"org": {"name": "one"}, "tools": {"echo": echo_tool(10)}}) as home:
        with home.server() as s:
            s.call("echo", {"n": 1})
        for name in ("two", "three", "TWO"):
            home.configure({"org": {"name": name}, "tools": {"echo": echo_tool(10)}})
            with home.server() as s:
                assert s.balance() == 90
            assert [(o["name"], o["tokens"]) for o in orgs(home)] == [(name, 90)]
        # Without a name in the file it keeps the one that it has.
        home.configure({"tools": {"echo": echo_tool(10)}})
        assert default_of(home) == ["TWO"]
        home.cli("orgs", "rename", "--org", "TWO", "--name", "four")
        with home.server() as s:
            assert s.balance() == 90
        assert default_of(home) == ["four"]
        assert home.query("SELECT count(*) FROM entry WHERE kind = 1")[0][0] == 1


def test_a_configured_name_of_the_default_org_is_changed_in_the_file():
    with Home({"org": {"name": "one"}}) as home:
        done = home.cli("orgs", "rename", "--org", "one", "--name", "two", status=1)
        assert "org.name" in done.err, done.err
        assert default_of(home) == ["one"]


def test_a_default_org_whose_name_is_anothers_serves_nobody():
    with Home({"org": {"name": "one"}, "tools": {"echo": echo_tool(10)}}) as home:
        home.cli("billing", "balance")
        other = create(home, "Two")
        key = home.cli("keys", "create", "--org", "Two").out.strip()
        home.configure({"org": {"name": "two"}, "tools": {"echo": echo_tool(10)}})
        with home.server() as s:
            for tool, arguments in (("echo", {"n": 1}), ("get_token_balance", {})):
                error = s.call_error(tool, arguments, code="STORE_UNAVAILABLE")
                assert "two" in error["message"] and "one" in error["message"], error
                assert "rename" in error["message"] and not error["retryable"], error
        # Others are served, and the operator can mend it.
        with home.server(env={"FAREBOX_API_KEY": key}) as s:
            s.call("echo", {"n": 1})
            assert s.balance() == 90
        home.cli("keys", "list", status=1)
        said = home.cli("doctor", "--json", status=1).json()["checks"]
        assert [c["status"] for c in said if c["check"] == "org.name"] == ["fail"], said
        home.cli("orgs", "rename", "--org", other["id"], "--name", "other")
        with home.server() as s:
            assert s.balance() == 100
        assert {o["name"]: o["tokens"] for o in orgs(home)} == {"two": 100, "other": 90}


def test_a_store_of_before_has_its_default_org_found():
    for name, default in (("acme", "acme"), ("new", "new"), (None, "default")):
        with Home() as home:
            home.cli("billing", "balance")
            create(home, "acme")
            create(home, "zeta")
            execute(home, ("DELETE FROM default_org",))
            home.configure({"org": {"name": name}} if name else {})
            home.cli("doctor")
            assert home.query("SELECT count(*) FROM default_org")[0][0] == 0
            with home.server() as s:
                assert s.balance() == 100
            assert default_of(home) == [default], name
            assert len(orgs(home)) == 3
            names = {o["name"] for o in orgs(home)}
            assert names == {"acme", "zeta", "default" if name != "new" else "new"}, names


def test_configured_orgs_that_are_not_there_are_named():
    config = {"org": {"name": "own"}, "tools": {"echo": echo_tool(10)}, "orgs": {
        name: {"prices": {"echo": {"kind": "flat", "tokens": 3}}}
        for name in ("acmee", "a/b", "acme", "own")}}
    with Home(config) as home:
        path = home.env["FAREBOX_CONFIG"]
        home.cli("config", "check", path)
        report = home.cli("config", "check", path, "--store", "--json").json()
        assert report["ok"] and len(report["warnings"]) == 1, report
        assert not os.path.exists(home.store)
        create(home, "acme")
        home.cli("config", "check", path)
        report = home.cli("config", "check", path, "--store", "--json", status=1).json()
        assert [f["pointer"] for f in report["faults"]] == ["/orgs/acmee", "/orgs/a~1b"], report
        assert "acme" in report["faults"][0]["text"], report
        checks = home.cli("doctor", "--json", status=1).json()["checks"]
        found = [c["text"] for c in checks if c["check"] == "orgs" and c["status"] == "fail"]
        assert len(found) == 2 and "/orgs/acmee" in found[0], checks
        create(home, "acmee")
        create(home, "a/b")
        home.cli("config", "check", path, "--store")
        home.cli("doctor")
    with Home() as home:
        with open(home.store, "w", encoding="ascii") as f:
            f.write("no store" * 1000)
        home.configure(config)
        home.cli("config", "check", home.env["FAREBOX_CONFIG"], "--store", status=1)


def test_a_configuration_does_not_call_an_org_by_an_id():
    for config, pointer in (({"org": {"name": "org_01a2"}}, "/org/name"),
                            ({"org": {"name": " x"}}, "/org/name"),
                            ({"orgs": {"org_" + "0" * 32: {}}}, "/orgs/org_" + "0" * 32),
                            ({"orgs": {"x ": {}}}, "/orgs/x ")):
        with Home(config) as home:
            report = home.cli("config", "check", "--json", status=1).json()
            assert [f["pointer"] for f in report["faults"]] == [pointer], report
            done = home.cli("billing", "balance", status=1)
            assert pointer in done.err, done.err
            assert not os.path.exists(home.store)


if __name__ == "__main__":
    main()
