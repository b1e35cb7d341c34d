#!/usr/bin/env python3
"""Answers as other people's APIs give them, and what they are charged."""

import http.server
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, content_of, error_of, main, usage_of  # noqa: E402

WORDS = "hello " * 50


def completion(choice, **more):
    return json.dumps({"model": "m", "choices": [choice] if choice else [], **more})


def stream(*events):
    return "".join("data: %s\n\n" % event for event in events)


ANSWERS = {
    "/list": (200, "application/json", "[1, 2, 3]"),
    "/inside": (200, "application/json", '{"items": [1, 2, 3, 4]}'),
    "/number": (200, "application/json", "2"),
    "/member": (200, "application/json", '{"result": {"n": 5}}'),
    "/text": (200, "text/plain", '{"n": 6}'),
    "/cost": (200, "application/json", '{"cost": 2.0999999999999998e-05}'),
    "/401": (401, "application/json", '{"message": "sk-o***tor is unknown"}'),
    "/402": (402, "application/json", '{"message": "no money"}'),
    "/whole/chat/completions": (200, "application/json", completion(
        {"message": {"content": WORDS}, "finish_reason": "stop"})),
    "/broken/chat/completions": (200, "text/event-stream", stream(
        completion({"delta": {"content": WORDS}}), '{"error": {"message": "gone"}}')),
    "/inner/chat/completions": (200, "application/json", '{"error": {"message": "overloaded"}}'),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, kind, body = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET


class Stage:
    """The API and a server that sells it; tools is a function of the API's address."""

    def __init__(self, tools):
        self.tools = tools

    def __enter__(self):
        self.api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        url = "http://127.0.0.1:%d" % self.api.server_address[1]
        self.home = Home({"tools": self.tools(url), "network": {"allow_private": True}},
                         env={"TEST_KEY": "sk-operator", "FAREBOX_PROVIDER_KEY_MINE": "sk-mine"})
        self.server = self.home.server().__enter__()
        return self.server

    def __exit__(self, kind, *rest):
        try:
            self.server.__exit__(kind, *rest)
            if kind is None:
                self.home.ledger_verify()
        finally:
            self.api.shutdown()
            self.api.server_close()
            self.home.__exit__(kind, *rest)


def tool(url, price, **provider):
    return {"price": price, "provider": {"kind": "http", "url": url, **provider}}


def units(pointer):
    return {"kind": "per_unit", "tokens_per_unit": 1, "units": {"pointer": pointer},
            "max_units": 20}


def test_units_are_found_whatever_the_answer_is_made_of():
    """/result is the answer itself, also where it is no object and is handed on inside of one."""
    def tools(url):
        return {"list": tool(url + "/list", units("/result")),
                "inside": tool(url + "/inside", units("/result"), result="/items"),
                "number": tool(url + "/number", units("/result")),
                "member": tool(url + "/member", units("/result/result/n")),
                "text": tool(url + "/text", units("/result/n"))}

    with Stage(tools) as s:
        for name, cost in (("list", 3), ("inside", 4), ("number", 2), ("member", 5), ("text", 6)):
            assert usage_of(s.call(name))["tokens"] == cost, name
        assert content_of("list", s.call("list")) == {"result": [1, 2, 3]}


def test_a_cost_that_was_computed_in_floats_is_charged_and_not_the_hold():
    def tools(url):
        return {"cost": tool(url + "/cost", {
            "kind": "cost_plus", "raw_cost_usd": {"pointer": "/result/cost"},
            "max_raw_cost_usd": 0.5})}

    with Stage(tools) as s:
        usage = usage_of(s.call("cost"))
        assert usage["cost"] == 0.0001 and usage["raw_cost"] == 2.1e-05, usage


def model(url, stream=False):
    return {"price": {"kind": "llm", "markup": 1, "models": {
                "m": {"input": 0, "output": 1000, "max_output": 200}}},
            "provider": {"kind": "llm", "api": "openai", "base_url": url, "stream": stream},
            "unknown_usage": "estimate"}


def test_an_estimate_is_of_the_words_that_came():
    """Not of the frame around them; and of what came before a stream broke off, too."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with Stage(lambda url: {"whole": model(url + "/whole"), "inner": model(url + "/inner"),
                            "broken": model(url + "/broken", True)}) as s:
        estimate = len(WORDS) / 2 / 10  # two bytes a token, $1000 a million
        assert usage_of(s.call("whole", asked))["tokens"] == estimate
        error = s.call("broken", asked)
        assert error_of(error)["code"] == "UPSTREAM_ERROR"
        assert usage_of(error)["tokens"] == estimate, error
        assert "overloaded" in s.call_error("inner", asked, "UPSTREAM_ERROR")["message"]


def test_a_refused_key_is_not_blamed_on_the_arguments():
    flat = {"kind": "flat", "tokens": 1}
    key = {"Authorization": "Bearer ${env:TEST_KEY}"}

    def tools(url):
        return {"key": tool(url + "/401", flat, headers=key),
                "bill": tool(url + "/402", flat, headers=key),
                "mine": tool(url + "/401", flat, headers=key, byok={"name": "mine"})}

    with Stage(tools) as s:
        for name, who in (("key", "the operator"), ("bill", "the operator"), ("mine", "the user")):
            error = s.call_error(name, {}, "UPSTREAM_REJECTED")
            assert who in error["resolution_hint"], error
            assert "Change the arguments" not in error["resolution_hint"], error
        assert "no money" in s.call_error("bill", {})["message"]
        assert s.balance() == 100


if __name__ == "__main__":
    main()
