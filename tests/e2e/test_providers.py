#!/usr/bin/env python3
"""HTTP APIs and language models behind the meter, through the real binary."""

import http.server
import json
import os
import sys
import threading
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Company, Home, content_of, error_of, main, usage_of  # noqa: E402

KEYS = {"TEST_API_KEY": "sk-operator", "TEST_BAD_KEY": "sk-bad"}


def enrich(url, **provider):
    return {
        "description": "Company facts by domain",
        "inputSchema": {"type": "object", "required": ["domain"],
                        "properties": {"domain": {"type": "string"}}},
        "price": {"kind": "flat", "tokens": 10},
        "provider": {"kind": "http", "method": "GET", "url": url + "/v1/companies/{domain}",
                     "headers": {"Authorization": "Bearer ${env:TEST_API_KEY}"},
                     "result": "/data", **provider},
    }


def chat(url, api, **provider):
    return {"price": {"kind": "flat", "tokens": 7}, "timeout_ms": 3000,
            "provider": {"kind": "llm", "api": api, "base_url": url + "/v1",
                         "key": "${env:TEST_API_KEY}", **provider}}


MODELS = {name: {"input": 1000, "output": 2000, "max_output": 20}
          for name in ("m", "die", "zero", "no-usage")}
MODELS["sees"] = {"input": 1, "output": 2, "max_output": 20, "image_tokens": 1600}


def priced(url, api, unknown="hold", **provider):
    """$0.001 for a word in, $0.002 for one out; by default at most 20 words out."""
    return {**chat(url, api, **provider), "unknown_usage": unknown,
            "price": {"kind": "llm", "markup": 1.05, "models": MODELS}}


def config_of(url, private=True):
    return {
        "network": {"allow_private": private},
        "tools": {
            "enrich_company": enrich(url),
            "enrich_raw": {**enrich(url), "price": {
                "kind": "cost_plus", "raw_cost_usd": {"pointer": "/result/cost"},
                "max_raw_cost_usd": 0.01, "markup": 1.05}},
            "enrich_badly": enrich(url, headers={"Authorization": "Bearer ${env:TEST_BAD_KEY}"}),
            "enrich_nowhere": enrich("http://127.0.0.1:1"),
            "as_member": enrich(url, session="linkedin",
                                headers={"Authorization": "Session ${session:linkedin}"}),
            "openai": chat(url, "openai"),
            "openai_stream": chat(url, "openai", stream=True),
            "anthropic": chat(url, "anthropic"),
            "anthropic_stream": chat(url, "anthropic", stream=True),
            "priced": priced(url, "openai", byok={"name": "MINE"}),
            "priced_stream": priced(url, "anthropic", stream=True),
            "priced_zero": priced(url, "openai", "zero", stream=True),
        },
    }


class Stage:
    """The APIs, a home that knows them, and a server."""

    def __init__(self, private=True):
        self.private = private

    def __enter__(self):
        self.api = Company(program="fake-openai").__enter__()
        self.home = Home(config_of(self.api.url, self.private), env=KEYS)
        self.server = self.home.server(env={"FAREBOX_LOG": "debug"}).__enter__()
        return self

    def __exit__(self, kind, *rest):
        try:
            said = self.server.err_text()
            self.server.__exit__(kind, *rest)
            if kind is None:
                self.home.ledger_verify()
                for secret in KEYS.values():
                    assert secret not in said, said
        finally:
            self.api.__exit__(kind, *rest)
            self.home.__exit__(kind, *rest)

    def requests(self):
        with urllib.request.urlopen(self.api.url + "/control/requests", timeout=10) as f:
            return f.read().decode().splitlines()

    def chat(self, tool, model="m", text="hello there", **more):
        return self.server.call(tool, {
            "model": model, "messages": [{"role": "user", "content": text}], **more})


def test_an_http_api_is_charged_and_its_secret_stays_inside():
    with Stage() as s:
        result = s.server.call("enrich_company", {"domain": "tide water.com"})
        assert content_of("enrich_company", result) == {
            "domain": "tide water.com", "name": "Tidewater", "cost": 0.005}
        assert usage_of(result)["tokens"] == 10
        assert s.server.balance() == 90
        assert s.requests() == ["GET /v1/companies/tide water.com Bearer sk-operator"]
        listed = json.dumps(s.server.request("tools/list"))
        assert "sk-operator" not in listed and "TEST_API_KEY" not in listed
        assert usage_of(s.server.call("enrich_raw", {"domain": "a.com"}))["cost"] == 0.0053


def test_arguments_that_cannot_be_sent_are_named_and_cost_nothing():
    with Stage() as s:
        for domain in ("..", "a/b", "%2e%2e", ""):
            error = s.server.call_error("enrich_company", {"domain": domain}, "INVALID_ARGUMENTS")
            assert error["field"] == "domain" and "domain" in error["message"], error
        assert s.server.balance() == 100
        assert s.requests() == []


def test_what_a_provider_refuses_or_fails_is_released():
    with Stage() as s:
        error = s.server.call_error("enrich_badly", {"domain": "a.com"}, "UPSTREAM_REJECTED")
        assert error["provider_status"] == 401 and error["retryable"] is False, error
        error = s.server.call_error("enrich_nowhere", {"domain": "a.com"}, "UPSTREAM_ERROR")
        assert error["retryable"] is True, error
        assert error_of(s.chat("openai", "status-404"))["code"] == "UPSTREAM_REJECTED"
        error = error_of(s.chat("openai_stream", "status-429"))
        assert error["code"] == "UPSTREAM_ERROR" and error["retry_after_s"] == 60, error
        assert error_of(s.chat("anthropic", "status-529"))["provider_status"] == 529
        assert error_of(s.chat("anthropic_stream", "hang"))["code"] == "UPSTREAM_TIMEOUT"
        assert usage_of(s.chat("openai", "status-500"))["tokens"] == 0


def test_a_private_address_is_refused():
    with Stage(private=False) as s:
        error = s.server.call_error("enrich_company", {"domain": "a.com"}, "UPSTREAM_ERROR")
        assert "not public" in error["message"], error
        assert error_of(s.chat("openai"))["code"] == "UPSTREAM_ERROR"
        assert s.server.balance() == 100
        assert s.requests() == []


def test_models_answer_in_one_shape():
    with Stage() as s:
        schemas = {t["name"]: t for t in s.server.request("tools/list")["tools"]}
        for tool in ("openai", "openai_stream", "anthropic", "anthropic_stream"):
            assert schemas[tool]["inputSchema"]["required"] == ["model", "messages"]
            assert "outputSchema" in schemas[tool]
            assert "calls that fail before the answer begins are refunded. " in \
                schemas[tool]["description"]
            answer = content_of(tool, s.chat(tool, text="one two three", max_tokens=50))
            assert answer == {
                "model": "m", "content": "You said: one two three", "finish_reason": "stop",
                "usage": {"input_tokens": 3, "cached_input_tokens": 0, "output_tokens": 5},
            }, (tool, answer)
            zero = content_of(tool, s.chat(tool, "zero"))["usage"]
            assert set(zero.values()) == {0}, zero
            assert content_of(tool, s.chat(tool, "no-usage"))["usage"] is None
        keys = {line.split()[-1] for line in s.requests()}
        assert keys == {"sk-operator"}
        s.server.call_error("openai", {"model": "m", "messages": []}, "INVALID_ARGUMENTS")
        s.server.call_error("openai", {"model": "m", "messages": [{"role": "tool", "content": ""}]},
                            "INVALID_ARGUMENTS")


def test_images_are_held_as_images_and_charged_by_usage():
    with Stage() as s:
        data = "data:image/png;base64," + "iVBORw0KGgo=" * 20000
        parts = [{"type": "text", "text": "one two three"},
                 {"type": "image_url", "image_url": {"url": data}}]
        asked = {"model": "sees", "messages": [{"role": "user", "content": parts}]}
        for tool in ("openai", "anthropic_stream"):
            answer = content_of(tool, s.server.call(tool, asked))
            assert answer["content"] == "You said: one two three", answer
            assert answer["usage"]["input_tokens"] == 3 + 1105
        hold = s.server.call_ok("quote", {"tool": "priced", "arguments": asked})["max_usd"]
        # 1108 in, 5 out: (0.001108 + 0.000010) x 1.05; held are 1600 for the image, not its data.
        assert usage_of(s.server.call("priced", asked))["cost"] == 0.001174
        assert 0.0017 < hold < 0.0020, hold
        error = s.server.call_error("priced", {"model": "sees", "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {
                "url": "http://127.0.0.1/x.png"}}]}]}, "INVALID_ARGUMENTS")
        assert error["field"] == "messages" and "https://" in error["message"], error


def test_a_model_is_charged_by_its_usage():
    with Stage() as s:
        for tool in ("priced", "priced_stream"):
            result = s.chat(tool, text="one two three")
            # 3 words in and 5 out: (0.003 + 0.010) x 1.05
            assert usage_of(result)["cost"] == 0.01365, usage_of(result)
            assert usage_of(s.chat(tool, "zero"))["cost"] == 0
        # Broken off in the middle, and nothing said of usage: the hold, or nothing.
        hold = s.server.call_ok("quote", {"tool": "priced_stream", "arguments": {
            "model": "die", "messages": [{"role": "user", "content": "hello there"}]}})
        broken = s.chat("priced_stream", "die")
        assert error_of(broken)["code"] == "UPSTREAM_ERROR"
        assert usage_of(broken)["tokens"] == hold["hold_tokens"] > 4, (usage_of(broken), hold)
        assert usage_of(s.chat("priced_zero", "die"))["tokens"] == 0
        assert usage_of(s.chat("priced_zero", "no-usage"))["tokens"] == 0
        models = s.server.call_ok("list_models")["models"]
        assert {m["tool"] for m in models} == {"priced", "priced_stream", "priced_zero"}
        assert models[0] == {
            "model": "die", "tool": "priced", "input_usd_per_million": 1000,
            "cached_input_usd_per_million": 1000, "output_usd_per_million": 2000, "markup": 1.05,
            "max_output_tokens": 20}, models[0]
        error = s.server.call_error("priced", {
            "model": "other", "messages": [{"role": "user", "content": "x"}]}, "INVALID_ARGUMENTS")
        assert "model" in error["message"], error


def test_the_callers_own_key_pays_the_fee_only():
    with Stage() as s:
        with s.home.server(env={"FAREBOX_PROVIDER_KEY_MINE": "sk-own"}) as own:
            result = own.call("priced", {
                "model": "m", "messages": [{"role": "user", "content": "one two three"}]})
        assert usage_of(result)["cost"] == 0.00065, usage_of(result)
        assert s.requests() == ["POST /v1/chat/completions Bearer sk-own"]


def test_a_session_is_sealed_used_and_never_shown():
    secret = "AQEDAT-a-secret-cookie"
    with Stage() as s:
        error = s.server.call_error("as_member", {"domain": "a.com"}, "UPSTREAM_REJECTED")
        assert "connect_linkedin" in error["message"], error
        assert s.server.call_ok("list_connected_linkedin_accounts") == {"accounts": []}
        for account, session in (("ann", secret), ("bob", "second")):
            assert s.server.call_ok("connect_linkedin", {
                "account": account, "session": session}) == {"account": account, "connected": True}
        s.server.call_error("connect_linkedin", {"account": "c", "session": "a\r\nb"},
                            "INVALID_ARGUMENTS")
        accounts = s.server.call_ok("list_connected_linkedin_accounts")["accounts"]
        assert [a["account"] for a in accounts] == ["ann", "bob"], accounts
        s.server.call_ok("as_member", {"domain": "a.com"})
        s.server.call_ok("as_member", {"domain": "b.com", "account": "ann"})
        s.server.call_error("as_member", {"domain": "b.com", "account": "eve"}, "UPSTREAM_REJECTED")
        assert s.requests() == ["GET /v1/companies/a.com Session second",
                                "GET /v1/companies/b.com Session " + secret]
        assert not any(secret in line for line in s.server.out_lines)
        assert secret not in s.server.err_text()
        for name in os.listdir(s.home.path):
            with open(os.path.join(s.home.path, name), "rb") as f:
                assert secret.encode() not in f.read(), name
        seal = s.home.store + ".seal"
        assert os.stat(seal).st_mode & 0o777 == 0o600
        # With another key it does not open.
        other = {"FAREBOX_SEAL_KEY": "another key of thirty-two characters"}
        with s.home.server(env=other) as server:
            error = server.call_error("as_member", {"domain": "a.com"}, "UPSTREAM_REJECTED")
            assert "another key" in error["message"], error


def test_a_missing_secret_is_named_by_its_variable():
    with Company(program="fake-openai") as api, Home(config_of(api.url)) as home:
        said = home.cli("config", "check", status=1, env={"TEST_BAD_KEY": "x"})
        assert "TEST_API_KEY is not set" in said.out + said.err, (said.out, said.err)
        path = os.path.join(home.path, "key")
        with open(path, "w", encoding="ascii") as f:
            f.write("sk-file\n")
        home.cli("config", "check", env={"TEST_BAD_KEY": "x", "TEST_API_KEY_FILE": path})


def test_many_calls_share_connections_and_all_are_charged():
    with Stage() as s:
        s.home.cli("grant", "--tokens", "1000")
        ids = [s.server.send_call("enrich_company", {"domain": "d%d.com" % i}) for i in range(100)]
        for n, id in enumerate(ids):
            assert content_of("x", s.server.wait(id))["domain"] == "d%d.com" % n
        assert s.server.balance() == 100


class Gate:
    """An API that answers when so many requests wait, then all of them; counts connections."""

    def __init__(self, together):
        gate, barrier, lock = self, threading.Barrier(together), threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                with lock:
                    gate.connections += 1
                super().setup()

            def do_GET(self):
                barrier.wait(30)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = together

        self.connections = 0
        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_a_burst_keeps_its_connections_for_the_next():
    count = 100
    with Gate(count) as gate, Home({"network": {"allow_private": True}, "tools": {
            "ask": {"description": "Asks", "price": {"kind": "flat", "tokens": 1},
                    "inputSchema": {"type": "object"},
                    "provider": {"kind": "http", "url": gate.url + "/"}}}}) as home:
        home.cli("grant", "--tokens", "1000")
        with home.server() as server:
            for _ in range(3):
                ids = [server.send_call("ask", {"n": n}) for n in range(count)]
                for id in ids:
                    assert usage_of(server.wait(id))["tokens"] == 1
        assert gate.connections == count


if __name__ == "__main__":
    main()
