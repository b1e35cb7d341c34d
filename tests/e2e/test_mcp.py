#!/usr/bin/env python3
"""farebox mcp as a host sees it: the wire, the tools, who may call, what is said on stderr."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import json_schema  # noqa: E402
from farebox_test import (Company, Home, RpcError, Server, content_of, echo_tool, error_of,  # noqa: E402
                          main, output_schema, usage_of)

MIB = 1 << 20


def company_config(company):
    return {
        "network": {"allow_private": True},
        "detectors": {"hiring": {"sources": {name: {"base_url": company.url}
                                             for name in ("greenhouse", "lever", "ashby")}}},
        "tools": {"echo": echo_tool(30)},
    }


# Of each tool the arguments of calls that succeed. With them all schemas are seen at work.
CALLS = {
    "ping": [{}],
    "get_token_balance": [{}],
    "check_balance": [{}],
    "buy_tokens": [{"amount_usd": 25}, {"amount_usd": 25}],
    "top_up_credits": [{"amount_usd": 20}, {"amount_usd": 99.99}],
    "billing_portal": [{}],
    "list_invoices": [{}, {"limit": 1}],
    "get_billing_preferences": [{}],
    "set_billing_preferences": [{"budget_limit": 1000}, {"budget_limit": None}],
    "set_auto_reload": [{"enabled": False, "threshold_tokens": 500, "topup_usd": 20}],
    "get_usage": [{}, {"group_by": "day"}, {"group_by": "key"}],
    "get_api_key": [{}, {}, {"rotate": True}],
    "quote": [{"tool": "detect_hiring", "arguments": {"company": {"domain": "example.com"}}},
              {"tool": "ping", "arguments": {}}],
    "set_signals_order": [{"order": ["website_change", "hiring"]}],
    "get_signals_order": [{}],
    "list_models": [{}],
    "connect_linkedin": [{"account": "ann", "session": "cookie"}] * 2,
    "list_connected_linkedin_accounts": [{}],
    "detect_hiring": [{"company": {"boards": {"greenhouse": "tidewater"}}}] * 2,
    "detect_website_change": [{"company": {"url": "URL"}}] * 2,
    "detect_signal": [{"company": {"url": "URL", "boards": {"lever": "tidewater-labs"}}},
                      {"company": {"boards": {"greenhouse": "no-such-board"}}}],
}


def test_each_tool_s_results_fit_what_it_promises():
    with Company() as company, Home() as home:
        home.configure(company_config(company))
        with home.server() as s:
            tools = {t["name"]: t for t in s.request("tools/list")["tools"]}
            built_in = [name for name in tools if output_schema(name)]
            assert set(built_in) == set(CALLS), "tools without a call here, or the other way round"
            for name in built_in:
                assert tools[name]["outputSchema"] == output_schema(name)
                for arguments in CALLS[name]:
                    text = json.dumps(arguments).replace("URL", company.url)
                    s.call_ok(name, json.loads(text))


def test_the_list_is_one_that_every_client_takes():
    with Home({"tools": {"echo": echo_tool(30)}}) as home:
        lists = []
        for era in ("legacy", "modern", "bare"):
            with home.server(era=era) as s:
                lists.append(s.request("tools/list")["tools"])
        assert lists[0] == lists[1] == lists[2]
        for tool in lists[0]:
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tool["name"]), tool["name"]
            assert tool["inputSchema"]["type"] == "object", tool
            assert tool.get("outputSchema", {"type": "object"})["type"] == "object", tool
            assert isinstance(tool["description"], str), tool
            price = tool.get("_meta", {}).get("farebox/price")
            assert not price or tool["description"].startswith("Costs "), tool
        moving = {t["name"] for t in lists[0]
                  if t.get("_meta", {}).get("anthropic/requiresUserInteraction") is True}
        assert moving == {"buy_tokens", "top_up_credits", "set_auto_reload",
                          "set_billing_preferences"}, moving
        for tool in lists[0]:
            if tool["name"] in moving:
                assert tool["annotations"]["readOnlyHint"] is False, tool["name"]


def test_priced_tools_have_usage_and_free_ones_have_none():
    with Home({"tools": {"echo": echo_tool(30), "fails": echo_tool(30, outcome="5xx")}}) as home:
        with home.server() as s:
            usage = usage_of(s.call("echo", {"a": 1}))
            assert usage["tokens"] == 30 and usage["cost"] == 0.3, usage
            receipt = home.query("SELECT hex(hash) FROM entry ORDER BY seq DESC LIMIT 1")[0][0]
            assert usage["receipt"] == receipt.lower()
            usage = usage_of(s.call("fails", {}))
            assert usage["tokens"] == 0 and usage["credits_remaining"] == 0.7, usage
            assert "_meta" not in s.call("ping") or "farebox/usage" not in s.call("ping")["_meta"]
        home.ledger_verify()


class ArrayServer(Server):
    """Takes lines that are arrays, as only 2025-03-26 has them."""

    def on_line(self, line):
        self.inbox.append(json.loads(line))
        return line.decode()


def test_arrays_are_answered_where_they_were_negotiated():
    with Home({"tools": {"slow": echo_tool(30, delay_ms=50)}}) as home:
        with ArrayServer(home, era="legacy", version="2025-03-26") as s:
            call = {"name": "slow", "arguments": {}}
            s.send_message([{"jsonrpc": "2.0", "id": 10, "method": "ping"},
                            {"jsonrpc": "2.0", "method": "notifications/x"},
                            {"jsonrpc": "2.0", "id": 11, "method": "tools/call", "params": call},
                            {"jsonrpc": "2.0", "id": 12, "method": "no/such"},
                            7])
            answers = s.next_message()
            assert isinstance(answers, list) and len(answers) == 4, answers
            by_id = {a.get("id"): a for a in answers}
            assert by_id[10]["result"] == {} and by_id[12]["error"]["code"] == -32601
            assert by_id[11]["result"]["structuredContent"] == {"echo": {}}
            assert by_id[None]["error"]["code"] == -32600
            # Only notifications: no answer. initialize is never in one.
            s.send_message([{"jsonrpc": "2.0", "method": "notifications/x"}])
            s.send_message([{"jsonrpc": "2.0", "id": 13, "method": "initialize",
                             "params": {"protocolVersion": "2025-11-25", "capabilities": {}}}])
            assert s.next_message()[0]["error"]["code"] == -32600


def test_lines_of_64_kib_and_more_come_and_go_whole():
    # ruvnet/ruflo#2426: a list was cut at 65536 bytes; stepflow#306: so was a request.
    with Home({"tools": {"echo": echo_tool(1)}}) as home, home.server() as s:
        for size in (65535, 65536, 65537, 1 << 20, 3 << 20):
            text = "é" * (size // 2)
            result = s.call("echo", {"text": text})
            assert result["structuredContent"]["echo"]["text"] == text


def test_what_is_too_long_too_deep_or_no_text_is_refused_and_forgotten():
    ping = b'{"jsonrpc":"2.0","id":"%s","method":"ping","params":{"x":%s}}\n'
    cases = [
        ("longer than 10 MiB", ping % (b"a", b'"' + b"x" * (10 * MIB) + b'"'), -32700),
        ("200000 arrays deep", ping % (b"b", b"[" * 200000 + b"]" * 200000), -32600),
        ("200000 objects deep", ping % (b"c", b'{"a":' * 200000 + b"1" + b"}" * 200000), -32600),
        ("not UTF-8", ping % (b"d", b'"\xff\xfe"'), -32700),
        ("overlong UTF-8", ping % (b"e", b'"\xc0\xaf"'), -32700),
        ("a byte order mark", b"\xef\xbb\xbf" + ping % (b"f", b"1"), -32700),
        ("a raw NUL", ping % (b"h", b'"\x00"'), -32700),
        ("a number beyond all", ping % (b"i", b"1e999"), -32600),
        ("an id of 1 MiB", b'{"jsonrpc":"2.0","id":"%s","method":"ping"}\n' % (b"x" * MIB), -32600),
    ]
    with Home() as home, home.server(era="bare") as s:
        for name, line, code in cases:
            s.send_bytes(line)
            answer = s.next_message()
            assert answer.get("error", {}).get("code") == code, (name, answer)
            assert s.request("ping") == {}, name
        # These are as good as any.
        for line in (b'{"jsonrpc":"2.0","id":"z","method":"ping"}\r\n', ping % (b"z", b'"\\u0000"'),
                     ping % (b"z", b'"\\ud83d\\ude00"'), ping % (b"z", b'"\\ud800"')):
            s.send_bytes(line)
            assert s.next_message() == {"jsonrpc": "2.0", "id": "z", "result": {}}, line


def test_texts_come_back_as_they_went():
    with Home({"tools": {"echo": echo_tool(1)}}) as home, home.server() as s:
        texts = ["\x00", "a\u0000b", "\u2028", "\U0001f600", "\\", '"', "\x7f", "\ufffe", "</script>"]
        for text in texts:
            assert s.call("echo", {"t": text})["structuredContent"] == {"echo": {"t": text}}
        # Half a pair is no character: it never leaves as one.
        s.send_line('{"jsonrpc":"2.0","id":"h","method":"tools/call","params":%s}' % json.dumps(
            s.params({"name": "echo", "arguments": {"t": "HALF"}})).replace("HALF", "a\\ud800"))
        assert s.wait("h")["structuredContent"] == {"echo": {"t": "a\ufffd"}}


def test_nothing_is_opened_before_it_is_needed():
    with Home() as home:
        home.env["FAREBOX_STORE"] = None
        path = os.path.join(home.path, ".local", "share", "farebox", "wallet.db")
        with home.server(env={"FAREBOX_STORE": None}, cwd="/") as s:
            s.request("server/discover")
            s.request("tools/list")
            s.call_ok("ping")
            assert not os.path.exists(os.path.dirname(path)), "a probe has made a store"
            assert s.balance() == 100
            assert os.stat(path).st_mode & 0o777 == 0o600
            assert os.stat(os.path.dirname(path)).st_mode & 0o077 == 0
            for name in os.listdir(os.path.dirname(path)):
                mode = os.stat(os.path.join(os.path.dirname(path), name)).st_mode
                assert mode & 0o077 == 0, name


def test_a_subscription_ends_with_its_result():
    with Home() as home:
        s = home.server()
        id = s.send("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        s.until(lambda: s.inbox)
        assert s.notifications()[0]["method"] == "notifications/subscriptions/acknowledged"
        s.close_stdin()
        result = s.wait(id)
        assert result["_meta"]["io.modelcontextprotocol/subscriptionId"] == id, result
        s.stop()
        s.dispose()


def test_an_unknown_key_opens_no_tool():
    keys = {"unknown": "fbx_" + "0" * 43, "not a key": "secret", "blank": " "}
    with Home({"tools": {"echo": echo_tool(30)}}) as home:
        for name, key in keys.items():
            with home.server(env={"FAREBOX_API_KEY": key}) as s:
                for tool in s.request("tools/list")["tools"]:
                    try:
                        error = error_of(s.call(tool["name"], CALLS.get(tool["name"], [{}])[0]))
                    except AssertionError as e:
                        raise AssertionError("%s with a key that is %s" % (tool["name"], name)) from e
                    assert error["code"] == "UNAUTHENTICATED", (name, tool["name"], error)
        assert home.query("SELECT count(*) FROM entry WHERE kind <> 1")[0][0] == 0


def test_a_key_that_is_revoked_meanwhile_opens_nothing_any_more():
    with Home({"tools": {"echo": echo_tool(10)}}) as home:
        key = home.cli("keys", "create", "--label", "agent").out.strip()
        secret = {"FAREBOX_API_KEY": key}
        with home.server(env=secret) as s, home.server(env=secret) as idle:
            s.call("echo", {"a": 1})
            assert s.balance() == 90
            home.cli("keys", "revoke", key[:12])
            s.call_error("echo", {"a": 2}, code="UNAUTHENTICATED")
            s.call_error("check_balance", code="UNAUTHENTICATED")
            s.call_error("buy_tokens", {"amount_usd": 5}, code="UNAUTHENTICATED")
            idle.call_error("echo", {"a": 3}, code="UNAUTHENTICATED")
        with home.server() as s:
            assert s.balance() == 90
        home.ledger_verify()


def test_a_rotated_key_is_replaced_at_once():
    with Home({"tools": {"echo": echo_tool(10)}}) as home:
        first = home.cli("keys", "create").out.strip()
        with home.server(env={"FAREBOX_API_KEY": first}) as s:
            s.call("echo", {"a": 1})
            second = home.cli("keys", "rotate", first[:12]).out.strip()
            s.call_error("echo", {"a": 2}, code="UNAUTHENTICATED")
        with home.server(env={"FAREBOX_API_KEY": second}) as s:
            assert usage_of(s.call("echo", {"a": 3}))["tokens"] == 10


def test_a_healthy_session_does_not_say_error():
    # A host marks a server as failed whose stderr has the word.
    with Home({"tools": {"echo": echo_tool(30), "slow": echo_tool(1, delay_ms=20000)}}) as home:
        with home.server(env={"FAREBOX_LOG": "debug"}) as s:
            for n in range(4):
                s.call("echo", {"n": n})
            s.call_ok("buy_tokens", {"amount_usd": 5})
            s.call_ok("top_up_credits", {"amount_usd": 5})
            s.call_ok("set_auto_reload", {"enabled": True, "threshold_tokens": 100, "topup_usd": 5})
            id = s.send_call("slow")
            s.notify("notifications/cancelled", {"requestId": id, "reason": "user"})
            s.send_line("no JSON")
            s.request("server/discover")
            s.stop()
            said = s.err_text()
            assert "error" not in said.lower(), said
            assert "fault" not in said, said
        with home.server() as s:
            s.call("echo", {})
            s.stop()
            assert s.err_text() == "", s.err_text()


def test_what_the_user_pays_elsewhere_shows_here():
    with Home() as home, home.server() as s, home.server() as other:
        payment = s.call_ok("top_up_credits", {"amount_usd": 20})["payment_id"]
        assert other.balance() == 100
        assert home.cli("sandbox", "pay", payment).status == 0
        assert s.balance() == other.balance() == 2100
        # Paid is paid.
        assert home.cli("sandbox", "pay", payment, status=None).status == 1
        assert s.balance() == 2100
        assert s.call_ok("list_invoices")["items"][0]["status"] == "succeeded"
        home.ledger_verify()


def test_tokens_granted_by_the_operator_show_at_once():
    with Home() as home, home.server() as s:
        assert s.balance() == 100
        home.cli("grant", "--tokens", "2.5", "--reason", "for the trouble")
        assert s.balance() == 102.5
        home.ledger_verify()


def test_the_org_of_the_key_pays():
    with Home({"tools": {"echo": echo_tool(30)}}) as home:
        home.cli("orgs", "create", "--name", "acme")
        key = home.cli("keys", "create", "--org", "acme").out.strip()
        with home.server(env={"FAREBOX_API_KEY": key}) as s:
            before = s.balance()
            home.cli("grant", "--tokens", "50", "--org", "acme")
            s.call("echo", {})
            assert s.balance() == before + 20
        with home.server() as s:
            assert s.balance() == 100
        home.ledger_verify()


def test_schemas_that_are_broken_are_noticed():
    schema = output_schema("get_token_balance")
    good = {"tokens": 100, "held_tokens": 0, "usd": 1, "tokens_per_usd": 100, "prices": [],
            "auto_reload": {"enabled": False, "last_error": None}}
    assert not json_schema.faults_of(good, schema)
    assert json_schema.faults_of({**good, "tokens": "100"}, schema)
    result = {"content": [{"type": "text", "text": json.dumps({**good, "tokens": 99})}],
              "structuredContent": good}
    try:
        content_of("get_token_balance", result)
    except AssertionError:
        return
    raise AssertionError("text and structured content may differ unnoticed")


def test_an_rpc_error_is_for_the_protocol_only():
    with Home() as home, home.server() as s:
        for method, params, code in (("tools/call", {"name": "no_such"}, -32602),
                                     ("tools/call", {"arguments": {}}, -32602),
                                     ("no/such", {}, -32601)):
            try:
                s.request(method, params)
            except RpcError as e:
                assert e.code == code, (method, e)
            else:
                raise AssertionError("%s was answered" % method)


main()
