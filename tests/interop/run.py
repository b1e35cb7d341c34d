#!/usr/bin/env python3
"""farebox driven by the official clients: run.py FOLDER, where FOLDER has them in node_modules.

See scripts/interop, which installs them. Each client lists the tools and makes a free call, a paid one,
one that fails, one that cannot be paid and one that it cancels; the ledger must agree. Then each, as a
client that opens pages, makes a call that it must pay for first, and one that it declines to pay for.
"""

import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, binary, content_of, echo_tool, error_of, usage_of  # noqa: E402

CLIENTS = ("v1", "v2-legacy", "v2-auto", "v2-pin")
CONFIG = {"tools": {"echo": echo_tool(30), "fails": echo_tool(30, outcome="5xx"),
                    "dear": echo_tool(1000), "endless": echo_tool(30, delay_ms=30000)}}
CALLS = [["ping", {}], ["get_token_balance", {}], ["echo", {"text": "grüß dich \U0001f600"}],
         ["fails", {}], ["dear", {}], ["buy_tokens", {"amount_usd": 5}], ["buy_tokens", {"amount_usd": 1}],
         ["quote", {"tool": "echo", "arguments": {}}], ["no_such_tool", {}],
         ["endless", {}, 300], ["list_invoices", {}], ["get_token_balance", {}]]

PAY_CONFIG = {"org": {"starter_tokens": 0},
              "tools": {"echo": echo_tool(30), "brief": {**echo_tool(30), "timeout_ms": 49000}}}


def drive(folder, client, home, calls, answer=None):
    order = {"client": client, "command": binary(), "args": ["mcp"], "env": home.environment(),
             "calls": calls, "answer": answer}
    run = subprocess.run(["node", os.path.join(folder, "drive.mjs"), json.dumps(order)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                         cwd=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def check(folder, client):
    with Home(CONFIG) as home:
        said = drive(folder, client, home, CALLS)
        names = [t["name"] for t in said["tools"]]
        assert {"ping", "buy_tokens", "detect_signal", "echo"} <= set(names), names
        assert said["server"]["name"] == "farebox", said["server"]
        results = [c.get("result") for c in said["calls"]]
        thrown = [c.get("thrown") for c in said["calls"]]
        content_of("ping", results[0])
        assert content_of("get_token_balance", results[1])["tokens"] == 100
        assert results[2]["structuredContent"]["echo"]["text"] == CALLS[2][1]["text"]
        assert usage_of(results[2])["tokens"] == 30
        assert error_of(results[3])["code"] == "UPSTREAM_ERROR"
        assert error_of(results[4])["code"] == "INSUFFICIENT_CREDITS"
        assert content_of("buy_tokens", results[5])["balance_tokens"] == 570
        # A tool with an output schema, and an error: clients must not trip over it.
        assert error_of(results[6])["code"] == "INVALID_ARGUMENTS"
        content_of("quote", results[7])
        assert thrown[8] and thrown[8]["code"] == -32602, said["calls"][8]
        assert thrown[9], said["calls"][9]
        content_of("list_invoices", results[10])
        last = content_of("get_token_balance", results[11])
        assert last["tokens"] + last["held_tokens"] == 570, last
        assert said["errors"] == [], said["errors"]
        assert "error" not in said["stderr"], said["stderr"]
        assert said["closeMs"] < 1900, "the client had to kill it: %d ms" % said["closeMs"]
        home.ledger_verify()
        assert home.query("SELECT count(*) FROM hold") == [(0,)]
        assert home.query("SELECT available_microusd FROM wallet") == [(5700000,)]


def check_page(asked, is_modern):
    """What the client's handler was given; returns the payment's name."""
    assert asked["mode"] == "url" and "500 tokens" in asked["message"], asked
    payment = asked["url"].rsplit("/", 1)[1]
    assert payment.startswith("pay_") and asked.get("elicitationId") == (None if is_modern else payment)
    return payment


def check_pay(folder, client):
    is_modern = client in ("v2-auto", "v2-pin")
    with Home(PAY_CONFIG) as home:
        # The client goes on by itself where the protocol lets it.
        said = drive(folder, client, home, [["echo", {"text": "a"}], ["get_token_balance", {}]], "accept")
        assert said["errors"] == [] and len(said["asked"]) == 1, said
        check_page(said["asked"][0], is_modern)
        paid, balance = said["calls"]
        first = paid.get("first", {}).get("thrown")
        assert (first is None) == is_modern, paid
        assert is_modern or first["code"] == -32042 and first["name"] != "Error", first
        assert paid["result"]["structuredContent"]["echo"] == {"text": "a"}, paid
        assert usage_of(paid["result"])["tokens"] == 30
        assert content_of("get_token_balance", balance["result"])["tokens"] == 470
        assert home.query("SELECT count(*) FROM payment") == [(1,)]
        home.ledger_verify()
    with Home(PAY_CONFIG) as home:
        said = drive(folder, client, home, [["brief", {}], ["get_token_balance", {}]], "decline")
        payment = check_page(said["asked"][0], is_modern)
        error = error_of(said["calls"][0]["result"])
        assert error["code"] == "INSUFFICIENT_CREDITS" and error["top_up"]["url"].endswith(payment), error
        # Only the modern protocol tells that it was declined.
        assert error.get("payment_pending", False) is not is_modern, error
        assert content_of("get_token_balance", said["calls"][1]["result"])["tokens"] == 0
        home.ledger_verify()


def main():
    folder = os.path.abspath(sys.argv[1])
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(os.path.join(here, "drive.mjs"), folder)
    failed = 0
    for client in CLIENTS:
        try:
            check(folder, client)
            check_pay(folder, client)
            print("ok %s" % client, flush=True)
        except (AssertionError, KeyError, IndexError, TypeError, ValueError,
                subprocess.TimeoutExpired) as e:
            failed += 1
            print("FAIL %s: %r" % (client, e), flush=True)
    print("%d passed, %d failed" % (len(CLIENTS) - failed, failed))
    sys.exit(1 if failed else 0)


main()
