#!/usr/bin/env python3
"""Scopes of keys: what each opens, what is listed, what passes on; and the budget's ceiling."""

import json
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, echo_tool, main  # noqa: E402

ECHO = {"tools": {"echo": echo_tool(10)}}
BILLING = {"buy_tokens", "top_up_credits", "billing_portal", "set_billing_preferences",
           "set_auto_reload"}
# Arguments that are right, of each free tool that has any.
RIGHT = {
    "buy_tokens": {"amount_usd": 5}, "top_up_credits": {"amount_usd": 5},
    "set_billing_preferences": {"budget_limit": 5}, "set_auto_reload": {"enabled": False},
}


def make_key(home, *scopes, org=None):
    options = ["--scopes", ",".join(scopes)] if scopes else []
    return home.cli("keys", "create", *options, *(["--org", org] if org else [])).out.strip()


def with_key(key):
    return {"FAREBOX_API_KEY": key}


def names(s):
    return {tool["name"] for tool in s.request("tools/list")["tools"]}


def forget_scopes(home):
    """As if the keys had been made before there were scopes."""
    with sqlite3.connect(home.store) as db:
        db.execute("UPDATE api_key SET scopes = NULL")
    db.close()


def test_a_tool_is_listed_for_those_who_may_call_it_and_answers_others_forbidden():
    with Home(ECHO) as home:
        with home.server() as s:
            everything = names(s)
        assert BILLING < everything
        for scopes, seen in ((("call",), everything - BILLING),
                             (("billing",), BILLING | {"ping"}),
                             (("call", "billing"), everything),
                             (("admin",), {"ping"})):
            key = make_key(home, *scopes)
            for era in ("modern", "legacy", "bare"):
                with home.server(era=era, env=with_key(key)) as s:
                    assert names(s) == seen, (scopes, era, names(s) ^ seen)
            listed = home.cli("tools", "--json", env=with_key(key)).json()["tools"]
            assert {tool["name"] for tool in listed} == seen, scopes
            with home.server(env=with_key(key)) as s:
                for tool in everything - seen:
                    # Also with arguments that are wrong: who may not call need not know how.
                    for arguments in (RIGHT.get(tool, {}), {"no such": 1}):
                        error = s.call_error(tool, arguments, code="FORBIDDEN")
                        lacking = "billing" if tool in BILLING else "call"
                        assert error["scope"] == lacking and lacking in error["message"], error
                        assert error["http_status"] == 403 and not error["retryable"], error
                s.call_ok("ping")
        assert home.query("SELECT count(*) FROM payment")[0][0] == 0
        assert home.query("SELECT count(*) FROM entry WHERE kind <> 1")[0][0] == 0


def test_a_new_key_has_call_and_a_caller_without_a_key_may_buy():
    with Home(ECHO) as home:
        made = home.cli("keys", "create", "--json").json()
        assert made["scopes"] == ["call"], made
        with home.server(env=with_key(made["api_key"])) as s:
            s.call("echo", {"a": 1})
            assert s.balance() == 90
            s.call_error("buy_tokens", {"amount_usd": 5}, code="FORBIDDEN")
        with home.server() as s:
            s.call_ok("buy_tokens", {"amount_usd": 5})
        both = home.cli("keys", "create", "--scopes", "billing,call", "--json").json()
        assert both["scopes"] == ["call", "billing"], both
        listed = {k["id"]: k["scopes"] for k in home.cli("keys", "list", "--json").json()["keys"]}
        assert listed == {made["id"]: ["call"], both["id"]: ["call", "billing"]}, listed
        table = home.cli("keys", "list").out
        assert "SCOPES" in table and "call,billing" in table, table


def test_scopes_that_are_none_make_no_key():
    with Home() as home:
        home.cli("orgs", "list")
        for bad in ("", ",", "call,", ",call", "call,call", "root", "Call", "call billing",
                    "call, billing", "call,billing,admin,call", "*"):
            done = home.cli("keys", "create", "--scopes", bad, status=2)
            assert "--scopes" in done.err, (bad, done.err)
        assert home.query("SELECT count(*) FROM api_key")[0][0] == 0


def test_rotation_keeps_scopes_and_needs_billing():
    with Home(ECHO) as home:
        call = make_key(home)
        with home.server(env=with_key(call)) as s:
            assert s.call_ok("get_api_key")["prefix"] == call[:12]
            error = s.call_error("get_api_key", {"rotate": True}, code="FORBIDDEN")
            assert error["scope"] == "billing", error
            s.call_ok("get_api_key", {"rotate": False})
        both = make_key(home, "call", "billing")
        with home.server(env=with_key(both)) as s:
            new = s.call_ok("get_api_key", {"rotate": True})["api_key"]
        with home.server(env=with_key(new)) as s:
            s.call_ok("buy_tokens", {"amount_usd": 5})
        for key in (call, new):
            newer = home.cli("keys", "rotate", key[:12], "--json").json()
            assert newer["scopes"] == (["call"] if key == call else ["call", "billing"]), newer
        less = home.cli("keys", "rotate", newer["id"], "--scopes", "call", "--json").json()
        assert less["scopes"] == ["call"], less
        home.cli("keys", "rotate", less["id"], "--scopes", "nothing", status=2)
        with home.server(env=with_key(less["api_key"])) as s:
            s.call_error("buy_tokens", {"amount_usd": 5}, code="FORBIDDEN")


def test_no_caller_makes_a_key_that_may_do_more_than_he():
    with Home(ECHO) as home:
        admin = make_key(home, "call", "billing", "admin")
        with home.server() as s:
            # The newest key of the org is what a caller without one would replace.
            error = s.call_error("get_api_key", {"rotate": True}, code="FORBIDDEN")
            assert error["scope"] == "admin", error
        with home.server(env=with_key(admin)) as s:
            assert s.call_ok("get_api_key")["prefix"] == admin[:12]
    with Home(ECHO) as home, home.server() as s:
        first = s.call_ok("get_api_key")
        assert "api_key" in first, first
        assert home.cli("keys", "list", "--json").json()["keys"][0]["scopes"] == ["call"]


def test_keys_of_before_scopes_call_and_buy_and_doctor_names_them():
    with Home(ECHO) as home:
        key, gone = make_key(home), make_key(home)
        forget_scopes(home)
        home.cli("keys", "revoke", gone[:12])
        new = make_key(home)
        with home.server(env=with_key(key)) as s:
            assert BILLING < names(s)
            s.call_ok("buy_tokens", {"amount_usd": 5})
            s.call("echo", {"a": 1})
        found = [c for c in home.cli("doctor", "--json").json()["checks"] if c["check"] == "keys"]
        assert len(found) == 1 and found[0]["status"] == "warn", found
        assert key[:12] in found[0]["text"] and "rotate" in found[0]["remedy"], found
        # Nobody decides that by a rotation alone.
        newer = home.cli("keys", "rotate", key[:12], "--json").json()
        assert newer["scopes"] == ["call", "billing"], newer
        said = home.cli("doctor").out
        assert newer["prefix"] in said and new[:12] not in said, said
        home.cli("keys", "rotate", newer["prefix"], "--scopes", "call")
        assert "before keys had scopes" not in home.cli("doctor").out


def test_a_list_does_not_wait_for_a_store_and_shows_no_more_than_a_new_key_may_use():
    with Home(ECHO) as home:
        key = make_key(home, "call", "billing")
        nowhere = os.path.join(home.path, "file", "wallet.db")
        with open(os.path.dirname(nowhere), "w", encoding="ascii"):
            pass
        for era in ("modern", "legacy"):
            with home.server(era=era, env={"FAREBOX_STORE": nowhere, **with_key(key)}) as s:
                found = names(s)
                assert "echo" in found and not BILLING & found, found
                s.call_error("buy_tokens", {"amount_usd": 5}, code="STORE_UNAVAILABLE")
            # Without a key nothing of it is asked.
            with home.server(era=era, env={"FAREBOX_STORE": nowhere}) as s:
                assert BILLING < names(s)


def test_a_list_without_a_key_makes_no_store():
    with Home(ECHO) as home:
        with home.server() as s:
            names(s)
        home.cli("tools")
        assert not os.path.exists(home.store)


def test_a_caller_without_billing_is_not_told_to_buy():
    with Home(ECHO) as home:
        keys = {scopes: make_key(home, *scopes.split(",")) for scopes in ("call", "call,billing")}
        with home.server() as s:
            for n in range(10):
                s.call("echo", {"n": n})
        for scopes, key in keys.items():
            with home.server(env=with_key(key)) as s:
                error = s.call_error("echo", {"a": 1}, code="INSUFFICIENT_CREDITS")
                may_buy = "billing" in scopes
                assert ("tool" in error["top_up"]) == may_buy, error
                assert ("buy_tokens" in json.dumps(error)) == may_buy, error
                assert error["top_up"]["amount_usd"] == 5, error
                assert may_buy or "operator" in error["resolution_hint"], error


def test_the_operators_command_line_is_not_bound():
    with Home(ECHO) as home:
        key = make_key(home)
        home.cli("billing", "checkout", "--amount", "5")
        home.cli("billing", "preferences", "--set", "budget_limit=5")
        error = home.cli("billing", "checkout", "--amount", "5", "--json", env=with_key(key),
                         status=1)
        assert json.loads(error.out)["error"]["code"] == "FORBIDDEN", error.out
        home.cli("keys", "create", "--scopes", "admin", env=with_key(key))


if __name__ == "__main__":
    main()
