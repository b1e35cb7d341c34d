#!/usr/bin/env python3
"""A stand-in for an operator's MCP server, in both eras, over stdio or HTTP, that can misbehave.

    mcp_server.py [--era both|modern|legacy] [--http] [--log FILE] [switches: see below]

Over HTTP it prints "listening PORT" and takes orders on stdin: see ORDERS. The log gets a line for each
thing that happens: "started PID", "method NAME", "cancelled ID", "eof", "stream LAST-ID", "resumed ID",
"session deleted".
"""

import argparse
import base64
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"

parser = argparse.ArgumentParser()
parser.add_argument("--era", default="both", choices=["both", "modern", "legacy"])
parser.add_argument("--version", help="the only older revision that it answers with")
parser.add_argument("--http", action="store_true")
parser.add_argument("--sse", action="store_true", help="over HTTP every answer is a stream")
parser.add_argument("--sessions", action="store_true", help="over HTTP, older revisions: sessions")
parser.add_argument("--streams", action="store_true", help="with sessions: a stream by GET")
parser.add_argument("--stream-once", action="store_true", help="a stream is not found again")
parser.add_argument("--break-off", type=int, default=0,
                    help="the stream of a call breaks off so often before the answer")
parser.add_argument("--retry", type=int, default=100, help="ms that streams ask for")
parser.add_argument("--no-resume", type=int, default=0, help="the status of an attempt to resume")
parser.add_argument("--token", help="over HTTP: the Authorization that is wanted")
parser.add_argument("--log")
parser.add_argument("--silent", action="append", default=[], help="a method that gets no answer")
parser.add_argument("--exit-on", action="append", default=[], help="a method that ends it")
parser.add_argument("--start-garbage", type=int, default=0, help="lines that are not MCP")
parser.add_argument("--slow-start", type=float, default=0)
parser.add_argument("--ignore-eof", action="store_true")
parser.add_argument("--ignore-term", action="store_true")
parser.add_argument("--grandchild", action="store_true", help="leaves a process of its own")
parser.add_argument("--stderr", type=int, default=0, help="lines on stderr at the start")
parser.add_argument("--list", help="a file with the tools to list instead of its own")
parser.add_argument("--pages", action="store_true", help="one tool a page")
# A test may change the server without changing its command.
options = parser.parse_args(sys.argv[1:] + os.environ.get("MCP_FAKE", "").split())

lock = threading.Lock()
log_lock = threading.Lock()
extra_tools = []
hidden_tools = set()
cancelled = set()
dropped = set()  # methods whose requests are read to the end, and the connection closed
answers = {}
listeners = {}
sessions = set()
streams = {}
unasked = []
kept = {}


def note(text):
    if options.log:
        with log_lock, open(options.log, "a", encoding="utf-8") as f:
            f.write(text + "\n")


def own_tools():
    any_object = {"type": "object"}
    echo = {"name": "echo", "title": "Echo", "description": "Says what it is told.",
            "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}},
                            "required": ["text"], "additionalProperties": False,
                            "$schema": "http://json-schema.org/draft-07/schema#"},
            "outputSchema": {"type": "object", "properties": {"text": {"type": "string"}},
                             "required": ["text"]},
            "annotations": {"readOnlyHint": True, "title": "The echo", "wrong": 1},
            "_meta": {"example.com/x": 1}}
    strange = {"name": "strange", "inputSchema": {"type": "object", "properties": {
        "when": {"type": "string", "patternProperties": {}}}}}
    region = {"name": "region", "inputSchema": {"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "deep": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "Deep-N"}}},
        "other": {"type": "boolean", "x-mcp-header": "Other"}}}}
    promise = {"name": "promise", "inputSchema": any_object, "outputSchema": echo["outputSchema"]}
    names = ["env", "fail", "reject", "broken", "slow", "exit", "garbage", "flood", "big", "ask",
             "change", "bad", "ask_client", "pid", "cost", "nothing", "raw"]
    tools = [echo, strange, region, promise] + [{"name": n, "inputSchema": any_object} for n in names]
    return [t for t in tools + extra_tools if t["name"] not in hidden_tools]


def tools():
    if options.list:
        with open(options.list, encoding="utf-8") as f:
            return json.load(f)
    return own_tools()


class Wire:
    """Where the answer of one request goes: a line, or over HTTP an event or the body."""

    def __init__(self, send):
        self.send = send

    def result(self, id, result, modern):
        if modern:
            result = {"resultType": "complete", **result}
        self.send({"jsonrpc": "2.0", "id": id, "result": result})

    def error(self, id, code, message, **more):
        self.send({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message, **more}})


def text(value, **more):
    return {"content": [{"type": "text", "text": value}], **more}


def call(wire, id, name, arguments, meta, modern):
    if name == "echo":
        wire.result(id, text(json.dumps(arguments), structuredContent=arguments,
                             _meta={"example.com/secret": "of the upstream"}), modern)
    elif name in ("strange", "region"):
        wire.result(id, text(json.dumps(arguments)), modern)
    elif name == "env":
        wire.result(id, text(json.dumps({"env": dict(os.environ), "cwd": os.getcwd(),
                                         "fds": sorted(map(int, os.listdir("/proc/self/fd"))),
                                         "pgid": os.getpgid(0), "pid": os.getpid()})), modern)
    elif name == "fail":
        wire.result(id, text("no such file", isError=True), modern)
    elif name == "reject":
        wire.error(id, -32602, "arguments are not to my taste")
    elif name == "broken":
        wire.error(id, -32603, "something broke")
    elif name == "slow":
        slow(wire, id, arguments, meta, modern)
    elif name == "exit":
        os._exit(arguments.get("status", 3))
    elif name == "garbage":
        for i in range(arguments.get("lines", 3)):
            raw("this is no JSON %d" % i)
        wire.result(id, text("clean"), modern)
    elif name == "flood":
        flood(arguments["kind"])
    elif name == "big":
        wire.result(id, text("x" * arguments["bytes"]), modern)
    elif name == "ask":
        wire.send({"jsonrpc": "2.0", "id": id, "result": {
            "resultType": "input_required", "requestState": "s", "inputRequests": {
                "a": {"method": "elicitation/create", "params": {"mode": "form"}}}}})
    elif name == "change":
        extra_tools[:] = [{"name": "late", "inputSchema": {"type": "object"}}]
        hidden_tools.add("pid")
        if arguments.get("back"):
            extra_tools.clear()
            hidden_tools.clear()
        wire.result(id, text("changed"), modern)
        tell_change()
    elif name in ("bad", "promise"):
        wire.result(id, arguments["result"], modern)
    elif name == "ask_client":
        ask_client(wire, id, modern)
    elif name == "pid":
        wire.result(id, text(str(os.getpid())), modern)
    elif name == "raw":  # @ is the id; each letter is a byte
        line = arguments["line"].replace("@", json.dumps(id)).encode("latin-1")
        with lock:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
    elif name == "cost":
        wire.result(id, text("{}", structuredContent={"cost": arguments["usd"]}), modern)
    elif name == "late":
        wire.result(id, text("better than never"), modern)
    elif name != "nothing":
        wire.error(id, -32602, "Unknown tool: " + name)


def slow(wire, id, arguments, meta, modern):
    steps = arguments.get("steps", 1)
    for step in range(steps):
        deadline = time.monotonic() + arguments.get("ms", 1000) / 1000 / steps
        while time.monotonic() < deadline:
            time.sleep(0.005)
            if id in cancelled:
                return
        if "progressToken" in meta:
            params = {"progressToken": meta["progressToken"], "progress": step + 1, "total": steps}
            if arguments.get("words"):
                params["message"] = "step %d" % (step + 1)
            wire.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    wire.result(id, text("slow but sure"), modern)


def flood(kind):
    while True:
        if kind == "line":
            raw("x" * 65536, end="")
        elif kind == "garbage":
            raw("garbage " * 20)
        elif kind == "message":
            send_line({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
        else:
            send_line({"jsonrpc": "2.0", "id": 1, "method": "roots/list"})


def ask_client(wire, id, modern):
    said = {}
    for method in ("ping", "roots/list", "sampling/createMessage"):
        key = "ask-" + method
        wire.send({"jsonrpc": "2.0", "id": key, "method": method})
        deadline = time.monotonic() + 5
        while key not in answers and time.monotonic() < deadline:
            time.sleep(0.005)
        said[method] = answers.get(key, "nothing")
    wire.result(id, text(json.dumps(said)), modern)


def tell_change():
    method = "notifications/tools/list_changed"
    if listeners:
        for id, wire in list(listeners.items()):
            wire.send({"jsonrpc": "2.0", "method": method,
                       "params": {"_meta": {META + "subscriptionId": id}}})
    elif not options.http:
        send_line({"jsonrpc": "2.0", "method": method})
    else:
        say_unasked({"jsonrpc": "2.0", "method": method})


def say_unasked(message):
    """On the streams of GET; for those that are away it is kept under its id."""
    with lock:
        unasked.append(message)
    for _, send in list(streams.values()):
        try:
            send()
        except OSError:
            pass  # that one has just ended


def discover(wire, id):
    wire.result(id, {"supportedVersions": [MODERN], "capabilities": {"tools": {"listChanged": True}},
                     "ttlMs": 1000, "cacheScope": "public"}, True)


def initialize(wire, id, params):
    version = options.version or params["protocolVersion"]
    wire.result(id, {"protocolVersion": version, "serverInfo": {"name": "fake", "version": "1"},
                     "capabilities": {"tools": {"listChanged": True}}}, False)


def list_tools(wire, id, params, modern):
    all_tools = tools()
    result = {"tools": all_tools}
    if options.pages:
        at = int(params.get("cursor", "0"))
        result = {"tools": all_tools[at:at + 1]}
        if at + 1 < len(all_tools):
            result["nextCursor"] = str(at + 1)
    if modern:
        result.update(ttlMs=1000, cacheScope="public")
    wire.result(id, result, modern)


def listen(wire, id):
    listeners[id] = wire
    wire.send({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {
        "_meta": {META + "subscriptionId": id}, "notifications": {"toolsListChanged": True}}})


def is_modern(message):
    meta = (message.get("params") or {}).get("_meta", {})
    return META + "protocolVersion" in meta and META + "clientCapabilities" in meta


def request(wire, message):
    method, id, params = message["method"], message["id"], message.get("params") or {}
    modern = is_modern(message)
    note("method %s %s" % (method, "modern" if modern else "legacy"))
    if method in options.exit_on:
        os._exit(1)
    if method in options.silent:
        return
    if modern and options.era == "legacy" or not modern and options.era == "modern":
        wire.error(id, -32601, "Method not found")
    elif method == "server/discover" and modern:
        discover(wire, id)
    elif method == "subscriptions/listen" and modern:
        listen(wire, id)
    elif method == "initialize" and not modern:
        initialize(wire, id, params)
    elif method == "ping" and not modern:
        wire.result(id, {}, False)
    elif method == "tools/list":
        list_tools(wire, id, params, modern)
    elif method == "tools/call":
        call(wire, id, params["name"], params.get("arguments") or {}, params.get("_meta", {}), modern)
    else:
        wire.error(id, -32601, "Method not found")


def take(wire, message):
    """A notification, an answer to us, or a request, which gets a thread of its own."""
    if message.get("method") == "notifications/cancelled":
        cancelled.add(message["params"]["requestId"])
        note("cancelled %s" % message["params"]["requestId"])
    elif "method" not in message:
        answers[message["id"]] = message.get("result", message.get("error"))
        note("answered %s" % message["id"])
    elif "id" in message:
        thread = threading.Thread(target=request, args=(wire, message), daemon=True)
        thread.start()
        return thread
    else:
        note("notification %s" % message["method"])
    return None


def raw(line, end="\n"):
    with lock:
        sys.stdout.write(line + end)
        sys.stdout.flush()


def send_line(message):
    raw(json.dumps(message))


def serve_stdio():
    for i in range(options.start_garbage):
        raw("Welcome to the server, line %d" % i)
    wire = Wire(send_line)
    for line in sys.stdin:
        take(wire, json.loads(line))
    note("eof")
    while options.ignore_eof:
        time.sleep(60)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def finish_with(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, message):
        self.finish_with(status, json.dumps({"jsonrpc": "2.0", "error": {
            "code": code, "message": message}}).encode(), Content_Type="application/json")

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note("headers " + json.dumps({k.lower(): v for k, v in self.headers.items()}))
        modern = is_modern(message)
        session = self.headers.get("Mcp-Session-Id")
        if options.token and self.headers.get("Authorization") != options.token:
            self.finish_with(401, b"who are you?")
        elif modern and (self.headers.get("MCP-Protocol-Version") != MODERN
                         or self.headers.get("Mcp-Method") != message["method"]
                         or self.headers.get("Mcp-Name") != message["params"].get("name")):
            self.refuse(400, -32020, "headers and body differ")
        elif modern and options.era == "legacy":
            self.finish_with(400, b"Bad Request: no valid session ID provided")
        elif options.sessions and not modern and message.get("method") != "initialize" \
                and session not in sessions:
            self.refuse(404 if session else 400, -32001, "Session not found")
        elif "id" not in message or "method" not in message:
            take(None, message)
            self.finish_with(202)
        elif message["method"] in dropped:
            note("dropped " + message["method"])
            self.close_connection = True
        elif options.break_off and message["method"] == "tools/call":
            self.break_off(message)
        else:
            self.answer(message, modern)

    def begin_events(self, chunked=False):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close")))
        self.end_headers()
        self.close_connection = True

    def event(self, id, message, chunked=False):
        data = json.dumps(message) if message else ""
        text = ("retry: %d\nid: %s\ndata: %s\n\n" % (options.retry, id, data)).encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text) if chunked else text)
        self.wfile.flush()

    def break_off(self, message):
        """An event without data, then the end, in which the server is in the middle of a chunked body."""
        key = str(message["id"])
        kept[key] = {"messages": [], "breaks": options.break_off - 1}
        take(Wire(kept[key]["messages"].append), message)
        self.begin_events(chunked=True)
        self.event(key + "-0", None, chunked=True)

    def resume(self, key, at):
        state = kept[key]
        note("resumed %s-%d" % (key, at))
        if options.no_resume:
            self.finish_with(options.no_resume)
            return
        self.begin_events()
        if state["breaks"] > 0:
            state["breaks"] -= 1
            self.event("%s-%d" % (key, at), None)
            return
        while True:
            while at < len(state["messages"]):
                message = state["messages"][at]
                at += 1
                self.event("%s-%d" % (key, at), message)
                if "method" not in message:
                    return
            time.sleep(0.005)

    def listen(self, session, at):
        """All that was said unasked behind the event, and what follows."""
        begun = threading.Lock()
        state = {"at": len(unasked) if at is None else at}

        def send():
            with begun:
                while state["at"] < len(unasked):
                    state["at"] += 1
                    self.event("u-%d" % state["at"], unasked[state["at"] - 1])

        self.begin_events()
        self.event("u-%d" % state["at"], None)
        streams[session] = self, send
        note("stream %s" % ("-" if at is None else at))
        send()
        try:
            self.connection.recv(1)
        except OSError:
            pass
        if streams.get(session, (None,))[0] is self:
            del streams[session]
        note("stream ended")

    def answer(self, message, modern):
        done = threading.Event()
        self.has_begun = False
        headers = {}
        if options.sessions and message["method"] == "initialize":
            headers["Mcp-Session-Id"] = base64.b16encode(os.urandom(8)).decode()
            sessions.add(headers["Mcp-Session-Id"])

        def begin_stream():
            self.has_begun = True
            self.send_response(200)
            for name, value in {"Content-Type": "text/event-stream", "Connection": "close",
                                **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"\xef\xbb\xbf: hello\r\nretry: 100\r\n\r\n")

        def send(out):
            is_last = out.get("id") == message["id"] and "method" not in out
            try:
                if is_last and not self.has_begun and not options.sse:
                    self.send_response(200)
                    body = json.dumps(out).encode()
                    for name, value in {"Content-Type": "application/json",
                                        "Content-Length": str(len(body)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                else:
                    if not self.has_begun:
                        begin_stream()
                    event = json.dumps(out, indent=1).replace("\n", "\ndata: ")
                    self.wfile.write(("event: message\nid: 7\ndata: %s\n\n" % event).encode())
                    self.wfile.flush()
            except OSError:
                note("cancelled %s" % message["id"])
                cancelled.add(message["id"])
                done.set()
            if is_last:
                done.set()

        take(Wire(send), message)
        while not done.wait(0.05):
            try:  # has the client gone?
                self.connection.setblocking(False)
                if self.connection.recv(1, 2) == b"":
                    raise OSError
            except BlockingIOError:
                pass
            except OSError:
                note("cancelled %s" % message["id"])
                cancelled.add(message["id"])
                break
            finally:
                self.connection.setblocking(True)
        if self.has_begun:
            self.close_connection = True

    def do_GET(self):
        note("get " + json.dumps({k.lower(): v for k, v in self.headers.items()}))
        session, last = self.headers.get("Mcp-Session-Id"), self.headers.get("Last-Event-ID")
        key, _, at = (last or "").rpartition("-")
        if options.sessions and session not in sessions or last and options.stream_once:
            self.finish_with(404)
        elif key in kept:
            self.resume(key, int(at))
        elif options.streams:
            self.listen(session, int(at) if last else None)
        else:
            self.finish_with(405)

    def do_DELETE(self):
        session = self.headers.get("Mcp-Session-Id")
        if "DELETE" in options.silent:
            time.sleep(60)
        note("session deleted" if session in sessions else "no session to delete")
        sessions.discard(session)
        self.finish_with(204)


def serve_http():
    http.server.ThreadingHTTPServer.request_queue_size = 512
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    raw("listening %d" % server.server_address[1])
    for line in sys.stdin:
        ORDERS[line.strip()]()
        raw("done")


def end_streams():
    for handler, _ in list(streams.values()):
        handler.connection.shutdown(socket.SHUT_RDWR)


def ask_unasked():
    say_unasked({"jsonrpc": "2.0", "id": "are you there", "method": "ping"})


def change_list():
    extra_tools[:] = [{"name": "late", "inputSchema": {"type": "object"}}]
    tell_change()


ORDERS = {"forget sessions": sessions.clear, "end streams": end_streams, "ping": ask_unasked,
          "change list": change_list, "drop calls": lambda: dropped.add("tools/call")}


def main():
    if options.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("started %d" % os.getpid())
    for i in range(options.stderr):
        print("starting up, step %d" % i, file=sys.stderr, flush=True)
    if options.grandchild:
        pid = os.fork()
        if pid == 0:
            os.close(0)
            os.close(1)
            while True:
                time.sleep(60)
        note("grandchild %d" % pid)
    time.sleep(options.slow_start)
    if options.http:
        serve_http()
    else:
        serve_stdio()


main()
