#!/usr/bin/env python3
"""Request ids: whatever a request waits for, its answer comes once and carries the id as it was spelt."""

import json
import os
import sqlite3
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from fake_mcp import upstream  # noqa: E402
from farebox_test import LEGACY, Company, Home, Server, echo_tool, main  # noqa: E402
from paying import CAN_PAY, accept, offered, pay  # noqa: E402

ID_BYTES_MAX = 1024


def id_kinds(n):
    """The n-th id of each kind, as the text that stands on the wire."""
    end = "%d" % n
    return [
        '"a%s"' % end,
        '"%s"' % end,                      # not the number
        '"%s"' % ("x" * (ID_BYTES_MAX - 2 - len(end)) + end),
        '"\\u00fc\\ud83d\\ude00\\"\\\\/%s"' % end,
        '"\\u0000%s"' % end,
        '"\u00fc\U0001F600 %s"' % end,
        "%d" % (1 + n),
        "%d" % -(1000 + n),
        "%d.0" % (2000 + n),
        "%d" % (10 ** 30 + n),
    ] + (['""', '" "', "0"] if n == 0 else [])


def id_kinds_as_values(n):
    """Those that can stand elsewhere in a message, too: JSON's integers have 64 bits there."""
    return [id for id in id_kinds(n) if id != "%d" % (10 ** 30 + n)]


class Host(Server):
    """Sees the lines as they stand."""

    def __init__(self, *how, **more):
        self.sent = []
        super().__init__(*how, **more)

    def ask(self, id, method, params):
        self.sent.append(id)
        self.send_line('{"jsonrpc":"2.0","id":%s,"method":%s,"params":%s}'
                       % (id, json.dumps(method), json.dumps(self.params(params))))

    def id_of(self, line):
        return next((id for id in self.sent if line.startswith('{"jsonrpc":"2.0","id":%s,' % id)), line)

    def answers(self, id):
        start = '{"jsonrpc":"2.0","id":%s,' % id
        return [line for line in self.out_lines if line.startswith(start)]

    def all_answers(self):
        return [line for line in self.out_lines if '"method"' not in line[:40]]

    def check_each_is_answered_once(self, but=()):
        owed = [id for id in self.sent if id not in but]
        self.until(lambda: len(self.all_answers()) >= len(owed), 60)
        answered = sorted(map(self.id_of, self.all_answers()))
        assert sorted(owed) == answered, (sorted(owed), answered)
        for id in owed:
            assert len(self.answers(id)) == 1, (id, self.answers(id))
        for id in but:
            assert not self.answers(id), id
        assert len(self.all_answers()) == len(owed)


def calls(*tools):
    return [("tools/call", {"name": name, "arguments": arguments}) for name, arguments in tools]


TOOL_CALLS = calls(
    ("ping", {}), ("get_token_balance", {}), ("get_usage", {}), ("quote", {"tool": "slow"}),
    ("slow", {}), ("up__slow", {"ms": 300}), ("up__echo", {"text": "x"}), ("up__nosuch", {}),
    ("nosuch", {}), ("detect_signal", {"company": {"domain": "tidewater.example"}}),
    ("buy_tokens", {"amount_usd": 5}))
REQUESTS = {
    "legacy": [("initialize", {"protocolVersion": LEGACY, "capabilities": {},
                               "clientInfo": {"name": "x", "version": "1"}}),
               ("ping", {}), ("tools/list", {}), ("nosuch/method", {})] + TOOL_CALLS,
    "modern": [("server/discover", {}), ("tools/list", {}), ("nosuch/method", {})] + TOOL_CALLS,
}


BOARD = "/v1/boards/tidewater/jobs"


def slow_house(company):
    """Everything takes a while: the upstream to start, tools and detectors to answer."""
    hang = company.url + "/control/fail?mode=hang&path=" + BOARD
    urllib.request.urlopen(urllib.request.Request(hang, method="POST"), timeout=10).close()
    return Home({
        "org": {"starter_tokens": 100000},
        "guard": {"released": 0, "repeated": 0},
        "network": {"allow_private": True},
        "detectors": {"hiring": {"timeout_ms": 1500, "price": {"kind": "flat", "tokens": 5},
                                 "sources": {"greenhouse": {"base_url": company.url}}}},
        "upstreams": {"up": upstream("--slow-start", "1")},
        "tools": {"slow": echo_tool(3, delay_ms=300)},
    })


def hold_store(home):
    """Another program has the store for itself until the connection is closed."""
    db = sqlite3.connect(home.store, timeout=10, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    return db


def check_all_methods(era):
    with Company() as company, slow_house(company) as home:
        home.cli("billing", "balance")
        db = hold_store(home)
        # No handshake before: the first request of each kind finds nothing ready.
        with Host(home, era="modern" if era == "modern" else "bare") as s:
            for n, (method, params) in enumerate(REQUESTS[era]):
                for id in id_kinds(n):
                    s.ask(id, method, params)
            s.until(lambda: s.all_answers())
            db.close()
            s.check_each_is_answered_once()
            first = s.answers(id_kinds(len(REQUESTS[era]) - 5)[0])
            assert first and "result" in json.loads(first[0]), first


def test_each_method_answers_each_kind_of_id_while_all_is_slow_modern():
    check_all_methods("modern")


def test_each_method_answers_each_kind_of_id_while_all_is_slow_legacy():
    check_all_methods("legacy")


def test_a_call_before_its_upstream_has_listed_may_have_any_id():
    for era in ("modern", "bare", "legacy"):
        with Home({"upstreams": {"up": upstream("--slow-start", "0.5")}}) as home:
            with Host(home, era=era) as s:
                del s.out_lines[:]
                for id in id_kinds(0):
                    s.ask(id, "tools/call", {"name": "up__echo", "arguments": {"text": "x"}})
                s.check_each_is_answered_once()
                assert all('"structuredContent":{"text": "x"}' in line.replace('":"', '": "')
                           for line in s.all_answers()), s.all_answers()


def test_the_items_of_an_array_wait_with_their_ids():
    with Home({"upstreams": {"up": upstream("--slow-start", "0.5")}}) as home:
        with Server(home, era="legacy", version="2025-03-26") as s:
            ids = id_kinds_as_values(0)
            s.on_line = lambda line: line.decode()
            s.send_line("[%s]" % ",".join(
                '{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":'
                '{"name":"up__echo","arguments":{"text":"x"}}}' % id for id in ids))
            s.until(lambda: any(line.startswith("[") for line in s.out_lines))
            answers = json.loads([line for line in s.out_lines if line.startswith("[")][0])
            assert sorted(map(repr, (a["id"] for a in answers))) == \
                sorted(repr(json.loads(id)) for id in ids), answers
            assert all("result" in a for a in answers), answers


def test_a_cancel_finds_its_request_by_any_id_wherever_it_waits():
    config = {"upstreams": {"up": upstream("--slow-start", "1")},
              "tools": {"endless": echo_tool(1, delay_ms=25000)}}
    with Home(config) as home, Host(home) as s:
        cancelled = []
        for n, name in enumerate(("up__echo", "up__nosuch", "endless")):
            for id in id_kinds_as_values(n):
                s.ask(id, "tools/call", {"name": name, "arguments": {}})
                cancelled.append(id)
        s.ask('"list"', "tools/list", {})
        for id in cancelled:
            s.send_line('{"jsonrpc":"2.0","method":"notifications/cancelled",'
                        '"params":{"requestId":%s}}' % id)
        # Their ids are free again at once.
        again = id_kinds(3)
        for id in again + cancelled[:5]:
            s.ask(id, "tools/call", {"name": "ping", "arguments": {}})
        s.until(lambda: len(s.all_answers()) >= len(again) + 6)
        s.sent = [id for id in s.sent if id not in cancelled] + cancelled[:5]
        s.check_each_is_answered_once(but=cancelled[5:])
        s.stop()
        assert home.query("SELECT count(*) FROM hold") == [(0,)]


def test_an_id_that_waits_for_an_upstream_is_not_taken_twice():
    with Home({"upstreams": {"up": upstream("--slow-start", "1")}}) as home, Host(home) as s:
        for id, same in (('"a"', '"\\u0061"'), ("7", "70e-1"), ('"7"', '"\\u0037"')):
            for spelt in (id, same):
                s.ask(spelt, "tools/call", {"name": "up__echo", "arguments": {"text": "x"}})
        s.until(lambda: len(s.all_answers()) == 6)
        for id, same in (('"a"', '"\\u0061"'), ("7", "70e-1"), ('"7"', '"\\u0037"')):
            assert "result" in json.loads(s.answers(id)[0]), s.answers(id)
            assert json.loads(s.answers(same)[0])["error"]["code"] == -32600, s.answers(same)


def test_a_listen_keeps_its_id_to_the_end():
    with Home({"upstreams": {"up": upstream("--slow-start", "0.5")}}) as home:
        s = Host(home)
        ids = id_kinds(0)
        for id in ids:
            s.ask(id, "subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        s.ask('"list"', "tools/list", {})
        s.until(lambda: s.answers('"list"'))
        s.until(lambda: all(sum('"io.modelcontextprotocol/subscriptionId":%s}' % id in line
                                for line in s.out_lines) >= 2 for id in ids))
        s.stop()
        s.check_each_is_answered_once()
        s.dispose()


def test_a_call_that_waits_for_its_payment_keeps_its_id():
    with Home({"org": {"starter_tokens": 0}, "tools": {"echo": echo_tool(30)}}) as home:
        with Host(home, **CAN_PAY) as s:
            payment, _, state = offered(s.call("echo", {}))
            del s.out_lines[:]
            ids = id_kinds(50)
            for id in ids:
                s.ask(id, "tools/call", {"name": "echo", "arguments": {}, **accept(state)})
            s.ask('"p"', "tools/call", {"name": "ping", "arguments": {}})
            s.until(lambda: s.answers('"p"'))
            pay(home, payment)
            s.check_each_is_answered_once()


def test_an_id_that_is_too_long_or_no_id_is_refused_without_a_call():
    with Home({"tools": {"echo": echo_tool(1)}}) as home, home.server(era="bare") as s:
        for id in ('"%s"' % ("x" * (ID_BYTES_MAX - 1)), "null", "true", "1.5", "[1]", "{}"):
            s.send_line('{"jsonrpc":"2.0","id":%s,"method":"tools/call",'
                        '"params":{"name":"echo"}}' % id)
            message = s.next_message()
            assert message["error"]["code"] == -32600 and message.get("id") is None, (id, message)
        assert s.balance() == 100


main()
