#!/usr/bin/env python3
"""A requestState that comes back: once more with an idempotency key, and cancelled on its way."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, RpcError, content_of, echo_tool, main, usage_of  # noqa: E402

CAN_PAY = {"capabilities": {"elicitation": {"url": {}}}}
TOOLS = {"echo": echo_tool(30), "slow": echo_tool(30, delay_ms=20000)}
ACCEPT = {"inputResponses": {"topup": {"action": "accept"}}}


def house():
    return Home({"org": {"starter_tokens": 0}, "tools": TOOLS})


def paid_state(home, s, tool, arguments, meta=None):
    """The requestState of a call whose page has been paid."""
    result = s.call(tool, arguments, meta)
    url = result["inputRequests"]["topup"]["params"]["url"]
    home.cli("sandbox", "pay", url.rsplit("/", 1)[1])
    return result["requestState"]


def captures(home):
    return home.query("SELECT count(*) FROM entry WHERE kind = 6")[0][0]


def test_a_lost_answer_is_asked_for_again_with_key_and_state():
    # x402-foundation/x402#3438: the answer is lost after the settlement.
    meta = {"farebox/idempotencyKey": "k1"}
    with house() as home, home.server(**CAN_PAY) as s:
        state = paid_state(home, s, "echo", {"a": 1}, meta)
        first = s.call("echo", {"a": 1}, meta, **ACCEPT, requestState=state)
        again = s.call("echo", {"a": 1}, meta, **ACCEPT, requestState=state)
        assert content_of("echo", again) == content_of("echo", first), again
        assert usage_of(again)["replayed"] is True, again
        assert usage_of(again)["receipt"] == usage_of(first)["receipt"], again
        # Without the key, or under another, it was used before.
        for other in (None, {"farebox/idempotencyKey": "k2"}):
            try:
                raise AssertionError(s.call("echo", {"a": 1}, other, **ACCEPT, requestState=state))
            except RpcError as e:
                assert e.code == -32602, e
        assert captures(home) == 1 and s.balance() == 470
        home.ledger_verify()


def test_a_client_that_is_configured_to_pay_needs_no_guard_and_no_capability():
    # The state names the arguments, whoever else counts them.
    with house() as home:
        home.configure({"org": {"starter_tokens": 0}, "tools": TOOLS,
                        "guard": {"released": 0, "repeated": 0},
                        "clients": {"farebox-test": {"pay": "url"}}})
        with home.server() as s:
            state = paid_state(home, s, "echo", {"a": 1})
            try:
                raise AssertionError(s.call("echo", {"a": 2}, **ACCEPT, requestState=state))
            except RpcError as e:
                assert e.code == -32602, e
            content_of("echo", s.call("echo", {"a": 1}, **ACCEPT, requestState=state))
            assert captures(home) == 1


def test_a_call_cancelled_before_its_hold_is_not_run():
    with house() as home, home.server(**CAN_PAY) as s:
        state = paid_state(home, s, "echo", {"a": 1})
        # Both in one turn: the store has not been asked for the seal's key.
        id = 99
        call = s.line({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": s.params(
            {"name": "echo", "arguments": {"a": 1}, **ACCEPT, "requestState": state})})
        cancel = s.line({"jsonrpc": "2.0", "method": "notifications/cancelled",
                         "params": s.params({"requestId": id})})
        s.send_bytes(call + cancel)
        s.call_ok("ping")
        assert s.balance() == 500 and captures(home) == 0
        # Nothing was run, so the state leads to its call yet.
        content_of("echo", s.call("echo", {"a": 1}, **ACCEPT, requestState=state))
        assert s.balance() == 470
        home.ledger_verify()


def test_the_end_comes_while_a_state_is_looked_at():
    with house() as home:
        with home.server(**CAN_PAY) as s:
            state = paid_state(home, s, "slow", {"a": 1})
            call = s.line({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": s.params(
                {"name": "slow", "arguments": {"a": 1}, **ACCEPT, "requestState": state})})
            cancel = s.line({"jsonrpc": "2.0", "method": "notifications/cancelled",
                             "params": s.params({"requestId": 99})})
            s.send_bytes(call + cancel)
            s.call_ok("ping")
            s.stop(timeout=10)
        assert home.query("SELECT count(*) FROM hold") == [(0,)]
        home.ledger_verify()


if __name__ == "__main__":
    main()
