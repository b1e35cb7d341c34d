#!/usr/bin/env python3
"""farebox config check: every fault of a farebox.json, all at once, each with its JSON pointer."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from fake_mcp import upstream  # noqa: E402
from farebox_test import Home, main, usage_of  # noqa: E402

FLAT = {"kind": "flat", "tokens": 1}
ECHO = {"kind": "echo"}
LONG = "n" * 60
ENV = {"SET": "value", "FILE_FILE": "/nonexistent/secret", "BASE": "https://10.0.0.1/v1",
       "BOTH": "x", "BOTH_FILE": "/nonexistent/secret"}


def tool(price=None, provider=None, **more):
    return {"tools": {"t": {"price": price or FLAT, "provider": provider or ECHO, **more}}}


def http(schema=None, **provider):
    more = {"inputSchema": schema} if schema else {}
    return tool(provider={"kind": "http", "url": "https://example.com/{a}", **provider}, **more)


def llm(price=None, **provider):
    return tool(price, {"kind": "llm", "api": "openai", "base_url": "https://example.com/v1",
                        **provider})


def up(**more):
    return {"upstreams": {"u": {**upstream(), **more}}}


def url_up(url, **more):
    return {"upstreams": {"u": {"url": url, "prices": {"*": FLAT}, **more}}}


def models(**more):
    return {"kind": "llm", "models": {"m": {"input": 1, "output": 2, **more}}}


def per_unit(**more):
    return {"kind": "per_unit", "tokens_per_unit": 1, "units": {"pointer": "/result/n"},
            "max_units": 5, **more}


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}

# What is wrong, where it is said to be, and a word of the text.
FAULTS = [
    # Keys that nobody knows, with the one that was meant.
    ({"tolls": {}}, "/tolls", "did you mean tools?"),
    (tool(pirce=FLAT), "/tools/t/pirce", "did you mean price?"),
    (tool({**FLAT, "token": 1}), "/tools/t/price/token", "did you mean tokens?"),
    (http(metod="GET"), "/tools/t/provider/metod", "did you mean method?"),
    (up(a_b_c=1), "/upstreams/u/a_b_c", "not a known field"),
    ({"a/b~c": 1}, "/a~1b~0c", "not a known field"),
    ({"detectors": {"hirng": {}}}, "/detectors/hirng", "did you mean hiring?"),
    # Ceilings of purchases.
    ({"purchases": {"per_cal_usd": 1}}, "/purchases/per_cal_usd", "did you mean per_call_usd?"),
    ({"purchases": {"per_day_usd": -1}}, "/purchases/per_day_usd", "at least 0"),
    ({"purchases": {"per_day_usd": 0.001}}, "/purchases/per_day_usd", "more than two decimals"),
    ({"purchases": {"per_day_usd": "100"}}, "/purchases/per_day_usd", "number"),
    ({"purchases": {"per_day_usd": None}}, "/purchases/per_day_usd", "number"),
    ({"purchases": {"per_month_usd": 1000000.01}}, "/purchases/per_month_usd", "at most 1000000"),
    ({"purchases": {"per_month_usd": 1e300}}, "/purchases/per_month_usd", "at most"),
    ({"purchases": 100}, "/purchases", "object"),
    ({"orgs": {"acme": {"purchases": {"per_call_usd": True}}}},
     "/orgs/acme/purchases/per_call_usd", "number"),
    # Prices.
    ({"tools": {"t": {"provider": ECHO}}}, "/tools/t/price", "required"),
    ({"tools": {"t": {"price": FLAT}}}, "/tools/t/provider", "required"),
    (tool({"kind": "flt", "tokens": 1}), "/tools/t/price/kind", "flat"),
    (tool({"kind": "flat"}), "/tools/t/price/tokens", "required"),
    (tool({"kind": "flat", "tokens": -1}), "/tools/t/price/tokens", "at least 0"),
    (tool({"kind": "flat", "tokens": 0.00001}), "/tools/t/price/tokens", "four decimals"),
    (tool({"kind": "flat", "tokens": "1.000001"}), "/tools/t/price/tokens", "four decimals"),
    (tool({"kind": "flat", "tokens": "lots"}), "/tools/t/price/tokens", "match"),
    (tool({"kind": "flat", "tokens": True}), "/tools/t/price/tokens", "number"),
    (tool(per_unit(units={"pointer": "/n"})), "/tools/t/price/units", "/result or /arguments"),
    (tool(per_unit(units={"pointer": "/resultn"})), "/tools/t/price/units", "/result or"),
    (tool(per_unit(units={"pointer": "/result/~x"})), "/tools/t/price/units", "~0"),
    (tool(per_unit(units={"pointer": "result"})), "/tools/t/price/units/pointer", "match"),
    (tool(per_unit(max_units=0)), "/tools/t/price/max_units", "at least 1"),
    (tool(per_unit(tokens_per_unit="100000000000", max_units=1000000)),
     "/tools/t/price/max_units", "too large"),
    (tool({"kind": "cost_plus", "raw_cost_usd": {"pointer": "/result/c"}}),
     "/tools/t/price/max_raw_cost_usd", "required"),
    (tool({"kind": "cost_plus", "raw_cost_usd": 1, "max_raw_cost_usd": 2}),
     "/tools/t/price/max_raw_cost_usd", "only with a pointer"),
    (tool({"kind": "cost_plus", "raw_cost_usd": -1}), "/tools/t/price/raw_cost_usd", "at least 0"),
    (tool({"kind": "cost_plus", "raw_cost_usd": 1, "markup": 0.5}), "/tools/t/price/markup",
     "at least 1"),
    (tool({"kind": "cost_plus", "raw_cost_usd": 1, "markup": "0.9"}), "/tools/t/price/markup",
     "at least 1"),
    (tool({"kind": "llm", "models": {}}), "/tools/t/price/models", "at least one"),
    (tool(models(input=-1)), "/tools/t/price/models/m/input", "at least 0"),
    (tool(models(input="100001")), "/tools/t/price/models/m/input", "at most 100000"),
    (tool(models(max_output=0)), "/tools/t/price/models/m/max_output", "at least 1"),
    (tool({"kind": "llm", "models": {"a/b": {"input": 1}}}), "/tools/t/price/models/a~1b/output",
     "required"),
    (tool({"kind": "llm", "models": {"m" * 190: {"input": 1}}}),
     "/tools/t/price/models/%s/output" % ("m" * 190), "required"),
    # Templates.
    (http(SCHEMA, url="https://example.com/{b}"), "/tools/t/provider/url",
     "{b} is not a property"),
    (http(SCHEMA, query={"q": "{b}"}), "/tools/t/provider/query/q", "{b} is not a property"),
    (http(SCHEMA, method="POST", form={"q": "{b}"}), "/tools/t/provider/form/q", "{b} is not"),
    (http(SCHEMA, method="POST", body={"x": [{"y/z": "{b}"}]}),
     "/tools/t/provider/body/x/0/y~1z", "{b} is not a property"),
    (http(url="https://{a}.example.com/"), "/tools/t/provider/url", "the host"),
    (http(url="https://example.com/{"), "/tools/t/provider/url", "a brace is written as {{"),
    (http(url="https://example.com/}"), "/tools/t/provider/url", "a single }"),
    (http(headers={"X": "{not good}"}), "/tools/t/provider/headers/X", "does not name"),
    (http(headers={"A b": "x"}), "/tools/t/provider/headers/A b", "not a name of a header"),
    (http(headers={"Host": "x"}), "/tools/t/provider/headers/Host", "cannot be set"),
    (http(headers={"X": "a\nb"}), "/tools/t/provider/headers/X", "control character"),
    (http(headers={"X": "${env:UNSET}"}), "/tools/t/provider/headers/X", "UNSET is not set"),
    (http(headers={"X": "${file:UNSET}"}), "/tools/t/provider/headers/X", "neither ${env:NAME}"),
    (http(headers={"X": "${session:linkedin}"}), "/tools/t/provider/headers/X", "session"),
    (http(session="linkedin"), "/tools/t/provider/session", "no header"),
    # Secrets.
    (http(headers={"X": "${env:FILE}"}), "/tools/t/provider/headers/X", "FILE_FILE"),
    (http(headers={"X": "${env:BOTH}"}), "/tools/t/provider/headers/X", "both set"),
    (http(url="${env:UNSET}/x"), "/tools/t/provider/url", "UNSET is not set"),
    (llm(key="${env:UNSET}"), "/tools/t/provider/key", "UNSET is not set"),
    (llm(headers={"X-Y": "${env:UNSET}"}), "/tools/t/provider/headers/X-Y", "UNSET is not set"),
    (up(env={"X": "${env:UNSET}"}), "/upstreams/u/env/X", "UNSET is not set"),
    (up(env={"X": "${env:FILE}"}), "/upstreams/u/env/X", "FILE_FILE"),
    (up(env={"X": "${env:FAREBOX_API_KEY}"}), "/upstreams/u/env/X", "wallet's own"),
    (up(env={"STRIPE_KEY": "x"}), "/upstreams/u/env/STRIPE_KEY", "go to no upstream"),
    (up(env={"1X": "x"}), "/upstreams/u/env/1X", "not a name of a variable"),
    (url_up("https://example.com", headers={"A": "${env:UNSET}"}), "/upstreams/u/headers/A",
     "UNSET is not set"),
    ({"stripe": {"return_url": "${env:UNSET}/back"}}, "/stripe/return_url", "UNSET"),
    # Names.
    ({"tools": {"get_token_balance": tool()["tools"]["t"]}}, "/tools/get_token_balance",
     "a tool of farebox itself"),
    ({"tools": {"detect_hiring": tool()["tools"]["t"]}}, "/tools/detect_hiring", "farebox itself"),
    ({"tools": {"a b": tool()["tools"]["t"]}}, "/tools/a b", "match"),
    ({"tools": {"a" * 65: tool()["tools"]["t"]}}, "/tools/" + "a" * 65, "match"),
    ({"upstreams": {LONG: {**upstream(), "prices": {"tool": FLAT}}}},
     "/upstreams/%s/prices/tool" % LONG, "longer than 64"),
    (up(prefix="p" * 64), "/upstreams/u/prefix", "no room"),
    (up(prices={"a.b": FLAT}), "/upstreams/u/prices/a.b", "hosts take letters"),
    ({"upstreams": {"u": {**upstream(), "prefix": "p_", "prices": {"x": FLAT}},
                    "v": {**upstream(), "prefix": "p_", "prices": {"x": FLAT}}}},
     "/upstreams/v/prices/x", "/upstreams/u/prices/x"),
    ({**tool(), **up(prefix="", prices={"t": FLAT})}, "/upstreams/u/prices/t", "/tools/t"),
    (up(prefix="", prices={"ping": FLAT}), "/upstreams/u/prices/ping", "farebox itself"),
    # Upstreams.
    (up(command=["farebox-no-such-program"]), "/upstreams/u/command/0", "not found in PATH"),
    (up(command=["/etc/passwd"]), "/upstreams/u/command/0", "cannot be executed"),
    (up(command=["/nonexistent/x"]), "/upstreams/u/command/0", "No such file"),
    (up(command=[]), "/upstreams/u/command", "must not be empty"),
    (up(url="https://example.com"), "/upstreams/u", "only one of command, url"),
    ({"upstreams": {"u": {"prices": {}}}}, "/upstreams/u", "one of command, url"),
    (up(headers={"A": "b"}), "/upstreams/u/headers", "is for a url"),
    (url_up("https://example.com", env={"A": "b"}), "/upstreams/u/env", "is for a command"),
    (up(prices={"x": {"kind": "flat"}}), "/upstreams/u/prices/x/tokens", "required"),
    # URLs.
    (http(url="example.com/x"), "/tools/t/provider/url", "match"),
    (http(url="https://"), "/tools/t/provider/url", "a host"),
    (http(url="https://exa mple.com/"), "/tools/t/provider/url", "blank"),
    (http(url="https://user@example.com/"), "/tools/t/provider/url", "user name"),
    (http(url="https://example.com:99999/"), "/tools/t/provider/url", "port"),
    (http(url="https://example.com/#x"), "/tools/t/provider/url", "fragment"),
    (llm(base_url="https://"), "/tools/t/provider/base_url", "a host"),
    (llm(base_url="https://example.com/?a=b"), "/tools/t/provider/base_url", "query"),
    (url_up("https://"), "/upstreams/u/url", "not a URL"),
    ({"detectors": {"hiring": {"sources": {"lever": {"base_url": "https://x/?q"}}}}},
     "/detectors/hiring/sources/lever/base_url", "query"),
    ({"stripe": {"return_url": "https://"}}, "/stripe/return_url", "not a URL"),
    # Private addresses.
    (http(url="http://127.0.0.1:80/{a}"), "/tools/t/provider/url", "allow_private"),
    (http(url="http://127.1/"), "/tools/t/provider/url", "allow_private"),
    (http(url="http://[::1]/"), "/tools/t/provider/url", "allow_private"),
    (http(url="http://localhost/"), "/tools/t/provider/url", "allow_private"),
    (http(url="http://169.254.169.254/"), "/tools/t/provider/url", "allow_private"),
    (http(url="${env:BASE}/x"), "/tools/t/provider/url", "allow_private"),
    (llm(base_url="http://192.168.0.1/v1"), "/tools/t/provider/base_url", "allow_private"),
    (url_up("http://[fd00::1]/mcp"), "/upstreams/u/url", "allow_private"),
    ({"detectors": {"hiring": {"sources": {"ashby": {"base_url": "http://10.1.2.3"}}}}},
     "/detectors/hiring/sources/ashby/base_url", "allow_private"),
    # Times and limits.
    (tool(timeout_ms=0), "/tools/t/timeout_ms", "at least 1"),
    (tool(timeout_ms=50001), "/tools/t/timeout_ms", "must be at most 50000"),
    (up(timeout_ms=60000), "/upstreams/u/timeout_ms", "must be at most 50000"),
    ({"detectors": {"hiring": {"timeout_ms": 50001}}}, "/detectors/hiring/timeout_ms",
     "must be at most 50000"),
    (up(start_timeout_ms=50001), "/upstreams/u/start_timeout_ms", "at most 50000"),
    ({"detectors": {"hiring": {"timeout_ms": 50001}}}, "/detectors/hiring/timeout_ms", "at most"),
    (tool(provider={"kind": "echo", "delay_ms": 60000}), "/tools/t/provider/delay_ms", "at most"),
    (tool(rate_limit={"calls": 0, "per_s": 1}), "/tools/t/rate_limit/calls", "at least 1"),
    (tool(rate_limit={"calls": 1}), "/tools/t/rate_limit/per_s", "required"),
    ({"guard": {"window_s": 0}}, "/guard/window_s", "at least 1"),
    ({"guard": {"released": -1}}, "/guard/released", "at least 0"),
    ({"guard": {"repeated": "x"}}, "/guard/repeated", "number"),
    # What is left.
    ({"clients": {"c": {"pay": "maybe"}}}, "/clients/c/pay", "url"),
    ({"orgs": {"o": {"prices": {"nothing": FLAT}}}}, "/orgs/o/prices/nothing", "no such tool"),
    ({"orgs": {"o": {"prices": {"ping": FLAT}}}}, "/orgs/o/prices/ping", "no such tool"),
    ({**tool(), "orgs": {"o/p": {"prices": {"t": {"kind": "flat"}}}}},
     "/orgs/o~1p/prices/t/tokens", "required"),
    ({**up(prices={"x": FLAT}), "orgs": {"o": {"prices": {"u__y": FLAT}}}},
     "/orgs/o/prices/u__y", "no such tool"),
    ({"detectors": {"hiring": {"enabled": False}}, "orgs": {"o": {"prices": {
        "detect_hiring": FLAT}}}}, "/orgs/o/prices/detect_hiring", "no such tool"),
    (tool(unknown_usage="guess"), "/tools/t/unknown_usage", "estimate"),
    (http(byok={"header": "X"}), "/tools/t/provider/byok/name", "required"),
    (http(byok={"name": "A", "format": "Bearer"}), "/tools/t/provider/byok/format", "key"),
    (http(byok={"name": "A", "header": "Host"}), "/tools/t/provider/byok/header", "cannot be set"),
    (http(method="POST", body={}, form={}), "/tools/t/provider", "body and form at once"),
    (http(body={"a": "{a}"}), "/tools/t/provider/method", "a body or form needs"),
    (http(result="data"), "/tools/t/provider/result", "match"),
    (http(result="/data/~2"), "/tools/t/provider/result", "~0"),
    (http(success=[99]), "/tools/t/provider/success/0", "at least 100"),
    (llm(models(), models={"m": "x", "other": "y"}), "/tools/t/provider/models/other", "no price"),
    (tool(inputSchema={"type": "array"}), "/tools/t/inputSchema", "\"object\""),
    (tool(inputSchema={"type": "object", "properties": {"a/b": {"pattern": "("}}}),
     "/tools/t/inputSchema/properties/a~1b/pattern", ""),
    ({"fees": {"top_up_credits": {"percent": 101}}}, "/fees/top_up_credits/percent", "at most 100"),
    ({"fees": {"top_up_credits": {"minimum_usd": 0.801}}}, "/fees/top_up_credits/minimum_usd",
     "two decimals"),
    ({"org": {"email": "nobody"}}, "/org/email", "match"),
    ({"network": {"contact": "a\nb"}}, "/network/contact", "control"),
    # A model's usage is said by a model's provider alone: elsewhere each call would cost its hold.
    ({"tools": {"t": {"price": models(), "provider": {"kind": "http", "url": "https://x.com/"}}}},
     "/tools/t/price/kind", "provider of kind llm"),
    (up(prices={"*": models()}), "/upstreams/u/prices/*/kind", "provider of kind llm"),
    ({"detectors": {"hiring": {"price": models()}}}, "/detectors/hiring/price/kind", "kind llm"),
    ({**http(), "orgs": {"o": {"prices": {"t": models()}}}}, "/orgs/o/prices/t/kind", "kind llm"),
    (url_up("https://x.com/", headers={"A B": "x"}), "/upstreams/u/headers/A B", "not a name"),
    (url_up("https://x.com/", headers={"A": "x\r\ny: z"}), "/upstreams/u/headers/A", "control"),
    ([], "", "object"),
]


def check(home, config):
    home.configure(config)
    done = home.cli("config", "check", "--json", env=ENV, status=None)
    report = done.json()
    assert done.status == (0 if report["ok"] else 1), done.status
    assert report["ok"] == (not report["faults"]), report
    assert not os.path.exists(home.store), "config check has opened the store"
    return report


def test_each_fault_is_named_alone_with_its_pointer():
    with Home() as home:
        for config, pointer, word in FAULTS:
            faults = check(home, config)["faults"]
            assert [f["pointer"] for f in faults] == [pointer], (config, faults)
            assert word in faults[0]["text"], (config, faults)
            assert "value" not in faults[0]["text"] and "10.0.0.1" not in faults[0]["text"], faults


def merged(configs):
    """Each configuration in tools and upstreams of its own."""
    whole, expected = {"tools": {}, "upstreams": {}}, []
    for n, (config, pointer, _) in enumerate(configs):
        if set(config) == {"tools"} and set(config["tools"]) == {"t"}:
            whole["tools"]["t%d" % n] = config["tools"]["t"]
            expected.append(pointer.replace("/tools/t", "/tools/t%d" % n, 1))
        elif set(config) == {"upstreams"} and set(config["upstreams"]) == {"u"}:
            whole["upstreams"]["u%d" % n] = config["upstreams"]["u"]
            expected.append(pointer.replace("/upstreams/u", "/upstreams/u%d" % n, 1))
    return whole, expected


def test_all_faults_of_a_file_are_named_at_once():
    with Home() as home:
        whole, expected = merged([f for f in FAULTS if isinstance(f[0], dict) and
                                  "prefix" not in json.dumps(f[0])])
        assert len(expected) > 60
        found = [f["pointer"] for f in check(home, whole)["faults"]]
        assert sorted(found) == sorted(expected), set(found) ^ set(expected)
        # One tool with all that can be wrong with one.
        config = {"tools": {"t": {
            "what": 1, "price": {"kind": "cost_plus", "raw_cost_usd": {"pointer": "/x"},
                                 "markup": "0.5", "huh": 2},
            "provider": {"kind": "http", "url": "http://127.0.0.1/{b}", "method": "GET",
                         "headers": {"A": "${env:UNSET}", "B": "{", "Host": "x"}, "oops": True,
                         "query": {"q": "{c}"}, "body": {"x": "{d}", "y": "}"}, "form": {},
                         "result": "/~", "byok": {"name": "A", "header": "TE"}},
            "inputSchema": SCHEMA, "timeout_ms": 50001, "unknown_usage": 1}}}
        found = [f["pointer"] for f in check(home, config)["faults"]]
        t = "/tools/t/"
        assert found == [
            t + "price/huh", t + "price/markup", t + "price/max_raw_cost_usd",
            t + "price/raw_cost_usd", t + "provider", t + "provider/byok/header",
            t + "provider/headers/A", t + "provider/headers/B",
            t + "provider/headers/Host", t + "provider/method", t + "provider/oops",
            t + "provider/query/q", t + "provider/result", t + "provider/url",
            t + "timeout_ms", t + "unknown_usage", t + "what"], found


def test_a_key_that_stands_twice_is_named_with_its_place():
    text = """{"tools": {
        "t": {"price": {"kind": "flat", "tokens": 1}, "provider": {"kind": "echo"}},
        "t": {"price": {"kind": "flat", "tokens": 1, "tok\\u0065ns": 2}, "provider": {"kind": "echo"},
              "inputSchema": {"type": "object", "properties": {"x": {"enum": [{"a": 1, "a": 2}]}}}}},
        "tolls": {}, "guard": {}, "guard": {}}"""
    with Home() as home:
        faults = check(home, text)["faults"]
        assert [f["pointer"] for f in faults] == [
            "/guard", "/tolls", "/tools/t", "/tools/t/inputSchema/properties/x/enum/0/a",
            "/tools/t/price/tokens"], faults
        assert "again on line 3" in faults[2]["text"], faults
        done = home.cli("tools", "--json", status=1)
        assert "stands twice: again on line" in done.out + done.err, done.err
        home.configure(text + "}")
        done = home.cli("config", "check", status=1)
        assert "line 5, column" in done.out + done.err, (done.out, done.err)


def test_what_only_a_running_upstream_can_tell_is_a_warning():
    org = {"orgs": {"o": {"prices": {"u__echo": {"kind": "flat", "tokens": 2}}}}}
    with Home() as home:
        report = check(home, {**up(), **org})
        assert report["ok"] and [w["pointer"] for w in report["warnings"]] == [
            "/orgs/o/prices/u__echo"], report
        assert check(home, {**up(prices={"echo": FLAT}), **org})["warnings"] == []
        report = check(home, {"upstreams": {"a": {**upstream(), "prefix": "p"},
                                            "b": {**upstream(), "prefix": "p"}}})
        assert report["ok"] and [w["pointer"] for w in report["warnings"]] == [
            "/upstreams/b"], report
        report = check(home, up(prices={}))
        assert report["ok"] and [w["pointer"] for w in report["warnings"]] == [
            "/upstreams/u/prices"], report
        home.configure({"upstreams": {"a": {**upstream(), "prefix": "p"},
                                      "b": {**upstream(), "prefix": "p"}}})
        said = home.cli("config", "check", env=ENV).out
        assert said.startswith("warning: /upstreams/b: ") and said.endswith("\nok\n"), said
        # And such prices are served.
        home.configure({**up(), **org})
        created = home.cli("orgs", "create", "--name", "o", "--json").json()
        key = home.cli("keys", "create", "--org", "o", "--json").json()["api_key"]
        assert created, created
        with home.server(env={"FAREBOX_API_KEY": key}) as s:
            assert usage_of(s.call("u__echo", {"text": "x"}))["tokens"] == 2


def test_a_file_may_begin_with_a_byte_order_mark():
    with Home() as home:
        assert check(home, "\ufeff" + json.dumps(tool()))["ok"]


def test_a_sound_file_has_no_fault_and_nothing_is_started():
    with Home() as home:
        log = os.path.join(home.path, "log")
        report = check(home, {
            **tool(), "upstreams": {"u": upstream("--log", log)},
            "network": {"allow_private": True}, "detectors": {"hiring": {"sources": {
                "lever": {"base_url": "http://127.0.0.1:1"}}}},
            "orgs": {"o": {"prices": {"t": FLAT, "detect_hiring": FLAT}}},
            "stripe": {"return_url": "${env:BASE}/x"}})
        assert report["ok"] and not report["faults"] and not report["warnings"], report
        assert not os.path.exists(log)


def test_a_server_does_not_start_with_a_fault_and_says_where_to_look():
    with Home({"tools": {"t": {"price": FLAT, "provider": ECHO, "timeout_ms": 50001},
                         "ping": {"price": FLAT, "provider": ECHO}}}) as home:
        with home.server() as s:
            assert s.wait_exit() == 1
            said = s.err_text()
            s.dispose()
        assert "/tools/ping: " in said and "and 1 more" in said, said
        assert "farebox config check" in said, said


if __name__ == "__main__":
    main()
