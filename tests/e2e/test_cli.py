#!/usr/bin/env python3
"""The command line: every subcommand, its help, its exit status, its JSON, its messages."""

import datetime
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import at_time
import ledger_audit
from farebox_test import (Home, Program, SANITIZER_SAYS, TREE, binary, main,
                          wait_for_a_whole)

ECHO = {
    "tools": {
        "echo_flat": {"price": {"kind": "flat", "tokens": 2}, "provider": {"kind": "echo"}},
        "echo_cost": {"price": {"kind": "cost_plus", "raw_cost_usd": 0.005, "markup": 1.05},
                      "provider": {"kind": "echo"}},
        "echo_slow": {"price": {"kind": "flat", "tokens": 7},
                      "provider": {"kind": "echo", "delay_ms": 30000}, "timeout_ms": 50000},
        "echo_broken": {"price": {"kind": "flat", "tokens": 2},
                        "provider": {"kind": "echo", "outcome": "5xx"}},
    },
}
KEY = r"fbx_[A-Za-z0-9_-]{43}"


def fault(home, *args, status, code="INVALID_ARGUMENTS", says=(), env=None, stdin=""):
    """A failure in words on stderr, and the same as an object on stdout with --json."""
    done = home.cli(*args, status=status, env=env, stdin=stdin)
    assert done.out == "", done.out
    assert "code: " + code in done.err.split("\n"), done.err
    for word in says:
        assert word in done.err, (word, done.err)
    done = home.cli(*args, "--json", status=status, env=env, stdin=stdin)
    error = done.json()["error"]
    assert error["code"] == code and error["resolution_hint"], error
    return error


def on_terminal(home, *args, columns=80, env=None):
    """Status and output of a run whose three streams are a terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    run = subprocess.Popen([binary(), *args], stdin=follower, stdout=follower, stderr=follower,
                           env=home.environment(env), cwd=home.path, start_new_session=True)
    os.close(follower)
    out = b""
    while True:
        try:
            data = os.read(leader, 1 << 16)
        except OSError:  # how a terminal says that nobody is left
            data = b""
        if not data:
            break
        out += data
    os.close(leader)
    return run.wait(), out.decode().replace("\r\n", "\n")


def commands_below(command, path=()):
    for below in command["commands"]:
        yield (*path, below["name"]), below
        yield from commands_below(below, (*path, below["name"]))


def test_a_terminal_sees_no_mark_that_turns_text_around():
    turned = "ev\u202eil\u2066x\u200b\x9b"
    config = {"tools": {"say": {"price": {"kind": "flat", "tokens": 1},
                                "provider": {"kind": "echo"}}}}
    with Home(config) as home:
        home.cli("grant", "--tokens", "5", "--reason", "a\u202eb")
        home.cli("keys", "create", "--label", "a\u202eb")
        for args in (("call", "say", json.dumps({"a": turned}, ensure_ascii=False)),
                     ("ledger", "export"), ("keys", "list"), ("call", "no\u202e", "{}"),
                     ("call", "say", "{\"\u202e\": 1")):
            _, out = on_terminal(home, *args)
            assert "\\u202e" in out or args[2:] == ("{\"\u202e\": 1",), (args, out)
            assert not set(out) & set("\u202e\u2066\u200b\x9b"), (args, out)
        # What a program reads is data, and stays.
        assert "a\u202eb" in home.cli("ledger", "export").out
        assert "\u202e" in home.cli("call", "say", json.dumps({"a": turned}), "--json").out


def test_every_command_has_help():
    with Home() as home:
        tree = home.cli("help", "--json").json()
        found = list(commands_below(tree))
        names = {" ".join(path) for path, _ in found}
        assert {"mcp", "call", "quote", "tools", "billing balance", "billing checkout",
                "billing preferences", "billing invoices", "billing portal", "billing usage",
                "keys create", "keys list", "keys revoke", "keys rotate", "orgs create",
                "orgs email", "orgs list", "grant", "ledger verify", "ledger export",
                "sandbox pay", "webhook verify", "webhook apply", "config check", "config init",
                "doctor", "help", "version"} <= names, names
        for path, command in found:
            text = home.cli(*path, "--help").out
            assert text.startswith("Usage: " + command["usage"] + "\n"), text
            assert command["summary"] in text and command["summary"].endswith("."), text
            for option in command["options"]:
                assert "--" + option["name"] in text and option["help"] in text, text
            assert home.cli(*path, "-h").out == text
            assert home.cli("help", *path).out == text
            assert home.cli(*path, "--help", "--json").json() == command
            assert home.cli(*path, "--version").out == home.cli("version").out


def test_help_and_version_open_no_store():
    with Home() as home:
        for args in (["--help"], ["-h"], ["help"], ["version"], ["--version"], ["tools"],
                     ["billing", "--help"]):
            assert home.cli(*args).out
        assert not os.path.exists(home.store)


def test_version_is_that_of_the_build():
    with Home() as home:
        with open(os.path.join(TREE, "meson.build"), encoding="utf-8") as f:
            version = re.search(r"version: '([0-9.]+)'", f.read())[1]
        assert home.cli("--version").out == "farebox %s\n" % version
        assert home.cli("version", "--json").json() == {"name": "farebox", "version": version}


def test_typos_are_answered_with_the_nearest():
    with Home() as home:
        for args, nearest in ((["bilin"], "'billing'"), (["biling", "balance"], "'billing'"),
                              (["billing", "blance"], "'balance'"), (["kyes", "list"], "'keys'"),
                              (["help", "quotes"], "'quote'"),
                              (["call", "detct_hiring"], "'detect_hiring'"),
                              (["quote", "detect_hirng"], "'detect_hiring'"),
                              (["grant", "--tokns", "5"], "'--tokens'"),
                              (["tools", "--jsno"], "'--json'")):
            error = fault(home, *args, status=2, says=["Did you mean " + nearest])
            assert nearest in error["resolution_hint"], error
        assert "Did you mean" not in home.cli("zzzzzzzz", status=2).err


def test_usage_faults_name_what_is_wrong():
    with Home() as home:
        for args, field in ((["call"], "TOOL"), (["quote"], "TOOL"), (["sandbox", "pay"], "PAYMENT"),
                            (["keys", "revoke"], "KEY"), (["billing", "checkout"], "--amount"),
                            (["billing", "checkout", "--amount", "ten"], "--amount"),
                            (["billing", "preferences", "--set", "x"], "--set"),
                            (["billing", "invoices", "--limit", "0"], "--limit"),
                            (["orgs", "create"], "--name"),
                            (["orgs", "create", "--name", ""], "--name"),
                            (["orgs", "create", "--name", "a\nb"], "--name"),
                            (["orgs", "create", "--name", "a" * 101], "--name"),
                            (["orgs", "create", "--name", "a", "--email", "nobody"], "--email"),
                            (["keys", "create", "--label", "x" * 101], "--label"),
                            (["grant"], "--tokens"), (["grant", "--tokens", "0"], "--tokens"),
                            (["grant", "--tokens", "-5"], "--tokens"),
                            (["grant", "--tokens", "1.00001"], "--tokens"),
                            (["grant", "--tokens", "1e30"], "--tokens"),
                            (["grant", "--tokens", "5", "--reason", "r" * 501], "--reason"),
                            (["call", "ping", "--max-tokens", "-1"], "--max-tokens"),
                            (["call", "ping", "--idempotency-key", ""], "--idempotency-key"),
                            (["call", "ping", "{"], "JSON"), (["call", "ping", "[]"], "JSON"),
                            (["call", "ping", '{"a":1,"a":2}'], "JSON"),
                            (["sandbox", "pay", "pay_1"], "PAYMENT")):
            assert fault(home, *args, status=2, says=[field])["field"] == field
        assert "needs a value" in home.cli("grant", "--tokens", status=2).err
        assert "takes no value" in home.cli("grant", "--json=1", status=2).err
        assert "takes no value" in home.cli("grant", "--help=1", status=2).err
        assert "'-x'" in home.cli("grant", "-x", status=2).err
        assert "'more'" in home.cli("version", "more", status=2).err
        done = home.cli("billing", status=2)
        assert done.out == "" and "Commands:" in done.err
        assert home.cli("billing", "--json", status=2).json()["error"]["code"]
        assert not os.path.exists(home.store)


def test_bare_is_mcp_for_a_pipe_and_help_for_a_terminal():
    with Home() as home:
        with home.server(argv=()) as s:
            assert s.call_ok("ping")["ok"] is True
        assert home.cli(stdin="").out == ""
        status, out = on_terminal(home)
        assert status == 0 and out == home.cli("--help").out


def test_mcp_keeps_stdout_for_the_protocol():
    with Home() as home:
        done = home.cli("mcp", env={"FAREBOX_LOG": "debug"},
                        stdin='{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        assert [json.loads(line)["id"] for line in done.out.splitlines()] == [1]
        done = home.cli("mcp", "--json", env={"FAREBOX_PAYMENTS": "gold"}, status=1)
        assert done.out == "" and "FAREBOX_PAYMENTS" in done.err


def test_call_prints_the_result_and_its_cost():
    with Home(ECHO) as home:
        done = home.cli("call", "echo_flat", '{"text":"hi"}')
        assert done.json() == {"echo": {"text": "hi"}} and done.out.count("\n") == 1
        assert re.fullmatch(r"cost: 2 tokens \(\$0\.02\), \$0\.98 left, call_[0-9a-f]{32}\n",
                            done.err), done.err
        done = home.cli("call", "echo_cost", "-", "--json", stdin=' {"n": 1.10}\n')
        assert done.out == '{"echo":{"n":1.1}}\n', done.out
        assert done.err.startswith("cost: 0.53 tokens ($0.0053), $0.9747 left"), done.err
        done = home.cli("--json", "call", "ping")
        assert done.json()["ok"] is True and done.err == "cost: free\n"
        done = home.cli("call", "buy_tokens", '{"amount_usd": 5}')
        assert done.json()["status"] == "succeeded" and "free" not in done.err, done.err
        home.ledger_verify()


def test_call_of_a_tool_that_fails():
    with Home(ECHO) as home:
        error = fault(home, "call", "echo_broken", status=1, code="UPSTREAM_ERROR", says=["hint: "])
        assert error["retryable"] is True
        assert "cost: 0 tokens" in home.cli("call", "echo_broken", status=1).err
        error = fault(home, "call", "ping", '{"x":1}', status=1, says=["x: "])
        assert error["field"] == "x"
        home.cli("grant", "--tokens", "1")
        assert home.cli("billing", "balance", "--json").json()["tokens"] == 101
        home.ledger_verify()


def test_call_options_are_those_of_an_agent():
    with Home(ECHO) as home:
        fault(home, "call", "echo_flat", "{}", "--max-tokens", "1.9999", status=1,
              code="BUDGET_EXCEEDED")
        args = ("call", "echo_flat", '{"a":1}', "--max-tokens", "2", "--idempotency-key", "k")
        assert "replayed" not in home.cli(*args).err
        done = home.cli(*args)
        assert done.json() == {"echo": {"a": 1}} and done.err.endswith(", replayed\n"), done.err
        fault(home, "call", "echo_flat", '{"a":2}', "--idempotency-key", "k", status=1,
              code="IDEMPOTENCY_CONFLICT")
        assert home.cli("billing", "balance", "--json").json()["tokens"] == 98


def test_call_as_the_holder_of_a_key():
    with Home(ECHO) as home:
        home.cli("orgs", "create", "--name", "acme")
        key = home.cli("keys", "create", "--org", "acme").out.strip()
        home.cli("call", "echo_flat", env={"FAREBOX_API_KEY": key})
        tokens = {o["name"]: o["tokens"] for o in home.cli("orgs", "list", "--json").json()["orgs"]}
        assert tokens == {"default": 100, "acme": 98}, tokens
        fault(home, "call", "get_token_balance", status=1, code="UNAUTHENTICATED",
              env={"FAREBOX_API_KEY": "fbx_" + "A" * 43})
        fault(home, "billing", "balance", status=1, code="UNAUTHENTICATED",
              env={"FAREBOX_API_KEY": "nonsense"})


def held_tokens(home):
    return home.cli("billing", "balance", "--json").json()["held_tokens"]


def test_ctrl_c_gives_back_what_is_held():
    with Home(ECHO) as home:
        home.cli("call", "ping")
        for number in (signal.SIGINT, signal.SIGTERM):
            call = Program([binary(), "call", "echo_slow"], home.environment(), cwd=home.path)
            while held_tokens(home) != 7:
                assert call.process.poll() is None, "ended early"
            call.signal(number)
            status = call.wait_exit(10)
            call.check_healthy()
            assert status == 1 and "cancelled" in call.err_text(), (status, call.err_text())
            call.dispose()
            balance = home.cli("billing", "balance", "--json").json()
            assert (balance["tokens"], balance["held_tokens"]) == (100, 0), balance
        home.ledger_verify()


def test_a_reader_that_goes_away_is_no_crash():
    with Home() as home:
        home.cli("billing", "balance")  # there is a store to look at
        for args in (["ledger", "export"], ["tools"], ["tools", "--json"], ["call", "ping"],
                     ["--help"], ["orgs", "list"]):
            read_end, write_end = os.pipe()
            os.close(read_end)
            run = subprocess.run([binary(), *args], stdin=subprocess.DEVNULL, stdout=write_end,
                                 stderr=subprocess.PIPE, text=True, env=home.environment())
            os.close(write_end)
            assert run.returncode == 1, (args, run.returncode)
            assert not any(word in run.stderr for word in SANITIZER_SAYS), run.stderr
            assert "farebox:" not in run.stderr, run.stderr
        with open("/dev/full", "w", encoding="utf-8") as full:
            run = subprocess.run([binary(), "tools"], stdout=full, stderr=subprocess.PIPE,
                                 text=True, env=home.environment())
        assert run.returncode == 1 and "stdout: No space left" in run.stderr, run.stderr


def test_closed_descriptors_do_not_reach_the_store():
    with Home() as home:
        run = subprocess.run(["sh", "-c", 'exec "$0" tools <&- >&- 2>&-; exit 9', binary()],
                             env=home.environment(), cwd=home.path)
        assert run.returncode in (0, 1), run.returncode
        run = subprocess.run(["sh", "-c", 'exec "$0" grant --tokens 1 <&- >&- 2>&-', binary()],
                             env=home.environment(), cwd=home.path)
        home.ledger_verify()
        assert home.cli("billing", "balance", "--json").json()["tokens"] == 101


def test_quote_holds_nothing():
    with Home(ECHO) as home:
        quote = home.cli("quote", "echo_cost", "--json").json()
        assert quote["hold_tokens"] == 0.53 and quote["balance_tokens"] == 100, quote
        out = home.cli("quote", "echo_flat", "{}").out
        assert re.search(r"^tokens at most +2$", out, re.MULTILINE), out
        error = fault(home, "quote", "ping", '{"x":1}', status=1)
        assert error["field"] == "arguments.x", error
        assert held_tokens(home) == 0


def test_tools_are_listed_with_prices():
    with Home(ECHO) as home:
        lines = home.cli("tools").out.splitlines()
        assert lines[0].split() == ["NAME", "PRICE", "TITLE"]
        assert any(re.match(r"echo_flat +2 tokens", line) for line in lines), lines
        assert any(re.match(r"echo_cost +at most 0\.53 tokens", line) for line in lines), lines
        assert any(re.match(r"ping +free", line) for line in lines), lines
        listed = home.cli("tools", "--json").json()["tools"]
        with home.server() as s:
            assert listed == s.request("tools/list")["tools"]


def test_billing_is_what_agents_see():
    wait_for_a_whole("month")
    yesterday = (at_time.now() - datetime.timedelta(days=1)).date().isoformat()
    with Home(ECHO) as home:
        balance = home.cli("billing", "balance", "--json").json()
        with home.server() as s:
            assert s.call_ok("get_token_balance") == balance
        out = home.cli("billing", "balance").out
        assert re.search(r"^tokens +100$", out, re.MULTILINE), out
        assert re.search(r"^echo_flat +flat +2$", out, re.MULTILINE), out
        home.cli("call", "echo_flat")
        usage = home.cli("billing", "usage", "--group-by", "tool", "--json").json()
        assert [(g["group"], g["tokens"]) for g in usage["groups"]] == [("echo_flat", 2)], usage
        out = home.cli("billing", "usage", "--from", yesterday).out
        assert re.search(r"^total +1 +1 +0 +2 +0$", out, re.MULTILINE), out
        error = fault(home, "billing", "usage", "--from", "yesterday", status=1)
        assert error["field"] == "from", error
        error = fault(home, "billing", "usage", "--group-by", "moon", status=1)
        assert error["field"] == "group_by", error


def test_preferences_are_set_one_by_one():
    with Home() as home:
        assert home.cli("billing", "preferences", "--json").json()["budget_limit"] is None
        done = home.cli("billing", "preferences", "--set", "budget_limit=50.25", "--set",
                        "auto_reload_enabled=true", "--json").json()
        assert done["budget_limit"] == 50.25 and done["auto_reload_enabled"] is True, done
        out = home.cli("billing", "preferences", "--set", "budget_limit=null").out
        assert re.search(r"^auto_reload_enabled +yes$", out, re.MULTILINE), out
        assert re.search(r"^budget_limit +-$", out, re.MULTILINE), out
        for given, field in (("auto_reload_enabled=maybe", "auto_reload_enabled"),
                             ("auto_reload_amount=501", "auto_reload_amount"),
                             ("budget=5", "budget")):
            error = fault(home, "billing", "preferences", "--set", given, status=1)
            assert error["field"] == field, error
        fault(home, "billing", "preferences", "--set", "budget_limit=1", "--set",
              "budget_limit=2", status=2)


def test_a_checkout_is_paid_in_the_sandbox():
    with Home() as home:
        out = home.cli("billing", "checkout", "--amount", "20").out
        assert re.search(r"^total, USD +21\.1$", out, re.MULTILINE), out
        payment = home.cli("billing", "checkout", "--amount", "20", "--json").json()
        assert payment["fee_usd"] == 1.1 and payment["sandbox"] is True, payment
        invoices = home.cli("billing", "invoices", "--json").json()["items"]
        assert [i["id"] for i in invoices] == [payment["payment_id"]], invoices
        assert payment["payment_id"] in home.cli("billing", "invoices").out
        paid = home.cli("sandbox", "pay", payment["payment_id"], "--json").json()
        assert paid == {"payment_id": payment["payment_id"], "status": "succeeded",
                        "credit_usd": 20, "fee_usd": 1.1, "total_usd": 21.1, "tokens": 2000,
                        "balance_tokens": 2100, "sandbox": True}, paid
        error = fault(home, "sandbox", "pay", payment["payment_id"], status=1)
        assert error["field"] == "PAYMENT", error
        fault(home, "sandbox", "pay", "pay_" + "0" * 32, status=1)
        assert home.cli("billing", "portal").out.startswith("https://")
        error = fault(home, "billing", "checkout", "--amount", "4.99", status=1)
        assert error["field"] == "amount_usd", error
        second = home.cli("billing", "checkout", "--amount", "5", "--json").json()
        assert home.cli("sandbox", "pay", second["payment_id"]).out == (
            "paid $5.80: 500 tokens, balance 2600\n")
        page = home.cli("billing", "invoices", "--limit", "1")
        assert "--cursor " + second["payment_id"] in page.err, page.err
        rest = home.cli("billing", "invoices", "--cursor", second["payment_id"], "--json").json()
        assert [i["id"] for i in rest["items"]] == [payment["payment_id"]], rest
        home.ledger_verify()


def test_without_payments_nothing_is_paid():
    with Home(payments="off") as home:
        for args in (["sandbox", "pay", "pay_" + "0" * 32], ["billing", "checkout", "--amount", "9"],
                     ["billing", "portal"]):
            fault(home, *args, status=1, code="PAYMENTS_NOT_CONFIGURED")


def test_keys_live_from_create_to_revoke():
    with Home() as home:
        done = home.cli("keys", "create", "--label", "laptop")
        assert re.fullmatch(KEY + "\n", done.out), done.out
        first = done.out.strip()
        assert first not in done.err
        made = home.cli("keys", "create", "--json").json()
        assert re.fullmatch(KEY, made["api_key"]) and made["prefix"] == made["api_key"][:12], made
        keys = home.cli("keys", "list", "--json").json()["keys"]
        assert [(k["id"], k["label"]) for k in keys[:1]] == [(made["id"], "")], keys
        assert "api_key" not in json.dumps(keys) and first not in json.dumps(keys)
        assert re.search(r"valid +call +laptop$", home.cli("keys", "list").out, re.MULTILINE)
        rotated = home.cli("keys", "rotate", first[:12], "--json").json()
        assert rotated["label"] == "laptop" and rotated["api_key"] != first, rotated
        ask = ("call", "get_token_balance")
        home.cli(*ask, env={"FAREBOX_API_KEY": rotated["api_key"]})
        home.cli(*ask, env={"FAREBOX_API_KEY": first}, status=1)
        assert home.cli("keys", "revoke", rotated["id"], "--json").json()["revoked"] is True
        home.cli(*ask, env={"FAREBOX_API_KEY": rotated["api_key"]}, status=1)
        fault(home, "keys", "revoke", rotated["id"], status=1, says=["is revoked already"])
        fault(home, "keys", "rotate", first[:12], status=1, says=["is revoked already"])
        fault(home, "keys", "revoke", "fbx_nobody00", status=1, says=["there is no key"])
        assert home.cli("keys", "revoke", made["prefix"]).out == "revoked %s\n" % made["prefix"]


def test_orgs_have_their_own_wallets_and_keys():
    with Home() as home:
        org = home.cli("orgs", "create", "--name", "acmé", "--email", "b@acme.example",
                       "--json").json()
        assert org["tokens"] == 100 and org["email"] == "b@acme.example", org
        error = fault(home, "orgs", "create", "--name", "acmé", status=1)
        assert error["field"] == "--name", error
        home.cli("keys", "create", "--org", "acmé")
        home.cli("keys", "create", "--org", org["id"])
        assert len(home.cli("keys", "list", "--org", "acmé", "--json").json()["keys"]) == 2
        assert home.cli("keys", "list", "--json").json()["keys"] == []
        assert home.cli("keys", "list").err == "none\n"
        assert re.search(r" acmé +b@acme\.example$", home.cli("orgs", "list").out, re.MULTILINE)
        for args in (["keys", "create"], ["keys", "list"], ["ledger", "export"],
                     ["grant", "--tokens", "1"]):
            error = fault(home, *args, "--org", "nobody", status=1)
            assert error["field"] == "--org", error
        assert home.cli("orgs", "create", "--name", "b").out.startswith("org_")


def test_a_grant_is_an_entry_with_its_reason():
    with Home() as home:
        home.cli("orgs", "create", "--name", "acme")
        done = home.cli("grant", "--tokens", "0.0001", "--org", "acme", "--reason", "good will",
                        "--json").json()
        assert (done["tokens"], done["balance_tokens"]) == (0.0001, 100.0001), done
        assert home.cli("grant", "--tokens", "25.5").out == (
            "granted 25.5 tokens to default, which has 125.5 now\n")
        entries = [json.loads(line) for line in home.cli("ledger", "export").out.splitlines()]
        notes = [e for e in entries if e["note"] == "good will"]
        assert len(notes) == 1 and notes[0]["hash"] == done["receipt"], notes
        assert notes[0]["kind"] == "grant" and notes[0]["tokens"] == 0.0001, notes
        home.cli("grant", "--tokens", "900000000000000")
        error = fault(home, "grant", "--tokens", "900000000000000", status=1)
        assert error["field"] == "--tokens", error
        home.ledger_verify()


def test_the_exported_ledger_is_whole():
    with Home(ECHO) as home:
        key = home.cli("keys", "create").out.strip()
        home.cli("call", "echo_flat", env={"FAREBOX_API_KEY": key})
        home.cli("orgs", "create", "--name", "acme")
        lines = [json.loads(line) for line in home.cli("ledger", "export").out.splitlines()]
        assert [e["kind"] for e in lines] == ["starter_grant", "hold", "capture", "starter_grant"]
        assert [e["seq"] for e in lines] == [1, 2, 3, 1]
        capture = lines[2]
        assert capture["closing"] is True and capture["tool"] == "echo_flat", capture
        assert capture["ref"] == lines[1]["ref"] and capture["key"].startswith("key_"), capture
        one = home.cli("ledger", "export", "--org", "acme", "--json").out.splitlines()
        assert [json.loads(line) for line in one] == lines[3:]
        report = home.cli("ledger", "verify", "--json").json()
        assert report["ok"] is True and report["fault_texts"] == [], report
        assert (report["orgs"], report["entries"], report["open_holds"]) == (2, 4, 0), report
        assert report["root"] in home.cli("ledger", "verify").out


def test_verify_finds_a_changed_entry():
    import sqlite3
    with Home() as home:
        home.cli("grant", "--tokens", "5")
        root = home.cli("ledger", "verify", "--json").json()["root"]
        db = sqlite3.connect(home.store)
        triggers = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            db.execute('DROP TRIGGER "%s"' % name)
        db.execute("UPDATE entry SET amount_microusd = amount_microusd + 1 WHERE seq = 2")
        db.commit()
        db.close()
        done = home.cli("ledger", "verify", "--json", status=1)
        report = done.json()
        assert report["ok"] is False and report["faults"] >= 1 and report["fault_texts"], report
        assert report["orgs"] == 1 and len(report["root"]) == 64 and len(root) == 64
        out = home.cli("ledger", "verify", status=1).out
        assert report["fault_texts"][0] in out, out
        assert ledger_audit.audit(home.store)


def test_config_check_names_every_fault():
    with Home() as home:
        home.configure({"tools": {"a": {}}, "x": 1, "org": {"starter_tokens": -1}})
        out = home.cli("config", "check", status=1).out
        for pointer in ("/tools/a/price", "/tools/a/provider", "/x", "/org/starter_tokens"):
            assert re.search("^%s: " % pointer, out, re.MULTILINE), out
        report = home.cli("config", "check", "--json", status=1).json()
        assert report["ok"] is False, report
        assert "/tools/a/price" in [f["pointer"] for f in report["faults"]], report
        error = fault(home, "tools", status=1, says=["and 3 more"])
        assert "config check" in error["resolution_hint"], error
        home.configure("{ nonsense")
        assert fault(home, "config", "check", status=1)["field"] == "FILE"
        fault(home, "config", "check", "no-such-file", status=1, says=["no-such-file"])


def test_config_init_is_sound_and_overwrites_nothing():
    with Home() as home:
        path = home.cli("config", "init").out.strip()
        assert path == os.path.join(os.path.realpath(home.path), "farebox.json"), path
        assert home.cli("config", "check").out == "ok\n"
        assert home.cli("config", "check", path, "--json").json() == {
            "ok": True, "file": path, "faults": [], "warnings": []}
        env = {"FAREBOX_CONFIG": path}
        done = home.cli("call", "echo_cost_plus", '{"text":"hi"}', env=env)
        assert done.json() == {"echo": {"text": "hi"}} and "0.53 tokens" in done.err, done.err
        with open(path, "a", encoding="utf-8") as f:
            f.write(" ")
        before = os.stat(path)
        fault(home, "config", "init", status=1, says=["is there already"])
        assert os.stat(path).st_mtime_ns == before.st_mtime_ns
        other = home.cli("config", "init", "other.json", "--json").json()["file"]
        assert home.cli("config", "check", other).out == "ok\n"
        fault(home, "config", "init", "no/such/folder.json", status=1)


def test_the_environment_is_checked():
    with Home() as home:
        for name, value in (("FAREBOX_LOG", "loud"), ("FAREBOX_PAYMENTS", "gold"),
                            ("FAREBOX_CONFIG", "/no/such/file"),
                            ("FAREBOX_API_KEY_FILE", "/no/such/file")):
            fault(home, "tools", status=1, env={name: value}, says=[value])
        blocked = os.path.join(home.path, "a-file")
        with open(blocked, "w", encoding="utf-8"):
            pass
        env = {"FAREBOX_STORE": blocked + "/wallet.db"}
        for args in (["billing", "balance"], ["keys", "list"], ["grant", "--tokens", "1"],
                     ["ledger", "verify"], ["orgs", "create", "--name", "a"]):
            fault(home, *args, status=1, code="STORE_BROKEN", env=env)
        assert home.cli("call", "ping", env=env).json()["ok"] is True
        home.cli("call", "ping", env={"FAREBOX_STORE": None})
        home.cli("billing", "balance", env={"FAREBOX_STORE": None})
        assert os.path.exists(os.path.join(home.path, ".local/share/farebox/wallet.db"))


def test_people_get_indented_json_and_whole_tables():
    with Home(ECHO) as home:
        status, out = on_terminal(home, "call", "echo_cost", '{"a":[1,{}],"b":"\\u009b\\u001b"}')
        text, _, rest = out.partition("\ncost: ")
        assert status == 0 and rest.startswith("0.53 tokens"), out
        assert text == ('{\n  "echo": {\n    "a": [\n      1,\n      {}\n    ],\n'
                        '    "b": "\\u009b\\u001b"\n  }\n}'), text
        assert json.loads(text)["echo"]["b"] == "\u009b\u001b"
        status, out = on_terminal(home, "call", "ping", "--json")
        assert status == 0 and out.startswith('{"ok":true,'), out
        home.cli("orgs", "create", "--name", "größer als sonst üblich, aber lang")
        status, out = on_terminal(home, "orgs", "list", columns=60)
        assert status == 0 and "größer als sonst üblich, aber lang" in out, out
        org = home.cli("orgs", "list", "--json").json()["orgs"][0]["id"]
        assert org in out, out


if __name__ == "__main__":
    main()
