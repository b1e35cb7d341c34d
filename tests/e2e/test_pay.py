#!/usr/bin/env python3
"""Pay and continue on 2026-07-28: a refused call becomes a page to pay at, and goes on once that is paid."""

import hashlib
import hmac
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import (  # noqa: E402
    AT_ONCE_S, Company, Home, RpcError, content_of, echo_tool, error_of, main, usage_of)
from paying import (  # noqa: E402
    CAN_PAY, CHECKOUT, GUARD_OFF, INVALID_PARAMS, accept, answer, check_books, house, offered,
    pay, payments, refused, rpc_code)


def test_a_refused_call_asks_for_the_payment():
    with house(10) as home, home.server(**CAN_PAY) as s:
        payment, url, state = offered(s.call("echo", {"text": "a"}))
        assert url == "https://sandbox.invalid/pay/" + payment
        assert payments(home) == [(CHECKOUT, 500, 0)]
        assert state == state.strip() and len(state) < 1000
        message = s.call("echo", {"text": "a"})["inputRequests"]["topup"]["params"]["message"]
        for part in ("echo", "30", "10", "500", "$5"):
            assert part in message, message
        check_books(home, 0)


def test_a_payment_made_meanwhile_completes_the_call_and_charges_once():
    with house(10) as home, home.server(**CAN_PAY) as s:
        payment, _, state = offered(s.call("echo", {"text": "a"}))
        retry = s.send_call("echo", {"text": "a"}, **accept(state))
        s.call_ok("ping")
        pay(home, payment)
        result = s.wait(retry)
        assert result["resultType"] == "complete" and content_of("echo", result)["echo"] == {"text": "a"}
        assert usage_of(result)["tokens"] == 30 and usage_of(result)["credits_remaining"] == 4.8
        assert s.balance() == 480
        check_books(home, 1)


def test_paid_before_the_retry_runs_at_once():
    with house() as home, home.server(**CAN_PAY) as s:
        payment, _, state = offered(s.call("never", {}))
        pay(home, payment)
        content_of("never", s.call("never", {}, **accept(state)))
        check_books(home, 1)


def test_waiting_reports_progress_to_who_asked_for_it():
    with house() as home, home.server(**CAN_PAY) as s:
        payment, _, state = offered(s.call("echo", {}))
        quiet = s.send_call("other", {}, **accept(offered(s.call("other", {}))[2]))
        retry = s.send_call("echo", {}, {"progressToken": "p1"}, **accept(state))
        s.until(lambda: [m for m in s.inbox if "method" in m])
        pay(home, payment)
        content_of("echo", s.wait(retry))
        content_of("other", s.wait(quiet))
        told = s.notifications()
        assert all(m["method"] == "notifications/progress" for m in told), told
        assert {m["params"]["progressToken"] for m in told} == {"p1"}, told
        steps = [m["params"]["progress"] for m in told]
        assert steps == sorted(set(steps)), steps
        check_books(home, 2)


def test_not_paid_in_time_is_pending_with_the_same_page():
    with house() as home, home.server(**CAN_PAY) as s:
        payment, url, state = offered(s.call("brief", {}))
        began = time.monotonic()
        error = refused(s.call("brief", {}, **accept(state)), payment_pending=True)
        assert 1.3 <= time.monotonic() - began < 1.5 + AT_ONCE_S, time.monotonic() - began
        assert error["top_up"]["url"] == url, error
        assert error["retryable"] is False and error["needed_tokens"] == 30, error
        # The state was not spent: it waits again, and runs once it is paid.
        refused(s.call("brief", {}, **accept(state)), payment_pending=True)
        pay(home, payment)
        content_of("brief", s.call("brief", {}, **accept(state)))
        assert len(payments(home)) == 1
        check_books(home, 1)


def test_a_tool_that_may_take_all_the_time_does_not_wait():
    with house() as home, home.server(**CAN_PAY) as s:
        _, url, state = offered(s.call("never", {}))
        began = time.monotonic()
        error = refused(s.call("never", {}, **accept(state)), payment_pending=True)
        assert error["top_up"]["url"] == url and time.monotonic() - began < AT_ONCE_S, error
        check_books(home, 0)


def test_a_decline_ends_in_insufficient_credits():
    with house() as home, home.server(**CAN_PAY) as s:
        _, url, state = offered(s.call("echo", {}))
        for action in ("decline", "cancel"):
            began = time.monotonic()
            error = refused(s.call("echo", {}, **answer(action, state)), needed_tokens=30,
                            available_tokens=0, shortfall_tokens=30)
            assert "payment_pending" not in error and time.monotonic() - began < AT_ONCE_S, error
            assert error["top_up"]["url"] == url, error
        check_books(home, 0)


def test_a_state_without_an_answer_waits_as_accept_does():
    with house() as home, home.server(**CAN_PAY) as s:
        payment, _, state = offered(s.call("echo", {}))
        retry = s.send_call("echo", {}, requestState=state, inputResponses={"else": {"action": 3}})
        pay(home, payment)
        content_of("echo", s.wait(retry))
        # An answer without a state is a call like any other.
        content_of("echo", s.call("echo", {}, inputResponses={"topup": {"action": "accept"}}))
        check_books(home, 2)


def test_wrong_shapes_are_invalid_params():
    with house() as home, home.server(**CAN_PAY) as s:
        _, _, state = offered(s.call("echo", {}))
        for wrong in ({"requestState": 7}, {"requestState": None}, {"requestState": {}},
                      {"requestState": state, "inputResponses": []},
                      {"requestState": state, "inputResponses": "accept"},
                      {"requestState": state, "inputResponses": {"topup": "accept"}},
                      {"requestState": state, "inputResponses": {"topup": None}},
                      {"requestState": state, "inputResponses": {"topup": {}}},
                      {"requestState": state, "inputResponses": {"topup": {"action": 1}}},
                      {"requestState": state, "inputResponses": {"topup": {"action": "Accept"}}}):
            assert rpc_code(lambda: s.call("echo", {}, **wrong)) == INVALID_PARAMS, wrong
        check_books(home, 0)


def test_a_state_that_is_not_of_this_call_is_refused():
    with house() as home, home.server(**CAN_PAY) as s:
        payment, _, state = offered(s.call("echo", {"text": "a"}))
        pay(home, payment)

        def code(tool, arguments, what):
            return rpc_code(lambda: s.call(tool, arguments, **accept(what)))

        for at in range(0, len(state), 7):
            bad = state[:at] + ("0" if state[at] != "0" else "1") + state[at + 1:]
            assert code("echo", {"text": "a"}, bad) == INVALID_PARAMS, at
        for bad in ("", "x", state[:-1], state + "0", state[:-2], "0" * len(state), "\u00e9" * len(state),
                    "x" * 100000):
            assert code("echo", {"text": "a"}, bad) == INVALID_PARAMS, bad
        assert code("echo", {"text": "b"}, state) == INVALID_PARAMS
        assert code("echo", {}, state) == INVALID_PARAMS
        assert code("other", {"text": "a"}, state) == INVALID_PARAMS
        check_books(home, 0)
        content_of("echo", s.call("echo", {"text": "a"}, **accept(state)))
        check_books(home, 1)


def key_of(home, *args):
    return home.cli("keys", "create", *args, "--json").json()["api_key"]


def test_a_state_is_of_one_org_and_one_key():
    with house() as home:
        home.cli("orgs", "create", "--name", "acme")
        keys = [key_of(home), key_of(home), key_of(home, "--org", "acme")]
        one, two, acme = [home.server(env={"FAREBOX_API_KEY": key}, **CAN_PAY) for key in keys]
        with one, two, acme, home.server(**CAN_PAY) as none:
            payment, _, state = offered(one.call("echo", {}))
            pay(home, payment)
            home.cli("grant", "--tokens", "100", "--org", "acme")
            for s in (two, acme, none):
                assert rpc_code(lambda: s.call("echo", {}, **accept(state))) == INVALID_PARAMS
            check_books(home, 0)
            content_of("echo", one.call("echo", {}, **accept(state)))
        check_books(home, 1)


def test_a_state_expires_after_half_an_hour():
    with house() as home:
        with home.server(**CAN_PAY) as s:
            before = int(time.time() * 1000)
            payment, _, state = offered(s.call("echo", {}))
        pay(home, payment)
        # What is sealed, and its time: version, org, key, payment, digest stand before.
        expires = int(state[2 * 81:2 * 89], 16)
        assert 0 <= expires - before - 30 * 60 * 1000 < 20000, expires - before
        # As if it had been made earlier: sealed again under the key of the store.
        key = home.query("SELECT key FROM pay_key")[0][0]

        def sealed(ms):
            text = bytes.fromhex(state[:2 * 81]) + ms.to_bytes(8, "big")
            return (text + hmac.new(key, text, hashlib.sha256).digest()).hex()

        assert sealed(expires) == state
        with home.server(**CAN_PAY) as s:
            late = sealed(before - 1)
            assert rpc_code(lambda: s.call("echo", {}, **accept(late))) == INVALID_PARAMS
            assert rpc_code(lambda: s.call("echo", {}, **answer("decline", late))) == INVALID_PARAMS
            content_of("echo", s.call("echo", {}, **accept(sealed(before + 60000))))
        check_books(home, 1)


def test_a_state_is_spent_once():
    with house() as home, home.server(**CAN_PAY) as s:
        payment, _, state = offered(s.call("echo", {}))
        pay(home, payment)
        content_of("echo", s.call("echo", {}, **accept(state)))
        assert rpc_code(lambda: s.call("echo", {}, **accept(state))) == INVALID_PARAMS
        with home.server(**CAN_PAY) as fresh:
            assert rpc_code(lambda: fresh.call("echo", {}, **accept(state))) == INVALID_PARAMS
        check_books(home, 1)


def test_concurrent_retries_in_two_processes_run_once():
    with house() as home, home.server(**CAN_PAY) as one, home.server(**CAN_PAY) as two:
        payment, _, state = offered(one.call("slow", {}))
        waiting = [(s, s.send_call("slow", {}, **accept(state))) for s in (one, two) * 3]
        pay(home, payment)
        ran, codes = 0, []
        for s, id in waiting:
            try:
                content_of("slow", s.wait(id))
                ran += 1
            except RpcError as e:
                codes.append(e.code)
        assert (ran, codes) == (1, [INVALID_PARAMS] * 5), (ran, codes)
        check_books(home, 1)


def test_a_fresh_process_knows_the_state():
    with house() as home:
        with home.server(**CAN_PAY) as s:
            payment, url, state = offered(s.call("echo", {"text": "a"}))
        with home.server(**CAN_PAY) as s:
            # And the same page is offered again.
            assert offered(s.call("echo", {"text": "a"}))[1] == url
            retry = s.send_call("echo", {"text": "a"}, **accept(state))
            s.call_ok("ping")
            pay(home, payment)
            content_of("echo", s.wait(retry))
        check_books(home, 1)


def test_who_cannot_open_pages_gets_the_plain_error():
    with house() as home:
        for capabilities in ({}, {"elicitation": {}}, {"elicitation": {"form": {}}},
                             {"elicitation": {"url": None}}):
            with home.server(capabilities=capabilities) as s:
                error = refused(s.call("echo", {}))
                assert error["top_up"] == {"tool": "buy_tokens", "amount_usd": 5}, error
        assert payments(home) == []
        with home.server(**CAN_PAY) as s:
            _, url, _ = offered(s.call("echo", {}))
        with home.server() as s:
            assert refused(s.call("echo", {}))["top_up"]["url"] == url
            # It does not cover that.
            error = refused(s.call("dear", {}))
            assert error["top_up"] == {"tool": "buy_tokens", "amount_usd": 7}, error
        assert len(payments(home)) == 1
        check_books(home, 0)


def test_an_open_payment_is_offered_again_where_it_covers_the_shortfall():
    with house() as home, home.server(**CAN_PAY) as s:
        topped = s.call_ok("top_up_credits", {"amount_usd": 6})
        assert offered(s.call("echo", {}))[1] == topped["url"]
        seven, url, state = offered(s.call("dear", {}))
        assert url != topped["url"] and payments(home)[1:] == [(CHECKOUT, 700, 0)], payments(home)
        assert offered(s.call("dear", {"again": 1}))[1] == url
        assert offered(s.call("echo", {}))[1] == topped["url"]
        pay(home, seven)
        content_of("dear", s.call("dear", {}, **accept(state)))
        assert len(payments(home)) == 2
        check_books(home, 1)


def test_an_open_payment_without_much_time_left_is_not_offered_again():
    with house() as home:
        with home.server(**CAN_PAY) as s:
            _, url, _ = offered(s.call("echo", {}))
        home.change("UPDATE payment SET created_ms = created_ms - ?, expires_ms = expires_ms - ?",
                    *(23 * 3600 * 1000 + 1000,) * 2)
        with home.server(**CAN_PAY) as s:
            assert offered(s.call("echo", {}))[1] != url
        check_books(home, 0)


def test_the_amount_covers_the_shortfall_and_follows_the_reload():
    with house(5) as home, home.server(**CAN_PAY) as s:
        offered(s.call("echo", {}))
        offered(s.call("dear", {}))      # 607 missing
        assert [p[1] for p in payments(home)] == [500, 700], payments(home)
        refused(s.call("dearest", {}))   # more than a payment may be
        s.call_ok("set_billing_preferences", {"auto_reload_amount": 40})
        assert offered(s.call("dear", {}))[0]
        assert len(payments(home)) == 2
    with house() as home, home.server(**CAN_PAY) as s:
        s.call_ok("set_billing_preferences", {"auto_reload_amount": 40, "auto_reload_enabled": True,
                                              "auto_reload_threshold": 1, "budget_limit": 1})
        offered(s.call("echo", {}))
        assert payments(home) == [(CHECKOUT, 4000, 0)], payments(home)
        check_books(home, 0)


def test_a_budget_that_forbids_the_call_asks_for_no_payment():
    with house() as home, home.server(**CAN_PAY) as s:
        s.call_ok("set_billing_preferences", {"budget_limit": 0.1})
        s.call_error("echo", {}, "BUDGET_EXCEEDED")
        s.call_error("echo", {}, "BUDGET_EXCEEDED", {"farebox/maxTokens": 3})
        assert payments(home) == []
        check_books(home, 0)


def test_parallel_refused_calls_make_one_payment():
    with house() as home, home.server(**CAN_PAY) as s, home.server(**CAN_PAY) as t:
        ids = [(x, x.send_call("echo", {"n": n})) for n in range(25) for x in (s, t)]
        got = [offered(x.wait(id)) for x, id in ids]
        assert len({url for _, url, _ in got}) == 1, got
        assert payments(home) == [(CHECKOUT, 500, 0)]
        check_books(home, 0)


def test_the_payment_pays_for_as_many_calls_as_it_does():
    with house(tools={"half": echo_tool(250)}) as home, home.server(**CAN_PAY) as s:
        got = [offered(s.call("half", {"n": n})) for n in range(3)]
        waiting = [s.send_call("half", {"n": n}, **accept(got[n][2])) for n in range(3)]
        pay(home, got[0][0])
        results = [s.wait(id) for id in waiting]
        # The third's money went to the others: an error, not one more question.
        assert sorted(bool(r.get("isError")) for r in results) == [False, False, True], results
        error = refused(next(r for r in results if r.get("isError")))
        assert "payment_pending" not in error and "url" not in error["top_up"], error
        check_books(home, 2)


def test_a_cancel_while_it_waits_leaves_the_payment_open():
    with house() as home, home.server(**CAN_PAY) as s:
        payment, url, state = offered(s.call("echo", {}))
        retry = s.send_call("echo", {}, **accept(state))
        s.call_ok("ping")
        s.notify("notifications/cancelled", {"requestId": retry})
        s.call_ok("ping")
        assert offered(s.call("echo", {"n": 1}))[1] == url
        pay(home, payment)
        assert s.balance() == 500 and s._find(retry) is None
        # It was not spent.
        content_of("echo", s.call("echo", {}, **accept(state)))
        assert s._find(retry) is None
        check_books(home, 1)


def test_a_cancel_right_behind_the_retry_runs_nothing():
    with house() as home, home.server(**CAN_PAY) as s:
        payment, _, state = offered(s.call("echo", {}))
        pay(home, payment)
        retry = s._next_id
        s._next_id += 1
        lines = [s.line({"jsonrpc": "2.0", "id": retry, "method": "tools/call", "params": s.params(
                    {"name": "echo", "arguments": {}, **accept(state)})}),
                 s.line({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": s.params(
                     {"requestId": retry})})]
        s.send_bytes(b"".join(lines))
        s.call_ok("ping")
        assert s.balance() == 500
        content_of("echo", s.call("echo", {}, **accept(state)))
        assert s._find(retry) is None
        check_books(home, 1)


def test_the_end_of_input_ends_a_wait():
    with house() as home:
        s = home.server(**CAN_PAY)
        _, _, state = offered(s.call("echo", {}))
        retry = s.send_call("echo", {}, **accept(state))
        s.call_ok("ping")
        s.terminate()
        assert s.wait_exit(5) == 0
        s.check_healthy()
        s.dispose()
        assert s._find(retry) is None or s._find(retry)["result"]["isError"]
        check_books(home, 0)


def test_an_idempotency_key_and_a_state_charge_once():
    meta = {"farebox/idempotencyKey": "k1"}
    with house() as home, home.server(**CAN_PAY) as s, home.server(**CAN_PAY) as t:
        payment, _, state = offered(s.call("slow", {}, meta))
        waiting = [(x, x.send_call("slow", {}, meta, **accept(state))) for x in (s, t)]
        pay(home, payment)
        results = [x.wait(id) for x, id in waiting]
        usages = [usage_of(r) for r in results]
        assert sorted(u.get("replayed", False) for u in usages) == [False, True], usages
        # The reply was lost, so the client sends the same again.
        again = s.call("slow", {}, meta, **accept(state))
        assert usage_of(again)["replayed"] is True and content_of("slow", again), again
        assert usage_of(s.call("slow", {}, meta))["replayed"] is True
        assert rpc_code(lambda: s.call("slow", {}, {"farebox/idempotencyKey": "k2"},
                                       **accept(state))) == INVALID_PARAMS
        check_books(home, 1)


def test_a_tool_that_fails_after_the_payment_gives_the_money_back():
    tools = {"fails": echo_tool(30, outcome="5xx")}
    with house(tools=tools) as home, home.server(**CAN_PAY) as s:
        payment, _, state = offered(s.call("fails", {}))
        pay(home, payment)
        assert error_of(s.call("fails", {}, **accept(state)))["code"] == "UPSTREAM_ERROR"
        assert s.balance() == 500
        check_books(home, 0)


def test_a_detector_is_paid_for_like_any_tool():
    with Company() as company:
        config = {"org": {"starter_tokens": 0}, "network": {"allow_private": True},
                  "detectors": {"hiring": {"price": {"kind": "flat", "tokens": 5}, "sources": {
                      name: {"base_url": company.url} for name in ("greenhouse", "lever", "ashby")}}}}
        about = {"company": {"boards": {"greenhouse": "tidewater"}}}
        with Home(config) as home, home.server(**CAN_PAY) as s:
            payment, _, state = offered(s.call("detect_hiring", about))
            pay(home, payment)
            found = content_of("detect_hiring", s.call("detect_hiring", about, **accept(state)))
            assert found["signals"] and found["usage"]["tokens"] == 5, found
            assert s.balance() == 495
            check_books(home, 1)
        # The dispatcher says what could not be paid, and asks for nothing.
        with Home(config) as home, home.server(**CAN_PAY) as s:
            ran = s.call_ok("detect_signal", {**about, "signals": ["hiring"]})["ran"]
            assert ran[0]["status"] == "insufficient_credits", ran
            assert payments(home) == []


def test_the_configuration_overrides_what_the_client_says():
    clients = {"shy": {"pay": "error"}, "bold": {"pay": "url"}}
    for guard in ({}, GUARD_OFF):
        with house(clients=clients, guard=guard) as home:
            with home.server(client="shy", **CAN_PAY) as s:
                assert "url" not in refused(s.call("echo", {}))["top_up"]
            with home.server(client="bold") as s:
                payment, url, state = offered(s.call("echo", {}))
                pay(home, payment)
                assert rpc_code(lambda: s.call("other", {}, **accept(state))) == INVALID_PARAMS
                content_of("echo", s.call("echo", {}, **accept(state)))
            check_books(home, 1)


def test_there_is_no_page_where_a_ceiling_is_below_the_shortfall():
    with house(purchases={"per_call_usd": 4}) as home:
        with home.server(**CAN_PAY) as s:
            assert "url" not in refused(s.call("echo", {}))["top_up"]
        check_books(home, 0)


def test_without_payments_it_is_the_plain_error():
    with house() as home, home.server(env={"FAREBOX_PAYMENTS": "off"}, **CAN_PAY) as s:
        assert "url" not in refused(s.call("echo", {}))["top_up"]
        check_books(home, 0)


if __name__ == "__main__":
    main()
