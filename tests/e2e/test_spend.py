#!/usr/bin/env python3
"""Many calls at once, in one process and in several on one store: nobody spends what is not there,
nobody pays twice."""

import contextlib
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import (Home, content_of, echo_tool, error_of, main, usage_of,  # noqa: E402
                          wait_for_a_whole)

PURCHASE, RELOAD = 3, 4  # kinds of entries


@contextlib.contextmanager
def servers(home, count, **how):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(home.server(**how)) for _ in range(count)]


def spread(those, tool, count, arguments=None, meta=None):
    """Calls by all of the servers in turn, all sent before any is waited for; the results."""
    sent = []
    for n in range(count):
        s = those[n % len(those)]
        given = {"n": n} if arguments is None else arguments
        sent.append((s, s.send_call(tool, given, meta)))
    return [s.wait(id) for s, id in sent]


def codes_of(results):
    """How often each code came; those that succeeded are under ok."""
    found = {}
    for result in results:
        code = error_of(result)["code"] if result.get("isError") else "ok"
        found[code] = found.get(code, 0) + 1
    return found


def entries(home, kind):
    return home.query("SELECT count(*) FROM entry WHERE kind = ?", kind)[0][0]


def check_50_calls(processes, delay_ms):
    with Home({"tools": {"echo": echo_tool(30, delay_ms=delay_ms)}}) as home:
        with servers(home, processes) as those:
            results = spread(those, "echo", 50)
            assert codes_of(results) == {"ok": 3, "INSUFFICIENT_CREDITS": 47}, codes_of(results)
            left = {usage_of(r)["credits_remaining"] for r in results if not r.get("isError")}
            assert min(left) == 0.1, left
            for r in results:
                if r.get("isError"):
                    e = error_of(r)
                    assert e["needed_tokens"] == 30, e
                    assert e["shortfall_tokens"] == 30 - e["available_tokens"] > 0, e
            assert all(s.balance() == 10 for s in those)
        home.ledger_verify()


def test_50_calls_of_30_tokens_on_100_in_one_process():
    # BerriAI/litellm#34732: concurrent requests pass before any spend is recorded.
    check_50_calls(1, 20)


def test_50_calls_of_30_tokens_on_100_at_once():
    check_50_calls(1, 0)


def test_50_calls_of_30_tokens_on_100_in_four_processes():
    # songquanpeng/one-api#2440, QuantumNous/new-api#6609: check and deduct were two steps.
    check_50_calls(4, 20)


def test_the_first_calls_of_all_on_a_new_store():
    # BerriAI/litellm#40095: the first requests of somebody never seen before all pass.
    with Home({"tools": {"echo": echo_tool(60)}}) as home:
        with servers(home, 8) as those:
            results = spread(those, "echo", 8)
            assert codes_of(results) == {"ok": 1, "INSUFFICIENT_CREDITS": 7}, codes_of(results)
        home.ledger_verify()


def test_20_processes_that_start_at_once_make_one_org_and_one_grant():
    with Home() as home:
        with servers(home, 20) as those:
            ids = [(s, s.send_call("get_token_balance")) for s in those]
            for s, id in ids:
                balance = content_of("get_token_balance", s.wait(id))
                assert balance["tokens"] == 100, balance
        assert home.query("SELECT count(*) FROM org") == [(1,)]
        assert home.query("SELECT count(*) FROM wallet") == [(1,)]
        assert home.query("SELECT count(*), sum(amount_microusd) FROM entry") == [(1, 1000000)]
        home.ledger_verify()


def test_the_budget_is_a_hard_stop_in_four_processes():
    # BerriAI/litellm#23714, trailofbits/buttercup#550: a budget of $1 spent $4.77.
    config = {"org": {"starter_tokens": 1000}, "tools": {"echo": echo_tool(30, delay_ms=20)}}
    wait_for_a_whole("month")
    with Home(config) as home, servers(home, 4) as those:
        those[0].call_ok("set_billing_preferences", {"budget_limit": 1})
        results = spread(those, "echo", 40)
        assert codes_of(results) == {"ok": 3, "BUDGET_EXCEEDED": 37}, codes_of(results)
        error = [error_of(r) for r in results if r.get("isError")][0]
        assert error["limit"] == "org_monthly" and error["resets_at"].endswith("-01T00:00:00Z"), error
        assert all(s.balance() == 910 for s in those)
        # What is released gives its room back.
        those[1].call_ok("set_billing_preferences", {"budget_limit": 1.2})
        assert codes_of(spread(those, "echo", 8)) == {"ok": 1, "BUDGET_EXCEEDED": 7}
        home.ledger_verify()


def test_a_cap_of_nearly_nothing_holds_under_load():
    with Home({"tools": {"echo": echo_tool(1)}}) as home, servers(home, 4) as those:
        results = spread(those, "echo", 32, meta={"farebox/maxTokens": 0.0001})
        assert codes_of(results) == {"BUDGET_EXCEEDED": 32}, codes_of(results)
        assert those[0].balance() == 100


def test_five_calls_with_one_key_are_charged_once():
    # x402-foundation/x402#1805: 5 parallel calls, 5 debits, 4 refunded later.
    wait_for_a_whole("month")
    with Home({"tools": {"echo": echo_tool(10, delay_ms=50)}}) as home, servers(home, 3) as those:
        for key in ("first", "second"):
            results = spread(those, "echo", 6, {"a": 1}, {"farebox/idempotencyKey": key})
            assert codes_of(results) == {"ok": 6}, codes_of(results)
            usages = [usage_of(r) for r in results]
            assert len({u["call_id"] for u in usages}) == 1, usages
            assert len({u["receipt"] for u in usages}) == 1, usages
            assert sum(1 for u in usages if u.get("replayed")) == 5, usages
        assert those[0].balance() == 80
        usage = those[0].call_ok("get_usage")["totals"]
        assert usage["calls"] == usage["charged"] == 2, usage
        home.ledger_verify()


def test_a_released_call_hands_its_key_to_one_that_waits():
    # formancehq/wallets#109: the retry of a failed call must not be locked out.
    config = {"tools": {"fails": echo_tool(10, outcome="5xx", delay_ms=20)}}
    with Home(config) as home, servers(home, 2) as those:
        results = spread(those, "fails", 4, {"a": 1}, {"farebox/idempotencyKey": "k"})
        assert codes_of(results) == {"UPSTREAM_ERROR": 4}, codes_of(results)
        assert len({usage_of(r)["call_id"] for r in results}) == 4
        assert those[0].balance() == 100
        home.ledger_verify()


def test_a_key_belongs_to_one_org():
    with Home({"tools": {"echo": echo_tool(10)}}) as home:
        home.cli("orgs", "create", "--name", "acme")
        home.cli("grant", "--tokens", "100", "--org", "acme")
        key = home.cli("keys", "create", "--org", "acme").out.strip()
        meta = {"farebox/idempotencyKey": "k"}
        with home.server() as s, home.server(env={"FAREBOX_API_KEY": key}) as other:
            assert "replayed" not in usage_of(s.call("echo", {"a": 1}, meta))
            assert "replayed" not in usage_of(other.call("echo", {"a": 2}, meta))
            assert usage_of(s.call("echo", {"a": 1}, meta))["replayed"] is True


def test_a_result_too_large_to_keep_is_charged_once_and_said_so():
    config = {"tools": {"echo": echo_tool(10)}}
    with Home(config) as home, home.server() as s:
        arguments = {"text": "x" * (1100 * 1024)}
        meta = {"farebox/idempotencyKey": "k"}
        assert not s.call("echo", arguments, meta).get("isError")
        again = error_of(s.call("echo", arguments, meta))
        assert again["retryable"] is False and "charged once" in again["message"], again
        assert s.balance() == 90


def test_one_purchase_clicked_eight_times_is_one():
    # anomalyco/opencode#28402 and its kin, on our side of the till.
    with Home() as home, servers(home, 4) as those:
        for arguments in ({"amount_usd": 25}, {"amount_usd": 30, "idempotency_key": "once"}):
            before = those[0].balance()
            results = [content_of("buy_tokens", r)
                       for r in spread(those, "buy_tokens", 8, arguments)]
            assert len({r["payment_id"] for r in results}) == 1, results
            assert all(r["status"] in ("succeeded", "pending") for r in results), results
            assert sum(1 for r in results if r.get("replayed") is False) <= 1, results
            assert those[0].balance() == before + 100 * arguments["amount_usd"]
        assert entries(home, PURCHASE) == 2
        pages = [content_of("top_up_credits", r)
                 for r in spread(those, "top_up_credits", 8, {"amount_usd": 20})]
        assert len({r["payment_id"] for r in pages}) == 1, pages
        home.ledger_verify()


def test_a_payment_that_many_report_is_credited_once():
    # masumi-network/sokosumi#1846, getlago/lago-api#3618: credited twice within milliseconds.
    with Home() as home, home.server() as s:
        payment = s.call_ok("top_up_credits", {"amount_usd": 20})["payment_id"]
        statuses = []

        def pay():
            statuses.append(home.cli("sandbox", "pay", payment, status=None).status)

        threads = [threading.Thread(target=pay) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(statuses) == 6 and 0 in statuses, statuses
        assert s.balance() == 2100
        assert entries(home, PURCHASE) == 1
        home.ledger_verify()


def test_auto_reload_fires_once_in_four_processes():
    # akash-network/console#3660: bursts of identical charges; getlago/lago-api#6177: one for each step.
    with Home({"tools": {"echo": echo_tool(10, delay_ms=5)}}) as home, servers(home, 4) as those:
        those[0].call_ok("set_auto_reload",
                         {"enabled": True, "threshold_tokens": 60, "topup_usd": 5})
        assert codes_of(spread(those, "echo", 6)) == {"ok": 6}
        wait_for_balance(those[0], 540)
        # Below the threshold again, but not 60 s later.
        results = spread(those, "echo", 50)
        assert codes_of(results) == {"ok": 50}, codes_of(results)
        for s in those:
            s.stop()
        assert entries(home, RELOAD) == 1
        home.ledger_verify()


def wait_for_balance(s, tokens):
    """Auto-reload comes after the settlement, in a batch of its own: each answer is a new look."""
    for _ in range(2000):
        if s.balance() == tokens:
            return
    raise AssertionError("the balance is %s, not %s" % (s.balance(), tokens))


def test_auto_reload_closes_the_gap_with_one_charge():
    # The largest multiple that is needed, not one charge for each step.
    with Home({"tools": {"echo": echo_tool(90)}}) as home, home.server() as s:
        s.call_ok("set_auto_reload", {"enabled": True, "threshold_tokens": 1000, "topup_usd": 4})
        wait_for_balance(s, 1300)
        s.call("echo", {})
        s.stop()
        rows = home.query("SELECT amount_microusd FROM entry WHERE kind = ?", RELOAD)
        assert rows == [(12000000,)], rows
        home.ledger_verify()


def test_auto_reload_stays_within_the_budget():
    with Home({"tools": {"echo": echo_tool(60)}}) as home, home.server() as s:
        s.call_ok("set_billing_preferences", {
            "auto_reload_enabled": True, "auto_reload_threshold": 5, "auto_reload_amount": 5,
            "budget_limit": 4})
        s.call("echo", {})
        s.stop()
        assert entries(home, RELOAD) == 0
        home.ledger_verify()


def test_auto_reload_that_is_declined_says_so_and_waits():
    # openstory-so/openstory#328, RooCodeInc/Roo-Code#12006: it failed, and nobody heard of it.
    with Home({"tools": {"echo": echo_tool(60)}}) as home, home.server() as s:
        s.call_ok("set_auto_reload", {"enabled": True, "threshold_tokens": 50, "topup_usd": 5.02})
        s.call("echo", {})
        for _ in range(2000):
            shown = s.call_ok("get_token_balance")["auto_reload"]
            if shown["last_error"]:
                break
        assert shown["enabled"] is True and "declined" in shown["last_error"], shown
        s.call_error("echo", code="INSUFFICIENT_CREDITS")
        s.stop()
        assert home.query("SELECT count(*) FROM payment") == [(1,)]
        assert entries(home, RELOAD) == 0
        home.ledger_verify()


def test_a_bank_that_asks_back_switches_auto_reload_off():
    with Home({"tools": {"echo": echo_tool(60)}}) as home, home.server() as s:
        s.call_ok("set_auto_reload", {"enabled": True, "threshold_tokens": 50, "topup_usd": 5.03})
        s.call("echo", {})
        for _ in range(2000):
            shown = s.call_ok("get_token_balance")["auto_reload"]
            if not shown["enabled"]:
                break
        assert shown["enabled"] is False and shown["last_error"], shown


def test_four_processes_share_a_store_for_a_thousand_calls():
    config = {"org": {"starter_tokens": 2000}, "tools": {"echo": echo_tool(1)}}
    with Home(config) as home, servers(home, 4) as those:
        results = spread(those, "echo", 1000)
        assert codes_of(results) == {"ok": 1000}, codes_of(results)
        assert len({usage_of(r)["call_id"] for r in results}) == 1000
        assert those[3].balance() == 1000
        home.ledger_verify()


main()
