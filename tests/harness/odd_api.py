"""An HTTP API in the test's own process that misbehaves as the path says, and counts its calls.

    with OddApi() as api:
        api.url + "/hang"        takes the request and says nothing
        api.url + "/dribble"     a byte now and then, for ever
        api.url + "/flood"       2 GB, as fast as they are taken
        api.url + "/chunks"      the same, without saying how much it will be
        api.url + "/utf8"        JSON that is not UTF-8
        api.url + "/text"        text that is not UTF-8
        api.url + "/binary"      application/octet-stream
        api.url + "/nonsense"    says that it is JSON
        api.url + "/close"       no answer at all
        api.url + "/half"        half of what it announced
        api.url + "/to/URL"      a redirect to URL, which is quoted
        api.url + "/size/N"      {"text": N letters}
        api.url + "/ok"          {"n": how many calls of /ok there were}
        api.url + "/wait"        as /ok, but not before api.go()

A language model's paths are the same, with /v1/chat/completions behind them; it also has

        /stream-die, /stream-hang, /stream-flood     after the first words
        /no-usage, /zero, /used                      a whole answer
"""

import collections
import http.server
import json
import threading
import time
import urllib.parse

GIGABYTES = 2 << 30
MODEL_PATH = "/v1/chat/completions"


def completion(usage):
    whole = {"model": "m", "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}
    if usage is not None:
        whole["usage"] = usage
    return whole


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, kind="application/json", status=200, length=None, headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def event(self, text):
        delta = {"choices": [{"delta": {"content": text}, "finish_reason": None}]}
        self.wfile.write(b"data: " + json.dumps(delta).encode() + b"\n\n")
        self.wfile.flush()

    def stream(self, mode):
        self.close_connection = True
        self.answer(b"", "text/event-stream", length=-1, headers=[("Connection", "close")])
        self.event("one two")
        if mode == "stream-hang":
            self.server.api.ended.wait()
        while mode == "stream-flood":
            self.event("x" * 65536)

    def flood(self, is_chunked):
        block = b"x" * 65536
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(GIGABYTES))
        self.end_headers()
        for _ in range(GIGABYTES // len(block)):
            self.wfile.write(b"10000\r\n%s\r\n" % block if is_chunked else block)

    def dribble(self):
        self.answer(b"{", length=1000000)
        while not self.server.api.ended.wait(0.02):
            self.wfile.write(b" ")

    def odd(self, mode, rest):
        api = self.server.api
        if mode == "hang":
            api.ended.wait()
        elif mode == "dribble":
            self.dribble()
        elif mode in ("flood", "chunks"):
            self.flood(mode == "chunks")
        elif mode == "utf8":
            self.answer(b'{"text":"\xff\xfe"}')
        elif mode == "text":
            self.answer(b"\xff\xfe", "text/plain; charset=utf-8")
        elif mode == "binary":
            self.answer(b'{"a":1}', "application/octet-stream")
        elif mode == "nonsense":
            self.answer(b"Internal error, sorry")
        elif mode == "half":
            self.answer(b'{"a":', length=1000)
        elif mode == "to":
            self.answer({}, status=302, headers=[("Location", urllib.parse.unquote(rest))])
        elif mode == "size":
            self.answer({"text": "x" * int(rest)})
        elif mode != "close":
            return False
        self.close_connection = True
        return True

    def model(self, mode):
        usages = {"no-usage": None, "zero": {"prompt_tokens": 0, "completion_tokens": 0}}
        if mode.startswith("stream-"):
            self.stream(mode)
        else:
            self.answer(completion(usages.get(mode, {"prompt_tokens": 2,
                                                     "completion_tokens": 1})))

    def do_GET(self):
        api = self.server.api
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        is_model = path.endswith(MODEL_PATH)
        path = path[:-len(MODEL_PATH)] if is_model else path
        mode, _, rest = path[1:].partition("/")
        with api.lock:
            api.calls[path] += 1
            n = api.calls[path]
            api.changed.notify_all()
        try:
            if self.odd(mode, rest):
                return
            if mode.startswith("wait"):
                api.may_go.wait()
            if is_model:
                self.model(mode)
            else:
                self.answer({"n": n})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


class OddApi:
    def __init__(self, host="127.0.0.1"):
        self.calls = collections.Counter()
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.ended = threading.Event()
        self.may_go = threading.Event()
        self.server = Server((host, 0), Handler)
        self.server.api = self
        self.url = "http://%s:%d" % (host, self.server.server_address[1])

    def go(self):
        self.may_go.set()

    def wait_for(self, path, n, timeout=20):
        """Until the path was called n times."""
        deadline = time.monotonic() + timeout
        with self.lock:
            while self.calls[path] < n:
                left = deadline - time.monotonic()
                assert left > 0, (path, n, self.calls)
                self.changed.wait(left)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.may_go.set()
        self.server.shutdown()
        self.server.server_close()
