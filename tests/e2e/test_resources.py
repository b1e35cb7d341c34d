#!/usr/bin/env python3
"""Too little to work with: descriptors, processes, memory, room for a file, time. An ordinary error with a
remedy, never a signal; and what runs lives on when there is enough again."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from fake_mcp import ANY, tools_of, until, upstream  # noqa: E402
from farebox_test import (  # noqa: E402
    SANITIZER_SAYS, Company, Home, RpcError, binary, content_of, echo_tool, error_of, main, usage_of)

NOBODY = 65534
REMEDY = "ulimit -n"


def limited(**limits):
    """For subprocess: soft and hard limits of the child, by the names of RLIMIT_..."""
    def set_limits():
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
    return set_limits


def check_refused(run, n):
    """Nothing on stdout, and a line that says what to do."""
    assert run.stdout == "", (n, run.stdout)
    if run.returncode == 127:  # the loader found no descriptor for the libraries
        assert "shared libraries" in run.stderr, (n, run.stderr)
        return
    assert run.returncode == 1, (n, run.returncode, run.stderr)
    lines = run.stderr.splitlines()
    assert len(lines) == 1 and REMEDY in lines[0], (n, run.stderr)


def test_few_descriptors_at_the_start_are_an_error_with_a_remedy():
    worked = []
    with Home({"tools": {"echo": echo_tool(1)}}) as home:
        home.cli("billing", "balance")
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": {"name": "echo", "arguments": {}}}) + "\n"
        for n in range(3, 31):
            for argv, given in ((["mcp"], call), (["call", "echo", "{}"], "")):
                run = subprocess.run([binary(), *argv], input=given, text=True, timeout=60,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     env=home.environment(), cwd=home.path,
                                     preexec_fn=limited(NOFILE=n))
                if run.returncode == 0:
                    worked.append(n)
                    assert '"echo"' in run.stdout, (n, run.stdout, run.stderr)
                    assert not any(word in run.stderr for word in SANITIZER_SAYS), run.stderr
                else:
                    check_refused(run, n)
        assert worked and min(worked) > 4 and worked.count(30) == 2, worked
        home.ledger_verify()


def test_descriptors_that_the_host_left_open_count():
    with Home() as home, tempfile.TemporaryFile() as f:
        fds = [os.dup(f.fileno()) for _ in range(40)]
        try:
            run = subprocess.run([binary(), "version"], text=True, pass_fds=fds,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env=home.environment(), preexec_fn=limited(NOFILE=64))
        finally:
            for fd in fds:
                os.close(fd)
        check_refused(run, 64)


def set_soft(pid, which, n):
    resource.prlimit(pid, which, (n, resource.prlimit(pid, which)[1]))


def open_descriptors(s):
    return max(map(int, os.listdir("/proc/%d/fd" % s.pid))) + 1


def leave_descriptors(s, n):
    """Descriptors below this number are all that it may open from now on."""
    set_soft(s.pid, resource.RLIMIT_NOFILE, n)


def test_descriptors_that_run_out_fail_the_call_and_nothing_else():
    with Company() as company:
        config = {"upstreams": {"up": upstream()}, "network": {"allow_private": True},
                  "org": {"starter_tokens": 1000}, "guard": {"released": 0, "repeated": 0},
                  "tools": {"echo": echo_tool(1), "get": {
                      "price": {"kind": "flat", "tokens": 1},
                      "provider": {"kind": "http", "method": "GET", "url": company.url + "/"}}}}
        with Home(config) as home, home.server() as s:
            s.request("server/discover")
            used = open_descriptors(s)
            for more in range(14):
                leave_descriptors(s, used + more)
                for tool in ("echo", "get", "up__echo", "up__nosuch", "get_token_balance"):
                    try:
                        result = s.call(tool, {"text": "x"} if tool == "up__echo" else {})
                    except RpcError as e:
                        assert e.code == -32602, e
                        continue
                    if result.get("isError"):
                        error = error_of(result)
                        assert error["code"] in ("STORE_UNAVAILABLE", "UPSTREAM_ERROR"), error
            leave_descriptors(s, 1024)
            content_of("echo", s.call("echo"))
            until(lambda: "up__echo" in tools_of(s), 90)
            assert usage_of(s.call("up__echo", {"text": "x"}))["tokens"] == 3
            assert not s.call("get").get("isError")
            s.stop()
            home.ledger_verify()
            assert home.query("SELECT count(*) FROM hold") == [(0,)]


class Unprivileged:
    """A program and a folder that nobody may use: limits of processes do not hold for root."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="farebox-test-")
        os.chmod(self.folder, 0o755)
        self.program = os.path.join(self.folder, "farebox")
        shutil.copy(binary(), self.program)
        os.chmod(self.program, 0o755)
        self.popen = {"preexec_fn": limited(NPROC=1)}
        if os.getuid() == 0:
            self.popen.update(user=NOBODY, group=NOBODY, extra_groups=[])
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def home(self, config):
        home = Home(config)
        if os.getuid() == 0:
            for path in (home.path, *(os.path.join(home.path, n) for n in os.listdir(home.path))):
                os.chown(path, NOBODY, NOBODY)
        return home


def test_no_processes_fail_the_call_and_nothing_else():
    with Unprivileged() as u:
        config = {"upstreams": {"up": {"command": ["/bin/sleep", "60"], "prices": ANY}},
                  "tools": {"echo": echo_tool(1)}}
        with u.home(config) as home, home.server(program=u.program, popen=u.popen,
                                                 env={"LSAN_OPTIONS": "detect_leaks=0",
                                                      "ASAN_OPTIONS": "detect_leaks=0"}) as s:
            content_of("echo", s.call("echo"))
            try:
                s.call("up__echo", {"text": "x"})
                raise AssertionError("it was started")
            except RpcError as e:
                assert "cannot start" in e.message or "Resource" in e.message, e
            content_of("echo", s.call("echo"))
            assert s.balance() == 98
            s.stop()
            home.ledger_verify()


def test_a_file_that_may_not_grow_is_a_store_that_cannot_be_used():
    with Home({"org": {"starter_tokens": 1000}, "tools": {"echo": echo_tool(1)}}) as home:
        home.cli("billing", "balance")
        size = max(os.stat(os.path.join(home.path, n)).st_size for n in os.listdir(home.path))
        with home.server() as s:
            set_soft(s.pid, resource.RLIMIT_FSIZE, size + 16384)
            ok = 0
            for n in range(400):
                result = s.call("echo", {"n": n})
                if result.get("isError"):
                    assert error_of(result)["code"] == "STORE_UNAVAILABLE", result
                    break
                ok += 1
            else:
                raise AssertionError("the limit was never met")
            s.call("ping")
            # There is room again.
            set_soft(s.pid, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
            content_of("echo", s.call("echo", {"n": "last"}))
            s.stop()
        home.ledger_verify()
        assert home.query("SELECT count(*) FROM entry WHERE kind = 6") == [(ok + 1,)]


def test_a_file_that_may_not_be_made_is_a_store_that_cannot_be_used():
    with Home({"tools": {"echo": echo_tool(1)}}) as home:
        with home.server(popen={"preexec_fn": limited(FSIZE=4096)}) as s:
            s.call_error("echo", code="STORE_UNAVAILABLE")
            s.call("ping")


def signals_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return {name: int(value, 16) for name, value in
                (line.split(":\t") for line in f if line[:6] in ("SigIgn", "SigBlk"))}


def child_of(s, but):
    """A child that has begun to run its own program."""
    def is_running(pid):
        try:
            return os.readlink("/proc/%d/exe" % pid) != os.readlink("/proc/%d/exe" % s.pid)
        except OSError:
            return False

    def running():
        with open("/proc/%d/task/%d/children" % (s.pid, s.pid), encoding="ascii") as f:
            return [pid for pid in map(int, f.read().split()) if pid not in but and is_running(pid)]

    until(running, 20)
    return running()[0]


def test_children_have_no_signal_ignored_or_blocked_that_we_have():
    hostile = {"preexec_fn": lambda: [signal.signal(n, signal.SIG_IGN)
                                      for n in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)]
               and signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))}
    config = {"upstreams": {"up": {"command": ["/bin/sleep", "60"], "prices": ANY}}}
    with Home(config) as home, home.server(popen=hostile) as s:
        s.send("tools/list")
        s.call("ping")
        child = child_of(s, ())
        for which in ("SigIgn", "SigBlk"):  # those from 32 on are libc's own
            assert not signals_of(child)[which] & 0x7fffffff, signals_of(child)
        ours = signals_of(s.pid)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            assert ours["SigIgn"] & 1 << number - 1, ours
        # Its end is noticed, although who started us did not care for theirs: the other handshake
        # is tried with another child, and then it is given up.
        os.kill(child, signal.SIGKILL)
        os.kill(child_of(s, (child,)), signal.SIGKILL)
        s.until(lambda: "signal 9" in s.err_text(), 15)


def test_signals_that_mean_nothing_to_us_do_not_end_it():
    with Home({"tools": {"slow": echo_tool(1, delay_ms=300)}}) as home, home.server() as s:
        s.request("server/discover")
        for number in (signal.SIGALRM, signal.SIGPIPE, signal.SIGXFSZ):
            s.signal(number)
        id = s.send_call("slow")
        for _ in range(20):
            s.signal(signal.SIGALRM)
            s.call("get_token_balance")
        assert usage_of(s.wait(id))["tokens"] == 1


def test_processor_time_that_is_over_ends_it_as_sigterm_does():
    with Home({"tools": {"endless": echo_tool(30, delay_ms=25000)}}) as home:
        s = home.server()
        s.send_call("endless")
        while s.call_ok("get_token_balance")["held_tokens"] != 30:
            pass
        s.signal(signal.SIGXCPU)
        assert s.wait_exit(10) == 0, s.err_text()
        s.check_healthy()
        s.dispose()
        home.ledger_verify()
        assert home.query("SELECT count(*) FROM hold") == [(0,)]


def test_a_list_of_10000_tools_writes_a_page_of_log():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump([{"name": "tool %d" % n if n % 3 else "t" * 70 + str(n),
                    "inputSchema": {"type": "object"}} for n in range(10000)], f)
        f.flush()
        with Home({"upstreams": {"up": upstream("--list", f.name)}}) as home, home.server() as s:
            tools_of(s)
            said = s.err_text()
            assert len(said) < 8192, (len(said), said[:2000])
            assert "left_out" in said and "more=" in said, said


def test_a_watchdog_that_is_no_number_is_refused():
    with Home() as home:
        for text in ("0", "-1", "x", "1.5", "99999999999999999999"):
            run = home.cli("tools", status=1, env={"FAREBOX_WATCHDOG_FATAL_MS": text})
            assert "FAREBOX_WATCHDOG_FATAL_MS" in run.err, run.err


main()
