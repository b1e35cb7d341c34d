#!/usr/bin/env python3
"""farebox as the client of real MCP servers: upstreams.py FOLDER, where FOLDER has them in node_modules.

See scripts/interop, which installs them: the reference servers "everything" (over stdio and HTTP, with
sessions and a connection that is cut) and "filesystem", which speak the older revisions, and the official server of 2026-07-28 over
both transports. What is charged must agree with the ledger.
"""

import json
import os
import shutil
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, Program, usage_of  # noqa: E402

PRICES = {"*": {"kind": "flat", "tokens": 3}}


class Web(Program):
    """A server that says where it listens."""

    def __init__(self, argv, env=None):
        super().__init__(argv, {**os.environ, **(env or {})})

    def wait_for(self, word):
        self.until(lambda: any(word in line for line in self.out_lines) or word in self.err_text())


def tools_of(s):
    return {t["name"]: t for t in s.request("tools/list")["tools"]}


def call(s, tool, arguments=None, meta=None, tokens=3):
    result = s.call("up__" + tool, arguments, meta)
    assert usage_of(result)["tokens"] == tokens, result
    return result


def finish(home, s, spent):
    s.stop()
    assert home.query("SELECT count(*) FROM hold") == [(0,)]
    assert home.query("SELECT available_microusd FROM wallet") == [((100 - spent) * 10000,)]
    home.ledger_verify()


def check_everything(home):
    with home.server(era="legacy", env={"FAREBOX_LOG": "info"}) as s:
        tools = tools_of(s)
        assert {"up__echo", "up__get-sum", "up__get-structured-content"} <= set(tools), tools
        assert "revision=2025-11-25" in s.err_text()
        assert "3" in call(s, "get-sum", {"a": 1, "b": 2})["content"][0]["text"]
        assert "temperature" in call(s, "get-structured-content",
                                     {"location": "New York"})["structuredContent"]
        assert any(b["type"] == "image" for b in call(s, "get-tiny-image")["content"])
        call(s, "trigger-long-running-operation", {"duration": 1, "steps": 4},
             {"progressToken": "p"})
        steps = [m for m in s.notifications() if m["method"] == "notifications/progress"]
        assert steps and all(m["params"]["progressToken"] == "p" for m in steps), steps
        assert s.call_error("up__get-sum", {"a": "x"})["code"] == "INVALID_ARGUMENTS"
        finish(home, s, 12)


def check_everything_stdio(folder):
    command = ["node", os.path.join(folder, "node_modules/.bin/mcp-server-everything"), "stdio"]
    with Home({"upstreams": {"up": {"command": command, "prices": PRICES}}}) as home:
        check_everything(home)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def over_http(url):
    return {"upstreams": {"up": {"url": url, "prices": PRICES}}, "network": {"allow_private": True}}


def check_everything_http(folder):
    port = free_port()
    command = ["node", os.path.join(folder, "node_modules/.bin/mcp-server-everything"),
               "streamableHttp"]
    with Web(command, {"PORT": str(port)}) as web:
        web.wait_for("listening on port")
        with Home(over_http("http://127.0.0.1:%d/mcp" % port)) as home:
            check_everything(home)


class Cutter:
    """Between us and a server: one connection is cut, and a piece of an answer is lost with it."""

    def __init__(self, port):
        self.target = port
        self.cuts = 0
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.target))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, source, sink):
        try:
            while data := source.recv(65536):
                self.seen.append(data)
                if b"operation completed" in data and not self.cuts:
                    self.cuts += 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def check_everything_cut_off(folder):
    port = free_port()
    command = ["node", os.path.join(folder, "node_modules/.bin/mcp-server-everything"),
               "streamableHttp"]
    with Web(command, {"PORT": str(port)}) as web:
        web.wait_for("listening on port")
        cutter = Cutter(port)
        with Home(over_http("http://127.0.0.1:%d/mcp" % cutter.port)) as home:
            with home.server() as s:
                call(s, "trigger-long-running-operation", {"duration": 2, "steps": 4},
                     {"progressToken": "p"})
                said = b"".join(cutter.seen).lower()
                assert cutter.cuts == 1
                assert said.count(b"\r\nlast-event-id:") == 1, said
                finish(home, s, 3)
            web.until(lambda: any("session termination" in line for line in web.out_lines))


def check_filesystem(folder):
    with Home() as home:
        shared = os.path.join(home.path, "shared")
        os.mkdir(shared)
        with open(os.path.join(shared, "a.txt"), "w", encoding="utf-8") as f:
            f.write("grüß dich")
        command = ["node", os.path.join(folder, "node_modules/.bin/mcp-server-filesystem"), shared]
        home.configure({"upstreams": {"up": {"command": command, "prices": PRICES}}})
        with home.server() as s:
            assert "up__read_text_file" in tools_of(s)
            read = call(s, "read_text_file", {"path": os.path.join(shared, "a.txt")})
            assert read["content"][0]["text"] == "grüß dich"
            call(s, "write_file", {"path": os.path.join(shared, "b.txt"), "content": "x"})
            assert os.path.exists(os.path.join(shared, "b.txt"))
            failed = call(s, "read_text_file", {"path": "/etc/hostname"}, tokens=0)
            assert failed["isError"] and "denied" in failed["content"][0]["text"], failed
            finish(home, s, 6)


def check_modern(home):
    with home.server(env={"FAREBOX_LOG": "info"}) as s:
        assert "up__echo" in tools_of(s)
        assert "revision=2026-07-28" in s.err_text()
        assert call(s, "echo", {"text": "hi"})["structuredContent"] == {"text": "hi"}
        assert call(s, "fails", tokens=0)["isError"]
        assert call(s, "throws", tokens=0)["isError"]
        call(s, "steps", meta={"progressToken": 1})
        assert [m["params"]["message"] for m in s.notifications()] == ["step 1", "step 2", "step 3"]
        cancelled = s.send_call("up__steps")
        s.notify("notifications/cancelled", {"requestId": cancelled})
        finish(home, s, 6)


def check_modern_stdio(folder):
    command = ["node", os.path.join(folder, "server.mjs"), "stdio"]
    with Home({"upstreams": {"up": {"command": command, "prices": PRICES}}}) as home:
        check_modern(home)
    with Home({"upstreams": {"up": {"command": command, "prices": PRICES}}}) as home:
        with home.server(era="legacy") as s:
            tools_of(s)
            call(s, "grow")
            s.until(lambda: any(m.get("method") == "notifications/tools/list_changed"
                                for m in s.inbox))
            assert "up__more" in tools_of(s)
            call(s, "more")
            finish(home, s, 6)


def check_modern_http(folder):
    with Web(["node", os.path.join(folder, "server.mjs"), "http"]) as web:
        web.wait_for("listening ")
        port = int(web.out_lines[0].split()[1])
        with Home(over_http("http://127.0.0.1:%d/mcp" % port)) as home:
            check_modern(home)


CHECKS = (check_everything_stdio, check_everything_http, check_everything_cut_off, check_filesystem,
          check_modern_stdio, check_modern_http)


def main():
    folder = os.path.abspath(sys.argv[1])
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(os.path.join(here, "server.mjs"), folder)
    failed = 0
    for check in CHECKS:
        try:
            check(folder)
            print("ok %s" % check.__name__, flush=True)
        except Exception as e:  # of whatever kind: the others are still of interest
            failed += 1
            print("FAIL %s: %s: %s" % (check.__name__, type(e).__name__, json.dumps(str(e))),
                  flush=True)
    print("%d passed, %d failed" % (len(CHECKS) - failed, failed))
    sys.exit(1 if failed else 0)


main()
