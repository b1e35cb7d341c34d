"""What the end-to-end tests stand on: a runner, a farebox in a home of its own, its command line.

A test file imports this, has functions test_..., and ends with main(). The program under test is
$FAREBOX_BIN; the stand-ins (fake-company ...) are in $FAREBOX_FAKES, by default beside it.

    def test_an_empty_wallet_refuses():
        with Home() as home, home.server() as s:
            assert s.call_ok("get_token_balance")["tokens"] == 100

Nothing here sleeps: all waiting is for output or exit, with a deadline; or for a midnight.
"""

import datetime
import json
import os
import selectors
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

import at_time
import json_schema
import ledger_audit

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
TIMEOUT_S = 30
TEST_TIMEOUT_S = 600
# What "at once" may take where tests share their processors. A test that uses it tells it from
# something that takes longer still, or for ever.
AT_ONCE_S = 5
ROOM_BEFORE_MIDNIGHT = datetime.timedelta(seconds=30)
SANITIZER_SAYS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer",
                  "runtime error:", "check failed:", "farebox: fatal:")


class Gone(Exception):
    """The program ended, or closed its output, while it was waited for."""


class RpcError(Exception):
    """A JSON-RPC error came back."""

    def __init__(self, error):
        super().__init__(json.dumps(error))
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data")


def binary():
    path = os.environ.get("FAREBOX_BIN")
    if not path or not os.access(path, os.X_OK):
        raise RuntimeError("FAREBOX_BIN does not name a program: %r" % path)
    return os.path.abspath(path)


def watchdog_ms():
    """What one piece of work of the program may take of the processor: longer ends it. Builds with
    sanitizers are several times slower; a tool that runs the program more slowly says so."""
    with open(binary(), "rb") as f:
        is_sanitized = b"__asan_init" in f.read()
    return int(250 * (6 if is_sanitized else 1) * float(os.environ.get("FAREBOX_TEST_SLOWNESS", "1")))


def fake(name):
    """The path of a stand-in program."""
    folder = os.environ.get("FAREBOX_FAKES") or os.path.join(os.path.dirname(binary()),
                                                              "tests", "fakes")
    return os.path.join(folder, name)


class Program:
    """A running program whose output is collected while anything is waited for."""

    def __init__(self, argv, env, cwd=None, popen=None):
        self.argv = argv
        self.out_lines = []
        self.err = b""
        self._partial = b""
        self._unsent = b""
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
            cwd=cwd, bufsize=0, start_new_session=True, **(popen or {}))
        self.pid = self.process.pid
        self._selector = selectors.DefaultSelector()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            os.set_blocking(stream.fileno(), False)
        self._selector.register(self.process.stdout, selectors.EVENT_READ)
        self._selector.register(self.process.stderr, selectors.EVENT_READ)
        self._pidfd = os.pidfd_open(self.pid)
        self._selector.register(self._pidfd, selectors.EVENT_READ)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.dispose()

    def send_bytes(self, data):
        """Queues bytes for its stdin; they go out now as far as it takes them."""
        if self._unsent == b"" and data:
            self._selector.register(self.process.stdin, selectors.EVENT_WRITE)
        self._unsent += data
        self._pump(0)

    def send_until_stuck(self, data, quiet_s=0.5):
        """Sends until it takes no more for a while; returns how many bytes it took."""
        self.send_bytes(data)
        left = -1
        while self._unsent and left != len(self._unsent):
            left = len(self._unsent)
            deadline = time.monotonic() + quiet_s
            while len(self._unsent) == left and time.monotonic() < deadline:
                self._pump(deadline - time.monotonic())
        return len(data) - len(self._unsent)

    def stop_reading(self):
        """Leaves its output in the pipe until start_reading."""
        self._selector.unregister(self.process.stdout)

    def start_reading(self):
        self._selector.register(self.process.stdout, selectors.EVENT_READ)

    def close_stdout(self):
        """As a host that is gone."""
        self._selector.unregister(self.process.stdout)
        self.process.stdout.close()

    def resident_kib(self):
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            return int(f.read().split("VmRSS:")[1].split()[0])

    def close_stdin(self):
        self.until(lambda: not self._unsent)
        self.process.stdin.close()

    def _write(self):
        try:
            n = os.write(self.process.stdin.fileno(), self._unsent[:1 << 20])
            self._unsent = self._unsent[n:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent = b""
        if not self._unsent:
            self._selector.unregister(self.process.stdin)

    def _read(self, stream):
        try:
            data = os.read(stream.fileno(), 1 << 20)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(stream)
        elif stream is self.process.stderr:
            self.err += data
        else:
            *lines, self._partial = (self._partial + data).split(b"\n")
            self.out_lines += [self.on_line(line) for line in lines]

    def on_line(self, line):
        return line.decode()

    def _pump(self, timeout):
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self.process.stdin:
                self._write()
            elif key.fileobj == self._pidfd:
                self._selector.unregister(self._pidfd)
            else:
                self._read(key.fileobj)

    def _is_open(self, stream):
        return stream in self._selector.get_map()

    def until(self, condition, timeout=TIMEOUT_S):
        """Collects output until condition() is true."""
        deadline = time.monotonic() + timeout
        while not condition():
            if not self._is_open(self.process.stdout):
                raise Gone("%s closed its output; stderr:\n%s" % (self.argv[0], self.err_text()))
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("nothing from %s in %s s; stderr:\n%s"
                                   % (" ".join(self.argv), timeout, self.err_text()))
            self._pump(left)

    def wait_exit(self, timeout=TIMEOUT_S):
        """Waits for its end and returns the status: 0, or -9 after SIGKILL."""
        deadline = time.monotonic() + timeout
        while self._pidfd in self._selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("%s did not end in %s s; stderr:\n%s"
                                   % (" ".join(self.argv), timeout, self.err_text()))
            self._pump(left)
        self._pump(0)
        return self.process.wait()

    def err_text(self):
        return self.err.decode("utf-8", "replace")

    def signal(self, number):
        self.process.send_signal(number)

    def terminate(self):
        self.signal(signal.SIGTERM)

    def kill9(self):
        self.signal(signal.SIGKILL)
        status = self.wait_exit()
        self.dispose()
        return status

    def dispose(self):
        """Ends it, if it still runs, and gives back its descriptors."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        self._selector.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pidfd = -1

    def check_healthy(self):
        """No sanitizer and no CHECK has spoken."""
        said = self.err_text()
        assert not any(word in said for word in SANITIZER_SAYS), said


class Server(Program):
    """farebox mcp over pipes. era is modern, legacy (with a handshake) or bare (neither).

    capabilities are the client's, as in {"elicitation": {"url": {}}}; popen is for subprocess.Popen.
    """

    def __init__(self, home, era="modern", env=None, argv=("mcp",), capabilities=None,
                 client="farebox-test", version=LEGACY, cwd=None, program=None, popen=None):
        self.home = home
        self.era = era
        self.capabilities = capabilities or {}
        self.client = {"name": client, "version": "1"}
        self.inbox = []
        self._next_id = 1
        super().__init__([program or binary(), *argv], home.environment(env), cwd=cwd or home.path,
                         popen=popen)
        self.initialized = None
        if era == "legacy":
            self.initialized = self.request("initialize", {
                "protocolVersion": version, "capabilities": self.capabilities,
                "clientInfo": self.client})
            self.notify("notifications/initialized")

    def __exit__(self, kind, *_):
        if self._pidfd < 0:
            return
        try:
            if kind is None:
                self.stop()
            elif self.err:
                print("--- stderr of the server\n%s---" % self.err_text())
        finally:
            self.dispose()

    def on_line(self, line):
        """Each line on the wire is one JSON object."""
        message = json.loads(line)
        assert isinstance(message, dict) and message.get("jsonrpc") == "2.0", line
        self.inbox.append(message)
        return line.decode()

    def params(self, params):
        params = dict(params or {})
        if self.era == "modern":
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": self.client,
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
                **params.get("_meta", {}),
            }
        return params

    def send(self, method, params=None, id=None):
        """Sends a request and returns its id, to be waited for later."""
        if id is None:
            id = self._next_id
            self._next_id += 1
        self.send_message({"jsonrpc": "2.0", "id": id, "method": method,
                           "params": self.params(params)})
        return id

    def notify(self, method, params=None):
        self.send_message({"jsonrpc": "2.0", "method": method, "params": self.params(params)})

    def line(self, message):
        return json.dumps(message).encode() + b"\n"

    def send_message(self, message):
        self.send_bytes(self.line(message))

    def send_line(self, line):
        self.send_bytes(line.encode() + b"\n")

    def next_message(self, timeout=TIMEOUT_S):
        """The next message, in order of arrival, that nobody has waited for."""
        self.until(lambda: self.inbox, timeout)
        return self.inbox.pop(0)

    def _find(self, id):
        for message in self.inbox:
            if "method" not in message and message.get("id") == id:
                return message
        return None

    def wait(self, id, timeout=TIMEOUT_S):
        """The result of the request; RpcError when it failed."""
        self.until(lambda: self._find(id) is not None, timeout)
        message = self._find(id)
        self.inbox.remove(message)
        if "error" in message:
            raise RpcError(message["error"])
        return message["result"]

    def request(self, method, params=None, timeout=TIMEOUT_S):
        return self.wait(self.send(method, params), timeout)

    def notifications(self):
        """Those that came so far; taken out of the inbox."""
        found = [m for m in self.inbox if "method" in m]
        self.inbox = [m for m in self.inbox if "method" not in m]
        return found

    def send_call(self, tool, arguments=None, meta=None, **more):
        params = {"name": tool, "arguments": arguments or {}, **more}
        if meta:
            params["_meta"] = meta
        return self.send("tools/call", params)

    def call(self, tool, arguments=None, meta=None, timeout=TIMEOUT_S, **more):
        """The whole result of a tool call, failed or not."""
        return self.wait(self.send_call(tool, arguments, meta, **more), timeout)

    def call_ok(self, tool, arguments=None, meta=None, timeout=TIMEOUT_S):
        """The structured content of a call that must succeed and fit its schema."""
        return content_of(tool, self.call(tool, arguments, meta, timeout))

    def call_error(self, tool, arguments=None, code=None, meta=None, timeout=TIMEOUT_S):
        """The error object of a call that must fail (with code)."""
        error = error_of(self.call(tool, arguments, meta, timeout))
        assert code is None or error["code"] == code, error
        return error

    def balance(self):
        return self.call_ok("get_token_balance")["tokens"]

    def stop(self, timeout=TIMEOUT_S):
        """Ends it as a host does, by closing its stdin, and checks how it went."""
        if not self.process.stdin.closed:
            self.close_stdin()
        status = self.wait_exit(timeout)
        self.check_healthy()
        assert status == 0, "status %d, stderr:\n%s" % (status, self.err_text())


def output_schema(tool):
    path = os.path.join(TREE, "schemas", "tools", tool + ".json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return json.load(f).get("outputSchema")


def content_of(tool, result):
    """The structured content of a good result; its text is the same JSON and it fits its schema."""
    assert not result.get("isError"), json.dumps(result)
    structured = result["structuredContent"]
    assert json.loads(result["content"][0]["text"]) == structured, json.dumps(result)
    schema = output_schema(tool)
    if schema is not None:
        faults = json_schema.faults_of(structured, schema)
        assert not faults, (tool, faults, structured)
    return structured


def error_of(result):
    """The error object of a failed result: as text, in _meta, and not as structured content."""
    assert result.get("isError") is True, json.dumps(result)
    assert "structuredContent" not in result, json.dumps(result)
    whole = result["_meta"]["farebox/error"]
    error = whole.get("error", whole)
    text = json.loads(result["content"][0]["text"])
    assert text == {"error": error}, json.dumps(result)
    for member in ("code", "type", "message", "http_status", "retryable", "resolution_hint"):
        assert member in error, "%s is missing: %s" % (member, error)
    return error


def usage_of(result):
    return result["_meta"]["farebox/usage"]


def echo_tool(tokens, **provider):
    """A paid tool for farebox.json that says what it is told."""
    return {"price": {"kind": "flat", "tokens": tokens}, "provider": {"kind": "echo", **provider}}


class Done:
    """A command that has run."""

    def __init__(self, run):
        self.status = run.returncode
        self.out = run.stdout
        self.err = run.stderr

    def json(self):
        return json.loads(self.out)


class Home:
    """A home folder with a store of its own, and the environment that a host would give."""

    def __init__(self, config=None, env=None, payments="sandbox"):
        self.path = tempfile.mkdtemp(prefix="farebox-test-")
        self.store = os.path.join(self.path, "wallet.db")
        self.env = {"FAREBOX_STORE": self.store, "FAREBOX_PAYMENTS": payments, **(env or {})}
        if config is not None:
            self.configure(config)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def configure(self, config):
        path = os.path.join(self.path, "farebox.json")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config if isinstance(config, str) else json.dumps(config))
        self.env["FAREBOX_CONFIG"] = path

    def environment(self, more=None):
        """Nearly empty, as hosts give it. A value of None in more takes a variable away."""
        env = {"HOME": self.path, "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
               "FAREBOX_WATCHDOG_FATAL_MS": str(watchdog_ms())}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update(at_time.passed_on())
        env.update(self.env)
        env.update(more or {})
        return {name: value for name, value in env.items() if value is not None}

    def server(self, **how):
        return Server(self, **how)

    def cli(self, *args, status=0, env=None, stdin="", timeout=TIMEOUT_S):
        """Runs a command of farebox to its end; status None: any."""
        run = subprocess.run([binary(), *args], input=stdin, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, timeout=timeout, cwd=self.path,
                             env=self.environment(env))
        assert status is None or run.returncode == status, (
            "farebox %s: status %d\n%s%s" % (" ".join(args), run.returncode, run.stdout, run.stderr))
        assert not any(word in run.stderr for word in SANITIZER_SAYS), run.stderr
        return Done(run)

    def query(self, sql, *values):
        """Rows of the store, read beside the program."""
        db = sqlite3.connect("file:%s?mode=ro" % self.store, uri=True, timeout=TIMEOUT_S)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def change(self, sql, *values):
        """Writes to the store, past its lock: only while no farebox runs."""
        db = sqlite3.connect(self.store, timeout=TIMEOUT_S)
        try:
            with db:
                return db.execute(sql, values).rowcount
        finally:
            db.close()

    def ledger_verify(self):
        """The ledger proves itself, and the second opinion agrees."""
        self.cli("ledger", "verify")
        faults = ledger_audit.audit(self.store)
        assert not faults, faults


def wait_for_a_whole(period):
    """Waits until midnight UTC when the day, or the month, ends before a test could be through.

    For a test of what a day or a month allows: what it allows begins anew with the next.
    """
    now = at_time.now()
    end = now.replace(hour=0, minute=0, second=0, microsecond=0) + datetime.timedelta(days=1)
    assert period in ("day", "month"), period
    if (period == "day" or end.day == 1) and end - now < ROOM_BEFORE_MIDNIGHT:
        while at_time.now() < end:
            time.sleep(0.02)


class Company(Program):
    """The stand-in for a company's page and its job boards; port and url say where."""

    def __init__(self, *args, program="fake-company"):
        super().__init__([fake(program), *args], {"PATH": os.environ.get("PATH", "")})
        self.until(lambda: any(line.startswith("listening ") for line in self.out_lines))
        line = [line for line in self.out_lines if line.startswith("listening ")][0]
        self.port = int(line.split()[1])
        self.host = "127.0.0.1:%d" % self.port
        self.url = "http://" + self.host

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._pidfd >= 0:
            self.terminate()
            self.wait_exit()
            self.dispose()


def run_test(function):
    def on_alarm(*_):
        raise TimeoutError("the test took more than %d s" % TEST_TIMEOUT_S)

    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(TEST_TIMEOUT_S)
    try:
        function()
    finally:
        signal.alarm(0)


def main():
    """Runs the test_ functions of the program (or those named as arguments) and exits."""
    module = sys.modules["__main__"]
    tests = {n: f for n, f in vars(module).items() if n.startswith("test_") and callable(f)}
    passed = failed = 0
    for name in sys.argv[1:] or tests:
        try:
            run_test(tests[name])
            passed += 1
            print("ok %s" % name, flush=True)
        except BaseException as e:
            failed += 1
            print("FAIL %s" % name)
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            if isinstance(e, KeyboardInterrupt):
                break
    print("%d passed, %d failed" % (passed, failed), flush=True)
    sys.exit(1 if failed or not passed else 0)
