#!/usr/bin/env python3
"""An operator's MCP server behind the meter: over stdio and HTTP, in both eras."""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from fake_mcp import (ANY, ERAS, FAKE, FakeHttp, check_all_is_well, config, log_of,  # noqa: E402
                      text_of, tools_of, until, upstream)
from farebox_test import AT_ONCE_S, Home, RpcError, main, usage_of  # noqa: E402


def check_tools_and_calls(home, era="modern"):
    with home.server(era=era) as s:
        tools = tools_of(s)
        echo = tools["up__echo"]
        assert echo["title"] == "Echo"
        assert echo["description"].startswith("Costs 3 tokens ($0.03) per call"), echo
        assert echo["description"].endswith("Says what it is told.")
        assert echo["inputSchema"]["properties"] == {"text": {"type": "string"}}
        assert echo["outputSchema"]["required"] == ["text"]
        assert echo["annotations"] == {"readOnlyHint": True, "title": "The echo"}
        assert echo["_meta"] == {"farebox/price": {"kind": "flat", "tokens": 3}}
        result = s.call("up__echo", {"text": "grüß dich"})
        assert result["structuredContent"] == {"text": "grüß dich"}
        assert usage_of(result)["tokens"] == 3
        assert "example.com/secret" not in result["_meta"]
        # Our own check of the arguments comes before the hold.
        assert s.call_error("up__echo", {}, code="INVALID_ARGUMENTS")["field"] == "text"
        # What our schemas do not know, the upstream checks.
        assert text_of(s.call("up__strange", {"when": 1})) == '{"when": 1}'
        failed = s.call("up__fail")
        assert failed["isError"] and text_of(failed) == "no such file"
        assert failed["_meta"]["farebox/error"]["error"]["code"] == "UPSTREAM_ERROR"
        assert usage_of(failed)["tokens"] == 0
        error = s.call_error("up__reject", code="UPSTREAM_REJECTED")
        assert "not to my taste" in error["message"]
        assert "something broke" in s.call_error("up__broken", code="UPSTREAM_ERROR")["message"]
        check_all_is_well(home, s, 6)


def test_tools_of_a_child_are_listed_and_charged_in_both_eras():
    for era in ERAS:
        with Home(config("--era", era)) as home:
            check_tools_and_calls(home, "legacy" if era == "legacy" else "modern")


def test_tools_of_a_url_are_listed_and_charged_in_both_eras():
    for switches in (("--era", "modern"), ("--era", "modern", "--sse"), ("--era", "legacy"),
                     ("--era", "legacy", "--sessions", "--sse")):
        with FakeHttp(*switches) as fake, Home(fake.config()) as home:
            check_tools_and_calls(home)


def test_older_revisions_are_spoken():
    for version in ("2024-11-05", "2025-03-26", "2025-06-18"):
        with Home(config("--era", "legacy", "--version", version)) as home, home.server() as s:
            assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 3


def test_a_revision_that_nobody_knows_is_named():
    with Home(config("--era", "legacy", "--version", "1999-01-01")) as home, home.server() as s:
        assert "up__echo" not in tools_of(s)
        s.until(lambda: "no revision that is known" in s.err_text())


def test_a_list_in_pages_is_read_whole():
    with Home(config("--pages")) as home, home.server() as s:
        assert len([n for n in tools_of(s) if n.startswith("up__")]) == 21


def test_a_child_gets_a_clean_environment_and_nothing_else():
    more = {"SOMETHING": "else", "STRIPE_SECRET_KEY": "sk_test_1", "XDG_DATA_HOME": "/nonexistent",
            "MY_TOKEN": "abc", "LANG": "C.UTF-8"}
    with Home(config(env={"TOKEN": "x-${env:MY_TOKEN}", "LANG": "C"})) as home:
        pipe = os.pipe()
        os.set_inheritable(pipe[1], True)
        with home.server(env=more, popen={"pass_fds": (pipe[1],)}) as s:
            said = json.loads(text_of(s.call("up__env")))
            names = set(said["env"]) - {"LC_CTYPE", "PYENV_VERSION", "PYENV_DIR", "SHLVL", "PWD", "_"}
            assert names == {"HOME", "PATH", "LANG", "TOKEN"}, names
            assert said["env"]["TOKEN"] == "x-abc" and said["env"]["LANG"] == "C"
            assert said["cwd"] == home.path
            # 3 is the folder that it reads to find them.
            assert said["fds"] == [0, 1, 2, 3], said["fds"]
            assert said["pgid"] == said["pid"]
        os.close(pipe[0])
        os.close(pipe[1])


def test_secrets_of_the_wallet_cannot_be_configured_away():
    for env in ({"FAREBOX_API_KEY": "x"}, {"A": "${env:STRIPE_SECRET_KEY}"}):
        with Home(config(env=env)) as home:
            path = home.env["FAREBOX_CONFIG"]
            done = home.cli("config", "check", path, status=1)
            assert "/upstreams/up/env/" in done.out + done.err, done.out + done.err


def test_prices_are_by_name_and_none_means_no_service():
    prices = {"echo": {"kind": "flat", "tokens": 5},
              "cost": {"kind": "cost_plus", "raw_cost_usd": {"pointer": "/result/cost"},
                       "max_raw_cost_usd": 0.5}}
    with Home(config(prices=prices)) as home, home.server() as s:
        assert {n for n in tools_of(s) if n.startswith("up__")} == {"up__echo", "up__cost"}
        assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 5
        usage = usage_of(s.call("up__cost", {"usd": 0.005}))
        assert (usage["cost"], usage["raw_cost"], usage["markup"]) == (0.0053, 0.005, 1.05), usage
        try:
            s.call("up__pid")
            assert False
        except RpcError as e:
            assert e.code == -32602
        s.until(lambda: "event=tools_not_imported" in s.err_text())


def test_an_org_may_have_a_price_of_its_own_and_rates_are_limited():
    both = config(rate_limit={"calls": 2, "per_s": 60})
    both["orgs"] = {"acme": {"prices": {"up__echo": {"kind": "flat", "tokens": 8}}}}
    with Home(both) as home:
        home.cli("config", "check", home.env["FAREBOX_CONFIG"])
        home.cli("orgs", "create", "--name", "acme")
        key = home.cli("keys", "create", "--org", "acme", "--json").json()["api_key"]
        with home.server(env={"FAREBOX_API_KEY": key}) as s:
            assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 8
        with home.server() as s:
            assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 3
            s.call("up__echo", {"text": "y"})
            s.call_error("up__echo", {"text": "z"}, code="RATE_LIMITED")
        both["orgs"]["acme"]["prices"]["ghost__echo"] = {"kind": "flat", "tokens": 8}
        home.configure(both)
        done = home.cli("config", "check", home.env["FAREBOX_CONFIG"], status=1)
        assert "/orgs/acme/prices/ghost__echo" in done.out + done.err


def test_a_prefix_may_be_chosen_and_names_that_clash_are_left_out():
    both = {"upstreams": {"a": upstream(prefix=""), "b": upstream(prefix="")}}
    with Home(both) as home, home.server() as s:
        assert "echo" in tools_of(s)
        assert usage_of(s.call("echo", {"text": "x"}))["tokens"] == 3
        s.until(lambda: "there is another tool of this name" in s.err_text())


def test_what_hosts_would_choke_on_is_left_out():
    good = {"name": "good", "inputSchema": {"type": "object"}, "description": None,
            "outputSchema": {"type": "array"}, "annotations": {"title": 5, "readOnlyHint": "yes"},
            "icons": [{"src": 1}]}
    bad = [{"name": "x" * 61, "inputSchema": {"type": "object"}}, {"name": "has space",
           "inputSchema": {"type": "object"}}, {"name": "dotted.name", "inputSchema":
           {"type": "object"}}, {"name": "no_schema"}, {"name": "odd", "inputSchema":
           {"type": "string"}}, {"inputSchema": {"type": "object"}}, 7, None, good]
    with Home() as home:
        path = os.path.join(home.path, "list.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump([good] + bad, f)
        home.configure(config("--list", path))
        with home.server() as s:
            tools = tools_of(s)
            assert [n for n in tools if n.startswith("up__")] == ["up__good"]
            assert set(tools["up__good"]) == {"name", "description", "inputSchema", "annotations",
                                              "_meta"}
            assert tools["up__good"]["annotations"] == {}


def test_progress_is_passed_on():
    for switches in (("--era", "modern"), ("--era", "legacy")):
        with Home(config(*switches)) as home, home.server() as s:
            s.call("up__slow", {"ms": 600, "steps": 3, "words": True}, meta={"progressToken": "p"})
            said = [m["params"] for m in s.notifications()]
            assert [p["message"] for p in said] == ["step 1", "step 2", "step 3"], said
            assert [p["progress"] for p in said] == [1, 2, 3]
            assert all(p["progressToken"] == "p" for p in said)
            s.call("up__slow", {"ms": 300, "steps": 2}, meta={"progressToken": 5})
            assert [m["params"]["message"] for m in s.notifications()] == ["1 of 2", "2 of 2"]
            s.call("up__slow", {"ms": 10, "steps": 2})
            assert not s.notifications()
    with FakeHttp() as fake, Home(fake.config()) as home, home.server() as s:
        s.call("up__slow", {"ms": 600, "steps": 3, "words": True}, meta={"progressToken": "p"})
        assert [m["params"]["message"] for m in s.notifications()] == ["step 1", "step 2", "step 3"]


def test_a_cancelled_call_is_cancelled_upstream_and_released():
    with Home() as home:
        home.configure(config("--log", os.path.join(home.path, "log")))
        with home.server() as s:
            tools_of(s)
            id = s.send_call("up__slow", {"ms": 20000})
            until(lambda: any("tools/call" in line for line in log_of(home)))
            s.notify("notifications/cancelled", {"requestId": id})
            until(lambda: any(line.startswith("cancelled ") for line in log_of(home)))
            check_all_is_well(home, s, 0)
    for switches in (("--era", "legacy"), ("--era", "modern", "--sse")):
        with Home() as home, FakeHttp(*switches, "--log", os.path.join(home.path, "log")) as fake:
            home.configure(fake.config())
            with home.server() as s:
                tools_of(s)
                id = s.send_call("up__slow", {"ms": 20000, "steps": 100}, {"progressToken": 1})
                until(lambda: any("tools/call" in line for line in log_of(home)))
                s.notify("notifications/cancelled", {"requestId": id})
                until(lambda: any(line.startswith("cancelled ") for line in log_of(home)))
                check_all_is_well(home, s, 0)


def test_a_call_out_of_time_is_released_and_cancelled_upstream():
    with Home() as home:
        home.configure(config("--log", os.path.join(home.path, "log"), timeout_ms=400))
        with home.server() as s:
            tools_of(s)
            s.call_error("up__nothing", code="UPSTREAM_TIMEOUT")
            until(lambda: any(line.startswith("cancelled ") for line in log_of(home)))
            check_all_is_well(home, s, 0)


def test_results_that_cannot_be_passed_on_are_released():
    bad = [{}, {"content": "text"}, {"content": [{"text": "no type"}]}, {"content": None},
           {"resultType": "task", "taskId": "x"}]
    with Home(config()) as home, home.server() as s:
        for result in bad:
            s.call_error("up__bad", {"result": result}, code="UPSTREAM_ERROR")
        assert "input" in s.call_error("up__ask", code="UPSTREAM_ERROR")["message"]
        assert "too large" in s.call_error("up__big", {"bytes": 9 << 20})["message"]
        assert len(text_of(s.call("up__big", {"bytes": 1 << 20}))) == 1 << 20
        check_all_is_well(home, s, 3)


def test_an_answer_that_makes_no_sense_ends_its_call_at_once():
    """And is named: nobody waits out the timeout for what has come."""
    bad = {'"result":{"content":[],"n":1e999}': "out of range",
           '"result":{"content":[],"content":[]}': "stands twice",
           '"result":{"content":[' + "[" * 200 + "]" * 200 + "]}": "too deeply",
           '"result":{"content":[]},"error":{"code":1,"message":"x"}': "makes no sense",
           '"error":"oh"': "not an object"}
    with Home(config(timeout_ms=30000)) as home, home.server() as s:
        for member, words in bad.items():
            line = '{"jsonrpc":"2.0","id":@,%s}' % member
            error = s.call_error("up__raw", {"line": line}, "UPSTREAM_ERROR", timeout=10)
            assert words in error["message"], error
        check_all_is_well(home, s, 0)


def test_a_number_beyond_64_bits_is_handed_on():
    """Solana's rentEpoch, for one, is the largest of all unsigned ones."""
    line = ('{"jsonrpc":"2.0","id":@,"result":{"content":[],'
            '"structuredContent":{"n":18446744073709551615,"m":-9223372036854775808}}}')
    with Home(config()) as home, home.server() as s:
        found = s.call("up__raw", {"line": line}, timeout=10)["structuredContent"]
        assert found == {"n": float(2 ** 64), "m": -2 ** 63}, found
        check_all_is_well(home, s, 3)


def test_a_byte_of_another_charset_loses_no_message():
    line = '{"jsonrpc":"2.0","id":@,"result":{"content":[{"type":"text","text":"caf\u00e9"}]%s}}'
    with Home(config("--era", "legacy")) as home, home.server() as s:
        assert text_of(s.call("up__raw", {"line": line % ""}, timeout=10)) == "caf\ufffd"
        check_all_is_well(home, s, 3)


def test_a_result_that_breaks_its_promise_is_released():
    """Hosts throw it away: it is worth nothing."""
    good = {"content": [], "structuredContent": {"text": "x"}}
    with Home(config()) as home, home.server() as s:
        listed = tools_of(s)["up__promise"]
        assert listed["outputSchema"]["required"] == ["text"], listed
        assert s.call("up__promise", {"result": good})["structuredContent"] == {"text": "x"}
        for structured in ({"text": 1}, {}):
            error = s.call_error("up__promise", {"result": {**good, "structuredContent": structured}},
                                 "UPSTREAM_ERROR")
            assert "outputSchema" in error["message"] and "text" in error["message"], error
        check_all_is_well(home, s, 3)


def test_charge_on_error_keeps_the_charge():
    with Home(config(charge_on_error=True)) as home, home.server() as s:
        said = tools_of(s)["up__fail"]["description"]
        assert said == ("Costs 3 tokens ($0.03) per call; failed calls are refunded, but not those "
                        "that the tool itself answers with an error."), said
        assert usage_of(s.call("up__fail"))["tokens"] == 3
        assert s.call_error("up__broken")["code"] == "UPSTREAM_ERROR"
        check_all_is_well(home, s, 3)


def test_the_upstream_may_ask_whether_we_live_and_nothing_else():
    for home in (Home(config()), Home(config("--era", "legacy"))):
        with home, home.server() as s:
            said = json.loads(text_of(s.call("up__ask_client")))
            assert said["ping"] == {}
            assert said["roots/list"]["code"] == -32601
            assert said["sampling/createMessage"]["code"] == -32601


def test_a_changed_list_is_read_anew_and_told():
    for era in ("modern", "legacy"):
        with Home(config("--era", era)) as home, home.server(era="legacy") as s:
            assert s.initialized["capabilities"] == {"tools": {"listChanged": True}}
            assert "up__pid" in tools_of(s)
            s.call("up__change")
            s.until(lambda: any(m.get("method") == "notifications/tools/list_changed"
                                for m in s.inbox))
            tools = tools_of(s)
            assert "up__late" in tools and "up__pid" not in tools
            assert text_of(s.call("up__late")) == "better than never"
            try:
                s.call("up__pid")
                assert False
            except RpcError as e:
                assert e.code == -32602
            s.notifications()
            s.call("up__change", {"back": True})
            s.until(lambda: any(m.get("method") == "notifications/tools/list_changed"
                                for m in s.inbox))
            assert "up__late" not in tools_of(s)
            assert text_of(s.call("up__pid")).isdigit()
            names = [n for n in tools_of(s) if n.startswith("up__")]
            assert names[:3] == ["up__echo", "up__strange", "up__region"], names
            assert names.index("up__pid") == names.index("up__ask_client") + 1, names
    with Home(config()) as home, home.server() as s:
        capabilities = s.request("server/discover")["capabilities"]
        assert capabilities == {"tools": {"listChanged": True}}
        tools_of(s)
        id = s.send("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        ack = s.next_message()
        assert ack["params"]["notifications"] == {"toolsListChanged": True}
        s.call("up__change")
        s.until(lambda: any(m.get("method") == "notifications/tools/list_changed" and
                            m["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == id
                            for m in s.inbox))


def test_without_upstreams_the_list_does_not_change():
    with Home({}) as home, home.server(era="legacy") as s:
        assert s.initialized["capabilities"] == {"tools": {}}


def test_nothing_is_started_before_it_is_needed():
    with Home() as home:
        home.configure(config("--log", os.path.join(home.path, "log")))
        with home.server() as s:
            s.request("server/discover")
            assert s.balance() == 100
            assert s.call_ok("ping")["ok"]
        assert log_of(home) == []


def test_a_call_starts_its_upstream_and_no_other():
    with Home() as home:
        home.configure({"upstreams": {
            "a": upstream("--log", os.path.join(home.path, "log")),
            "b": upstream("--log", os.path.join(home.path, "other"))}})
        with home.server() as s:
            assert usage_of(s.call("a__echo", {"text": "x"}))["tokens"] == 3
        assert not os.path.exists(os.path.join(home.path, "other"))


def test_the_last_list_answers_a_new_process_at_once_also_when_the_server_is_gone():
    with Home() as home:
        script = os.path.join(home.path, "server.py")
        os.symlink(FAKE, script)
        home.configure({"upstreams": {"up": {"command": [sys.executable, script], "prices": ANY}}})
        with home.server() as s:
            before = tools_of(s)
        os.unlink(script)
        with home.server() as s:
            began = time.monotonic()
            assert tools_of(s) == before
            assert time.monotonic() - began < 3.5  # a list is waited for 4 s
            error = s.call_error("up__echo", {"text": "x"}, code="UPSTREAM_ERROR")
            assert "up: it ended with exit status 2" in error["message"], error
            check_all_is_well(home, s, 0)


def test_another_server_under_the_same_name_does_not_inherit_the_list():
    with Home(config()) as home:
        with home.server() as s:
            assert "up__echo" in tools_of(s)
        home.configure({"upstreams": {"up": {"command": ["/nonexistent/server"], "prices": ANY}}})
        with home.server() as s:
            assert "up__echo" not in tools_of(s)
            s.until(lambda: "cannot start /nonexistent/server: No such file" in s.err_text())


def test_the_command_line_knows_the_tools():
    with Home(config()) as home:
        assert "up__echo" in home.cli("tools").out
        done = home.cli("call", "up__echo", '{"text": "x"}', "--json")
        assert done.json() == {"text": "x"}
        assert home.cli("quote", "up__echo", '{"text": "x"}', "--json").json()["hold_tokens"] == 3
        failed = home.cli("call", "up__fail", status=1)
        assert "no such file" in failed.out + failed.err


def test_a_quote_waits_for_the_tool_to_be_listed():
    with Home(config("--slow-start", "0.7")) as home, home.server() as s:
        assert s.call_ok("quote", {"tool": "up__echo", "arguments": {"text": "x"}})["hold_tokens"] == 3
        error = s.call_error("quote", {"tool": "up__nope"}, code="INVALID_ARGUMENTS")
        assert "no such tool" in error["message"], error
    with Home(config("--slow-start", "20")) as home, home.server() as s:
        id = s.send_call("quote", {"tool": "up__echo"})
        assert s.call_ok("ping")["ok"]
        s.notify("notifications/cancelled", {"requestId": id})
        s.send_call("quote", {"tool": "up__echo"})
        assert s.call_ok("ping")["ok"]
        began = time.monotonic()
        s.terminate()
        assert s.wait_exit() == 0
        assert time.monotonic() - began < AT_ONCE_S


def test_a_tool_of_a_server_that_does_not_run_is_refused_with_the_reason():
    gone = {"upstreams": {"up": {"command": ["/nonexistent/server"], "prices": ANY}}}
    with Home(gone) as home:
        with home.server() as s:
            error = s.call_error("quote", {"tool": "up__echo"}, code="UPSTREAM_ERROR")
            assert "cannot start /nonexistent/server: No such file" in error["message"], error
            assert error["retryable"] and "charged" in error["resolution_hint"]
            assert "no such tool" in s.call_error("quote", {"tool": "x__echo"})["message"]
            try:
                s.call("up__echo")
                assert False
            except RpcError as e:
                assert e.code == -32602 and "cannot start" in e.message, e
        for command in (("quote", "up__echo"), ("call", "up__echo", "{}")):
            said = home.cli(*command, status=1)
            assert "upstream up: cannot start /nonexistent/server" in said.err, said.err
        assert "no tool 'x__echo'" in home.cli("quote", "x__echo", status=2).err
    with Home(config("--silent", "tools/list", "--silent", "server/discover", "--silent",
                     "initialize", start_timeout_ms=400)) as home:
        with home.server() as s:
            error = s.call_error("quote", {"tool": "up__echo"}, code="UPSTREAM_ERROR")
            assert "did not answer initialize within 400 ms" in error["message"], error


def test_a_missing_variable_fails_its_upstream_alone():
    with Home({"upstreams": {"a": upstream(env={"X": "${env:NOT_THERE}"}), "b": upstream()}}) as home:
        with home.server() as s:
            tools = tools_of(s)
            assert "b__echo" in tools and "a__echo" not in tools
            s.until(lambda: "NOT_THERE is not set" in s.err_text())


def test_headers_and_sessions_of_a_url():
    with Home() as home:
        log = os.path.join(home.path, "log")
        with FakeHttp("--era", "legacy", "--sessions", "--token", "Bearer t-1", "--log", log) as fake:
            home.configure(fake.config(headers={"Authorization": "Bearer ${env:UP_TOKEN}"}))
            with home.server(env={"UP_TOKEN": "t-1"}) as s:
                assert text_of(s.call("up__slow", {"ms": 1})) == "slow but sure"
                headers = [json.loads(line[8:]) for line in log_of(home)
                           if line.startswith("headers ")]
                assert headers[0]["mcp-method"] == "server/discover"
                assert headers[0]["mcp-protocol-version"] == "2026-07-28"
                assert "mcp-protocol-version" not in headers[1]
                assert headers[-1]["mcp-protocol-version"] == "2025-11-25"
                assert headers[-1]["mcp-session-id"]
                assert headers[-1]["accept"] == "application/json, text/event-stream"
                # Its sessions are lost: the call goes through a new one, and is charged once.
                fake.order("forget sessions")
                assert text_of(s.call("up__slow", {"ms": 1})) == "slow but sure"
                assert sum("method initialize" in line for line in log_of(home)) == 2
                check_all_is_well(home, s, 6)
            with home.server(env={"UP_TOKEN": "wrong"}) as s:
                error = s.call_error("up__slow", {"ms": 1}, code="UPSTREAM_ERROR")
                assert "401" in error["message"], error
                check_all_is_well(home, s, 6)


def test_arguments_that_a_server_wants_in_headers_are_there():
    with Home() as home:
        log = os.path.join(home.path, "log")
        with FakeHttp("--log", log) as fake:
            home.configure(fake.config())
            with home.server() as s:
                schema = tools_of(s)["up__region"]["inputSchema"]
                assert "x-mcp-header" not in json.dumps(schema), schema
                for value, sent in (("eu-1", "eu-1"), (" eu", "=?base64?IGV1?="), ("", "=?base64??="),
                                    ("ü", "=?base64?w7w=?=")):
                    s.call("up__region", {"region": value, "deep": {"n": 7}})
                    headers = json.loads([line for line in log_of(home)
                                          if line.startswith("headers ")][-1][8:])
                    assert headers["mcp-param-region"] == sent, headers
                    assert headers["mcp-param-deep-n"] == "7"
                    assert "mcp-param-other" not in headers


def test_a_request_that_waits_for_upstreams_may_be_cancelled_or_given_up():
    with Home(config("--slow-start", "20")) as home:
        with home.server() as s:
            list_id = s.send("tools/list")
            call_id = s.send_call("up__echo", {"text": "x"})
            assert s.call_ok("ping")["ok"]
            s.notify("notifications/cancelled", {"requestId": call_id})
            s.wait(list_id)
            assert not s.inbox
            assert s.balance() == 100
            s.send_call("up__echo", {"text": "x"})
            assert s.call_ok("ping")["ok"]
            began = time.monotonic()
            s.terminate()
            assert s.wait_exit() == 0
            assert time.monotonic() - began < AT_ONCE_S
        with home.server(env={"FAREBOX_LOG": "info"}) as s:
            s.send_call("up__echo", {"text": "x"})
            assert s.call_ok("ping")["ok"]
            s.kill9()


def test_a_url_on_a_private_address_is_refused_unless_allowed():
    with FakeHttp() as fake:
        private = fake.config()
        del private["network"]
        with Home(private) as home, home.server() as s:
            assert "up__echo" not in tools_of(s)
            s.until(lambda: "the address is not public" in s.err_text())


def test_a_url_that_is_down_fails_calls_and_recovers():
    with Home() as home:
        with FakeHttp() as fake:
            home.configure(fake.config())
            with home.server() as s:
                tools_of(s)
        with home.server() as s:
            assert "up__echo" in tools_of(s)
            assert "up: " in s.call_error("up__echo", {"text": "x"}, code="UPSTREAM_ERROR")["message"]
            check_all_is_well(home, s, 0)


def test_what_a_child_says_on_stderr_is_logged_with_its_name():
    with Home(config("--stderr", "2000")) as home:
        with home.server(env={"FAREBOX_LOG": "info"}) as s:
            s.call("up__echo", {"text": "x"})
            said = s.err_text().count("event=upstream_stderr upstream=up text=")
            assert 1 <= said <= 20, said
        with home.server() as s:
            s.call("up__echo", {"text": "x"})
            assert "upstream_stderr" not in s.err_text()


def test_faults_of_the_configuration_are_named():
    bad = {"upstreams": {"a": {"command": ["x"], "prices": {"t": {"kind": "flat", "tokens": 1}},
                               "headers": {"A": "b"}},
                         "b": {"command": ["x"], "url": "https://example.com", "prices": ANY},
                         "c": {"url": "https://example.com", "prices": ANY,
                               "headers": {"A": "${env:1}"}}}}
    with Home(bad) as home:
        said = home.cli("config", "check", status=1).out
        assert "/upstreams/a/headers: is for a url" in said, said
        assert "/upstreams/b: must have only one of command, url" in said, said
        assert "/upstreams/c/headers/A: ${env:NAME} is not well formed" in said, said


main()
