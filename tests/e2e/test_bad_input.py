#!/usr/bin/env python3
"""Providers that hang, dribble, flood or talk nonsense: a clear error, the tokens released or
charged as the policy says, and a process that is healthy and no larger afterwards."""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, error_of, main, usage_of  # noqa: E402
from odd_api import OddApi  # noqa: E402

# A sanitizer keeps what was freed for a while.
GROWTH_KIB_MAX = 64 * 1024
MESSAGES = [{"role": "user", "content": "one two"}]

# Of an HTTP API: what is answered, and words of it.
HTTP = {
    "hang": ("UPSTREAM_TIMEOUT", "hang: the provider did not answer in time"),
    "dribble": ("UPSTREAM_TIMEOUT", "dribble: the provider did not answer in time"),
    "flood": ("UPSTREAM_ERROR", "above 2097152 bytes"),
    "chunks": ("UPSTREAM_ERROR", "above 2097152 bytes"),
    "utf8": ("UPSTREAM_ERROR", "JSON"),
    "text": ("UPSTREAM_ERROR", "UTF-8"),
    "binary": ("UPSTREAM_ERROR", "neither JSON nor text"),
    "nonsense": ("UPSTREAM_ERROR", "JSON"),
    "close": ("UPSTREAM_ERROR", "close: "),
    "half": ("UPSTREAM_ERROR", "half: "),
}
# Of a language model, before its first word.
MODEL = {name: HTTP[name] for name in ("hang", "dribble", "close", "half")}
MODEL.update({"flood": ("UPSTREAM_ERROR", "too large"), "chunks": ("UPSTREAM_ERROR", "too large"),
              "utf8": ("UPSTREAM_ERROR", "utf8: "), "nonsense": ("UPSTREAM_ERROR", "nonsense: "),
              "binary": ("UPSTREAM_ERROR", "binary: ")})


def http_tool(url, **more):
    return {"price": {"kind": "flat", "tokens": 10}, "timeout_ms": 700,
            "provider": {"kind": "http", "method": "POST", "url": url}, **more}


def llm_tool(url, policy="hold", stream=False):
    return {"price": {"kind": "llm", "models": {"m": {"input": 1000, "output": 2000,
                                                      "max_output": 20}}},
            "timeout_ms": 700, "unknown_usage": policy,
            "provider": {"kind": "llm", "api": "openai", "base_url": url + "/v1", "stream": stream,
                         "key": "sk-test"}}


def serve(tools, private=True):
    return Home({"network": {"allow_private": private}, "tools": tools,
                 "guard": {"released": 0, "repeated": 0}})


def check_health(home, s, balance, before):
    assert s.call_ok("ping")["ok"]
    assert s.balance() == balance, s.balance()
    growth = s.resident_kib() - before
    assert growth < GROWTH_KIB_MAX, growth
    s.stop()
    home.ledger_verify()
    assert home.query("SELECT count(*) FROM hold") == [(0,)]


def check_modes(modes, tools, arguments):
    with serve(tools) as home, home.server() as s:
        before = None
        for _ in range(3):  # the first makes the process as large as it needs to be
            for mode, (code, words) in modes.items():
                result = s.call(mode, arguments)
                error = error_of(result)
                assert error["code"] == code and words in error["message"], (mode, error)
                assert error["retryable"] is True, error
                assert usage_of(result)["tokens"] == 0, (mode, usage_of(result))
            before = before or s.resident_kib()
        check_health(home, s, 100, before)


def test_an_http_api_that_misbehaves_costs_nothing():
    with OddApi() as api:
        check_modes(HTTP, {mode: http_tool(api.url + "/" + mode) for mode in HTTP}, {})


def test_a_model_that_misbehaves_before_its_first_word_costs_nothing():
    with OddApi() as api:
        check_modes(MODEL, {mode: llm_tool(api.url + "/" + mode) for mode in MODEL},
                    {"model": "m", "messages": MESSAGES})


def test_calls_of_a_provider_that_floods_may_come_at_once():
    with OddApi() as api:
        with serve({"flood": http_tool(api.url + "/flood", timeout_ms=20000)}) as home:
            with home.server() as s:
                error_of(s.call("flood"))
                before = s.resident_kib()
                for id in [s.send_call("flood", {"n": n}) for n in range(9)]:
                    assert error_of(s.wait(id))["code"] == "UPSTREAM_ERROR"
                check_health(home, s, 100, before)


def check_policies(s, tools):
    """Calls each, and returns what they cost."""
    asked = {"model": "m", "messages": MESSAGES}
    spent = 0
    for tool in tools:
        mode, policy = tool.rsplit("-", 1)
        hold = s.call_ok("quote", {"tool": tool, "arguments": asked})["hold_tokens"]
        result = s.call(tool, asked)
        tokens = usage_of(result)["tokens"]
        if mode == "used":
            assert tokens == 0.42, (tool, tokens)  # (2 x 0.001 + 1 x 0.002) x 1.05
        elif mode == "zero" or policy == "zero":
            assert tokens == 0, (tool, tokens)
        elif policy == "hold":
            assert tokens == hold, (tool, tokens, hold)
        else:
            assert 0 < tokens <= hold, (tool, tokens, hold)
        if mode == "stream-hang":
            assert error_of(result)["code"] == "UPSTREAM_TIMEOUT", result
        elif mode.startswith("stream"):
            assert error_of(result)["code"] == "UPSTREAM_ERROR", result
        else:
            assert not result.get("isError"), result
        spent += tokens
    return spent


def test_what_a_model_does_not_say_is_charged_by_the_policy():
    with OddApi() as api:
        tools = {"%s-%s" % (mode, policy): llm_tool(api.url + "/" + mode, policy,
                                                    mode.startswith("stream"))
                 for mode in ("no-usage", "zero", "used", "stream-die", "stream-hang",
                              "stream-flood")
                 for policy in ("hold", "zero", "estimate")}
        with serve(tools) as home, home.server() as s:
            home.cli("grant", "--tokens", "1000")
            spent = check_policies(s, tools)
            before = s.resident_kib()
            spent += check_policies(s, tools)
            check_health(home, s, round(1100 - spent, 4), before)


def open_network(public):
    """In a network namespace of our own: the address is on our own machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for name, address in ((b"lo", "127.0.0.1"), (b"lo:1", public)):
            fcntl.ioctl(sock, 0x8916, struct.pack(  # SIOCSIFADDR
                "16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address)))
            fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", name, 0x41))  # SIOCSIFFLAGS, up


def redirected(public):
    with OddApi(public) as api, OddApi() as inside:
        target = urllib.parse.quote(inside.url + "/ok", safe="")
        tools = {"led": {**http_tool(api.url + "/to/" + target), "timeout_ms": 5000},
                 "direct": {**http_tool(api.url + "/ok"), "timeout_ms": 5000}}
        for tool in tools.values():
            tool["provider"]["method"] = "GET"
        with serve(tools, private=False) as home, home.server() as s:
            assert usage_of(s.call("direct"))["tokens"] == 10
            result = s.call("led")
            error = error_of(result)
            assert error["code"] == "UPSTREAM_ERROR" and "not public" in error["message"], error
            assert usage_of(result)["tokens"] == 0
            assert inside.calls["/ok"] == 0
            check_health(home, s, 90, s.resident_kib())
        with serve(tools) as home, home.server() as s:
            assert usage_of(s.call("led"))["tokens"] == 10
            assert inside.calls["/ok"] == 1
            check_health(home, s, 90, s.resident_kib())


def test_a_redirect_to_a_private_address_is_refused():
    can = subprocess.run(["unshare", "-rn", "true"], stderr=subprocess.DEVNULL, check=False)
    if can.returncode != 0:
        print("note: no network namespaces here; test_http_faults alone shows that a private "
              "address is refused")
        return
    done = subprocess.run(["unshare", "-rn", sys.executable, __file__, "--redirected"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    if sys.argv[1:] == ["--redirected"]:
        open_network("93.184.215.14")
        redirected("93.184.215.14")
    else:
        main()
