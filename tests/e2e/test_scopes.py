#!/usr/bin/env python3
"""Scopes of keys: what each opens, what is listed, what passes on; and the budget's ceiling."""

import contextlib
import fcntl
import json
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, content_of, echo_tool, main  # noqa: E402
from paying import CAN_PAY, accept, offered, pay, refused  # noqa: E402

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
                s.call_error("buy_tokens", {"amount_usd": 5}, code="STORE_BROKEN")
            # Without a key nothing of it is asked.
            with home.server(era=era, env={"FAREBOX_STORE": nowhere}) as s:
                assert BILLING < names(s)


def test_a_list_is_answered_while_another_process_stands_still_with_the_store():
    with Home(ECHO) as home, contextlib.ExitStack() as locks:
        key = make_key(home, "call", "billing")
        # Whatever files stand beside the store to take turns by: all of them are held.
        for name in os.listdir(home.path):
            if name.startswith("wallet.db-") and not name.endswith(("-wal", "-shm")):
                f = locks.enter_context(open(os.path.join(home.path, name), "rb"))
                fcntl.flock(f, fcntl.LOCK_EX)
        with home.server(env=with_key(key)) as s:
            found = names(s)
            assert "echo" in found and not BILLING & found, found


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


def test_who_may_not_buy_is_offered_one_page_at_a_time():
    config = {"org": {"starter_tokens": 0},
              "tools": {"small": echo_tool(30), "big": echo_tool(3000)}}
    with Home(config) as home:
        key = make_key(home)
        with home.server(env=with_key(key), **CAN_PAY) as s, \
                home.server(env=with_key(key), **CAN_PAY) as other:
            payment, url, state = offered(s.call("small", {}))
            # It does not cover this; paid, it is out of the way.
            assert offered(other.call("big", {}))[:2] == (payment, url)
            assert offered(s.call("big", {"n": 1}))[:2] == (payment, url)
            assert len(home.query("SELECT id FROM payment")) == 1
            pay(home, payment)
            content_of("small", s.call("small", {}, **accept(state)))
            second, _, state = offered(s.call("big", {}))
            assert second != payment
            pay(home, second)
            content_of("big", s.call("big", {}, **accept(state)))
        home.ledger_verify()
    with Home(config) as home:
        # A page of one's own for each key, and as many as wanted for who may buy.
        first, second = make_key(home), make_key(home)
        with home.server(env=with_key(first), **CAN_PAY) as a, \
                home.server(env=with_key(second), **CAN_PAY) as b, home.server(**CAN_PAY) as c:
            one = offered(a.call("small", {}))[0]
            assert offered(b.call("small", {}))[0] == one
            two = offered(b.call("big", {}))[0]
            assert two != one
            # What covers it may be anybody's.
            assert offered(c.call("big", {}))[0] == two
        with home.server(env=with_key(first)) as s:
            error = refused(s.call("small", {}))
            assert "url" in error["top_up"] and "tool" not in error["top_up"], error


def test_the_operators_command_line_is_not_bound():
    with Home(ECHO) as home:
        key = make_key(home)
        home.cli("billing", "checkout", "--amount", "5")
        home.cli("billing", "preferences", "--set", "budget_limit=5")
        error = home.cli("billing", "checkout", "--amount", "5", "--json", env=with_key(key),
                         status=1)
        assert json.loads(error.out)["error"]["code"] == "FORBIDDEN", error.out
        home.cli("keys", "create", "--scopes", "admin", env=with_key(key))


def set_budget(s, usd, code=None):
    if code is None:
        return s.call_ok("set_billing_preferences", {"budget_limit": usd})["budget_limit"]
    return s.call_error("set_billing_preferences", {"budget_limit": usd}, code=code)


def test_an_agent_sets_a_budget_up_to_what_the_operator_allows():
    with Home({**ECHO, "budget": {"max_usd": 50}}) as home:
        key = make_key(home, "call", "billing")
        for env in ({}, with_key(key)):
            with home.server(env=env) as s:
                for usd in (50.01, 1000000):
                    error = set_budget(s, usd, "FORBIDDEN")
                    assert "budget.max_usd" in error["message"] and "50" in error["message"], error
                    assert error["max_usd"] == 50 and error["field"] == "budget_limit", error
                    assert not error["retryable"] and "scope" not in error, error
                assert set_budget(s, 20) == 20
                set_budget(s, None, "FORBIDDEN")
                assert set_budget(s, 50) == 50
                # With other members nothing of it is stored.
                s.call_error("set_billing_preferences",
                             {"budget_limit": 51, "auto_reload_threshold": 9}, code="FORBIDDEN")
                assert s.call_ok("get_billing_preferences")["auto_reload_threshold"] == 5
        # farebox call is an agent, farebox billing the operator; an agent may lower what he set.
        home.cli("call", "set_billing_preferences", '{"budget_limit":60}', status=1)
        home.cli("billing", "preferences", "--set", "budget_limit=80", env=with_key(key), status=1)
        home.cli("billing", "preferences", "--set", "budget_limit=80")
        with home.server() as s:
            assert set_budget(s, 70) == 70
            assert set_budget(s, 70) == 70
            set_budget(s, 71, "FORBIDDEN")
        home.cli("billing", "preferences", "--set", "budget_limit=null")
        with home.server() as s:
            # It is so already.
            assert set_budget(s, None) is None
            set_budget(s, 51, "FORBIDDEN")
    with Home(ECHO) as home, home.server() as s:
        for usd in (20, 1000000, 0, None):
            assert set_budget(s, usd) == usd


def test_the_operators_ceiling_stops_calls_of_an_org_without_a_budget():
    config = {**ECHO, "org": {"starter_tokens": 1000}, "budget": {"max_usd": 0.25},
              "orgs": {"acme": {"budget": {"max_usd": 0.15}}, "zeta": {"prices": {}}}}
    with Home(config) as home:
        for org, fits in ((None, 2), ("acme", 1), ("zeta", 2)):
            if org:
                home.cli("orgs", "create", "--name", org)
            with home.server(env=with_key(make_key(home, org=org))) as s:
                assert s.call_ok("quote", {"tool": "echo"})["affordable"] is True
                for n in range(fits):
                    s.call("echo", {"n": n})
                assert s.call_ok("quote", {"tool": "echo"})["affordable"] is False
                error = s.call_error("echo", {"n": 9}, code="BUDGET_EXCEEDED")
                assert error["limit_usd"] == (0.15 if org == "acme" else 0.25), error
                assert s.call_ok("get_billing_preferences")["budget_limit"] is None
        # By the name that the org has now.
        home.cli("orgs", "rename", "--org", "acme", "--name", "plain")
        with home.server(env=with_key(make_key(home, org="plain"))) as s:
            s.call("echo", {"n": 9})
            s.call_error("echo", {"n": 10}, code="BUDGET_EXCEEDED")


def test_the_operators_ceiling_bounds_reloads():
    for most, reloads in ((19.99, 0), (39.99, 1)):
        config = {**ECHO, "budget": {"max_usd": most}, "orgs": {"x": {}}}
        with Home(config) as home:
            home.cli("orgs", "create", "--name", "x")
            with home.server() as s:
                s.call_ok("buy_tokens", {"amount_usd": 5})
                s.call_ok("set_billing_preferences", {
                    "auto_reload_enabled": True, "auto_reload_threshold": 100,
                    "auto_reload_amount": 20})
            # The server ends when what it began is over.
            assert home.query("SELECT count(*) FROM payment WHERE kind = 3")[0][0] == reloads, most


def test_agents_together_do_not_pass_the_ceiling():
    with Home({**ECHO, "budget": {"max_usd": 50}}) as home, home.server() as a, home.server() as b:
        ids = [(s, s.send_call("set_billing_preferences", {"budget_limit": usd}))
               for usd in (10, 49, 51, 12, 60, None, 50) for s in (a, b)]
        for s, id in ids:
            s.wait(id)
        assert a.call_ok("get_billing_preferences")["budget_limit"] == 50


def test_a_ceiling_that_is_none_is_a_fault_of_the_file():
    for value in (0, -1, "50", None, True, [], 1e300, 100000001, 0.001, {}):
        for config, pointer in (({"budget": {"max_usd": value}}, "/budget/max_usd"),
                                ({"orgs": {"acme": {"budget": {"max_usd": value}}}},
                                 "/orgs/acme/budget/max_usd")):
            with Home(config) as home:
                report = home.cli("config", "check", "--json", status=1).json()
                assert {f["pointer"] for f in report["faults"]} == {pointer}, (value, report)
                home.cli("billing", "balance", status=1)
                assert not os.path.exists(home.store)
    for budget, pointer in ((5, "/budget"), ({"max": 5}, "/budget/max")):
        with Home({"budget": budget}) as home:
            report = home.cli("config", "check", "--json", status=1).json()
            assert [f["pointer"] for f in report["faults"]] == [pointer], report


if __name__ == "__main__":
    main()
