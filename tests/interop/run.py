#!/usr/bin/env python3
"""farebox driven by the official clients: run.py FOLDER, where FOLDER has them in node_modules.

See scripts/interop, which installs them. Each client lists the tools and makes a free call, a paid one,
one that fails, one that cannot be paid and one that it cancels; the ledger must agree.
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


def drive(folder, client, home):
    order = {"client": client, "command": binary(), "args": ["mcp"], "env": home.environment(),
             "calls": CALLS}
    run = subprocess.run(["node", os.path.join(folder, "drive.mjs"), json.dumps(order)],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                         cwd=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


def check(folder, client):
    with Home(CONFIG) as home:
        said = drive(folder, client, home)
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


def main():
    folder = os.path.abspath(sys.argv[1])
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(os.path.join(here, "drive.mjs"), folder)
    failed = 0
    for client in CLIENTS:
        try:
            check(folder, client)
            print("ok %s" % client, flush=True)
        except (AssertionError, KeyError, IndexError, TypeError, ValueError,
                subprocess.TimeoutExpired) as e:
            failed += 1
            print("FAIL %s: %r" % (client, e), flush=True)
    print("%d passed, %d failed" % (len(CLIENTS) - failed, failed))
    sys.exit(1 if failed else 0)


main()
