#!/usr/bin/env python3
"""The harness itself, against a stand-in for farebox: it must notice what it is there to notice."""

import contextlib
import datetime
import os
import sqlite3
import subprocess
import sys
import tempfile

import at_time
import json_schema
import ledger_audit
from farebox_test import TREE, Company, Gone, Home, RpcError, Server, main, wait_for_a_whole

STAND_IN = r'''#!/usr/bin/env python3
import json, os, signal, sys

def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()

def answer(request):
    params = request.get("params", {})
    if request["method"] == "tools/call" and params["name"] == "ping":
        found = {"ok": True, "name": "farebox", "version": "0.1.0"}
        return {"content": [{"type": "text", "text": json.dumps(found)}], "structuredContent": found,
                "_meta": {"call": "call_" + os.urandom(16).hex()}}
    if request["method"] == "tools/call" and params["name"] == "crash":
        sys.stderr.write("x.c:1: runtime error: oops\n")
        sys.stderr.flush()
        return {}
    if request["method"] == "initialize":
        return {"protocolVersion": params["protocolVersion"], "env": sorted(os.environ)}
    return None

if sys.argv[1] == "ledger":
    sys.exit(1)
if sys.argv[1] == "serve-port":
    print("listening 4711", flush=True)
    signal.pause()
late = []
for line in sys.stdin:
    request = json.loads(line)
    if request["method"] == "exit":
        sys.exit(3)
    if request["method"] == "late":
        late.append(request["id"])
        if len(late) == 2:
            for id in reversed(late):
                say({"id": id, "result": {"late": id}})
    elif "id" in request:
        result = answer(request)
        if result is None:
            say({"id": request["id"], "error": {"code": -32601, "message": "no"}})
        else:
            say({"id": request["id"], "result": result})
'''


@contextlib.contextmanager
def stand_in(config=None):
    with tempfile.TemporaryDirectory(prefix="farebox-test-") as folder:
        path = os.path.join(folder, "farebox")
        with open(path, "w", encoding="utf-8") as f:
            f.write(STAND_IN)
        os.chmod(path, 0o755)
        before = {name: os.environ.get(name) for name in ("FAREBOX_BIN", "FAREBOX_FAKES")}
        os.environ.update(FAREBOX_BIN=path, FAREBOX_FAKES=folder)
        try:
            with Home(config) as home:
                yield home
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def raises(kind, function, *args, **more):
    try:
        function(*args, **more)
    except kind as e:
        return e
    raise AssertionError("no %s" % kind.__name__)


def test_answers_are_found_by_id_in_any_order():
    with stand_in() as home, home.server() as s:
        first, second = s.send("late"), s.send("late")
        assert s.wait(first) == {"late": first}
        assert s.wait(second) == {"late": second}


def test_each_era_speaks_as_its_clients_do():
    with stand_in() as home:
        with home.server(era="legacy") as s:
            assert s.initialized["protocolVersion"] == "2025-11-25"
            assert "FAREBOX_STORE" in s.initialized["env"]
            assert "USER" not in s.initialized["env"]
        with home.server(era="modern") as s:
            assert s.call_ok("ping")["ok"] is True
            assert s.params({})["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"


def test_an_rpc_error_is_raised():
    with stand_in() as home, home.server() as s:
        assert raises(RpcError, s.request, "nonsense").code == -32601


def test_a_silent_server_is_not_waited_for_longer_than_said():
    with stand_in() as home, home.server() as s:
        raises(TimeoutError, s.request, "late", timeout=0.1)


def test_an_end_in_between_is_noticed():
    with stand_in() as home:
        s = Server(home)
        raises(Gone, s.request, "exit")
        raises(AssertionError, s.stop)
        s.dispose()


def test_a_sanitizer_that_spoke_fails_the_test():
    with stand_in() as home:
        s = Server(home)
        s.call("crash")
        raises(AssertionError, s.stop)
        s.dispose()


def test_signals_end_it_and_the_status_says_so():
    with stand_in() as home:
        assert Server(home).kill9() == -9
        s = Server(home)
        s.terminate()
        assert s.wait_exit() == -15
        s.dispose()


def test_much_input_does_not_block_the_one_who_sends():
    with stand_in() as home, home.server() as s:
        ids = [s.send("x" * 1000) for _ in range(2000)]
        for id in ids:
            raises(RpcError, s.wait, id)


def test_a_command_that_fails_is_noticed():
    with stand_in() as home:
        raises(AssertionError, home.ledger_verify)


def test_a_stand_in_company_says_where_it_listens():
    with stand_in():
        with Company("serve-port", program="farebox") as company:
            assert company.url == "http://127.0.0.1:4711"


def test_a_schema_refuses_what_does_not_fit():
    schema = {
        "type": "object", "required": ["a"], "additionalProperties": False,
        "properties": {"a": {"type": "integer", "minimum": 1}, "b": {"$ref": "#/$defs/b"}},
        "$defs": {"b": {"type": ["string", "null"], "pattern": "^x"}},
    }
    for value in ({"a": 1}, {"a": 1.0, "b": None}, {"a": 2, "b": "xy"}):
        assert not json_schema.faults_of(value, schema), value
    for value in ([], {}, {"a": 0}, {"a": True}, {"a": 1.5}, {"a": 1, "b": "y"}, {"a": 1, "c": 1}):
        assert json_schema.faults_of(value, schema), value
    raises(ValueError, json_schema.faults_of, 1, {"type": "integer", "multipelOf": 2})


def make_ledger(path):
    """A starter grant, one call that was charged, one hold that is open."""
    db = sqlite3.connect(path)
    folder = os.path.join(TREE, "schemas", "sql")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".sqlite.sql"):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                db.executescript(f.read())
    org, one, two = b"o" * 16, b"1" * 16, b"2" * 16
    rows = [(1, 5, 1, 1000000, None, None, 0), (5, 1, 2, 50000, one, "echo", 0),
            (6, 2, 3, 50000, one, "echo", 1), (5, 1, 2, 70000, two, "echo", 0)]
    head = bytes(32)
    for seq, (kind, source, target, amount, ref, tool, closing) in enumerate(rows, 1):
        e = ledger_audit.Entry(org, seq, kind, source, target, amount, ref, None, tool, closing, 1,
                               1000 + seq, None, None)
        head = ledger_audit.hash_of(head, e)
        db.execute("INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", e._replace(hash=head))
    db.execute("INSERT INTO hold (id, org, tool, amount_microusd, lease, price_version)"
               " VALUES (?,?,?,?,?,?)", (two, org, "echo", 70000, b"l" * 16, 1))
    db.execute("INSERT INTO wallet (org, available_microusd, held_microusd, seq, head, month, "
               "captured_month_microusd, auto_reload_enabled, auto_reload_threshold_microusd, "
               "auto_reload_amount_microusd) VALUES (?,?,?,?,?,202611,0,0,0,0)",
               (org, 880000, 70000, len(rows), head))
    db.commit()
    return db


def test_the_audit_takes_a_good_ledger_and_refuses_each_fault():
    faults = [
        "UPDATE wallet SET available_microusd = available_microusd + 1",
        "UPDATE wallet SET held_microusd = held_microusd - 1",
        "UPDATE wallet SET head = zeroblob(32)",
        "UPDATE wallet SET seq = 3",
        "UPDATE entry SET at_ms = 0 WHERE seq = 2",
        "UPDATE entry SET amount_microusd = 1 WHERE seq = 3",
        "UPDATE entry SET is_closing = 0 WHERE seq = 3",
        "DELETE FROM entry WHERE seq = 4",
        "DELETE FROM hold",
        "DELETE FROM wallet",
    ]
    with tempfile.TemporaryDirectory(prefix="farebox-test-") as folder:
        for number, fault in enumerate([None] + faults):
            path = os.path.join(folder, "%d.db" % number)
            db = make_ledger(path)
            if fault:
                db.execute("DROP TRIGGER entry_is_never_updated")
                db.execute("DROP TRIGGER entry_is_never_deleted")
                db.execute(fault)
                db.commit()
            db.close()
            found = ledger_audit.audit(path)
            assert bool(found) == bool(fault), (fault, found)


def play(text):
    with stand_in(), tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
        f.write(text)
        f.flush()
        runner = os.path.join(TREE, "tests", "transcripts", "run.py")
        return subprocess.run([sys.executable, runner, f.name], stdout=subprocess.PIPE, text=True)


CALL = '> {"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"ping"}}\n'
REPLY = ('%s {"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"{\\"ok\\": true,'
         ' \\"name\\": \\"farebox\\", \\"version\\": \\"$version\\"}"}],"structuredContent":'
         '{"ok":true,"name":"farebox","version":"$version"},"_meta":{"call":"%s"}}}\n')


def test_a_transcript_that_fits_passes():
    good = "# a comment\n" + CALL % 1 + REPLY % ("<", 1, "$call") + CALL % 2 + REPLY % ("<", 2, "$any")
    run = play(good)
    assert run.returncode == 0 and "1 passed, 0 failed" in run.stdout, run.stdout
    late = '> {"id":%d,"method":"late"}\n'
    done = '~ {"jsonrpc":"2.0","id":%d,"result":{"late":%d}}\n'
    run = play(late % 1 + late % 2 + done % (1, 1) + done % (2, 2))
    assert run.returncode == 0, run.stdout


def test_a_transcript_that_differs_fails():
    for text in (
        CALL % 1 + REPLY % ("<", 2, "$call"),
        CALL % 1 + REPLY.replace("true", "1") % ("<", 1, "$call"),
        CALL % 1 + REPLY.replace('"ok":true,', '') % ("<", 1, "$call"),
        CALL % 1 + REPLY % ("<", 1, "$hash"),
        CALL % 1 + REPLY % ("<", 1, "$call") + CALL % 2 + REPLY % ("<", 2, "$call"),
        CALL % 1 + REPLY % ("<", 1, "$call") + CALL % 2,
        CALL % 1 + CALL % 2 + REPLY % ("~", 1, "$any") + REPLY % ("~", 3, "$any"),
        '> {"method":"exit"}\n',
        CALL % 1 + "no such line\n" + REPLY % ("<", 1, "$call"),
        "! within=week\n" + CALL % 1 + REPLY % ("<", 1, "$call"),
        "",
    ):
        run = play(text)
        assert run.returncode == 1 and "0 passed, 1 failed" in run.stdout, (text, run.stdout)


@contextlib.contextmanager
def variables(**values):
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def date_at(name, is_python):
    """What a program sees that is started at that time, or by a program in Python that was."""
    argv = ["date", "-u", "+%s"]
    if is_python:
        argv = [sys.executable, "-c",
                "import subprocess, sys, time; import at_time, os; time.sleep(0.01);"
                "sys.exit(subprocess.call(%r, env={**os.environ, **at_time.passed_on()}))" % argv]
    argv, environment = at_time.command(name, argv, is_python=is_python)
    environment["PYTHONPATH"] = os.path.join(TREE, "tests", "harness")
    run = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, text=True, timeout=60)
    return int(run.stdout) - int(at_time.instant(name)[0].timestamp())


def test_a_program_sees_the_time_that_it_was_begun_at():
    for name in at_time.INSTANTS:
        assert 0 <= date_at(name, False) < 60, name
    assert 0 <= date_at("kiritimati", True) < 60


def test_a_time_that_cannot_be_had_is_a_fault():
    assert at_time.fault("leap-day") is None
    with variables(PATH="/nonexistent"):
        assert "faketime is missing" in at_time.fault("leap-day")
    with tempfile.TemporaryDirectory(prefix="farebox-test-") as folder:
        # As where the library cannot be loaded: the program runs, in the present.
        path = os.path.join(folder, "faketime")
        with open(path, "w", encoding="utf-8") as f:
            f.write('#!/bin/sh\nshift 3\nexec "$@"\n')
        os.chmod(path, 0o755)
        with variables(PATH=folder + ":" + os.environ["PATH"]):
            assert "the wall clock says" in at_time.fault("leap-day")


def offset_to(text):
    then = datetime.datetime.fromisoformat(text + "+00:00")
    return "%.3f" % (then - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def test_a_day_and_a_month_that_end_are_waited_for():
    for period, begin, end in (("day", "2027-04-29T23:59:59.8", "2027-04-30T00:00:00"),
                               ("month", "2027-12-31T23:59:59.8", "2028-01-01T00:00:00"),
                               ("month", "2028-02-29T23:59:59.8", "2028-03-01T00:00:00"),
                               ("day", "2027-04-29T12:00:00", "2027-04-29T12:00:00")):
        with variables(FAKETIME=offset_to(begin)):
            wait_for_a_whole(period)
            assert at_time.now().isoformat() >= end, (period, begin, at_time.now())


main()
