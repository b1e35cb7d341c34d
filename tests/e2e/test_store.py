#!/usr/bin/env python3
"""A store that cannot be used: no store, no service, and nobody is charged; it recovers by itself."""

import os
import shutil
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, binary, echo_tool, main, usage_of  # noqa: E402

CONFIG = {"tools": {"echo": echo_tool(30)}}
NOBODY = 65534


def check_refused(s, code="STORE_BROKEN"):
    """What needs the store says so; the rest works."""
    for tool, arguments in (("echo", {"a": 1}), ("get_token_balance", {}), ("check_balance", {}),
                            ("buy_tokens", {"amount_usd": 5}), ("get_usage", {}),
                            ("set_billing_preferences", {"budget_limit": 5}), ("get_api_key", {})):
        error = s.call_error(tool, arguments, code=code)
        assert error["http_status"] == 503, (tool, error)
        assert error["retryable"] is (code == "STORE_UNAVAILABLE"), (tool, error)
    s.call_ok("ping")
    s.request("tools/list")
    s.request("server/discover")


def check_works(s, tokens=100):
    assert s.balance() == tokens
    assert usage_of(s.call("echo", {}))["tokens"] == 30


def put(home, data):
    with open(home.store, "wb") as f:
        f.write(data)


def clear(home):
    for name in os.listdir(home.path):
        path = os.path.join(home.path, name)
        if name.startswith("wallet.db"):
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)


def test_a_store_that_is_none_is_refused_and_may_be_mended():
    damages = {
        "a folder": lambda home: os.mkdir(home.store),
        "a text": lambda home: put(home, b"This is not a wallet.\n" * 100),
        "zeros": lambda home: put(home, bytes(8192)),
        "a pipe": lambda home: os.mkfifo(home.store),
        "another's database": lambda home: home.change("CREATE TABLE org (colour TEXT)"),
    }
    for name, damage in damages.items():
        with Home(CONFIG) as home:
            damage(home)
            with home.server() as s:
                try:
                    check_refused(s)
                    clear(home)
                    check_works(s)
                except (AssertionError, TimeoutError) as e:
                    raise AssertionError("the store is %s: %s" % (name, e)) from e
            home.ledger_verify()


def test_an_empty_file_is_a_new_store():
    with Home(CONFIG) as home:
        put(home, b"")
        with home.server() as s:
            check_works(s)
        home.ledger_verify()


def test_a_place_where_no_store_can_be():
    with Home(CONFIG) as home:
        put(home, b"")
        for path in (home.store + "/below/a/file", "/proc/1/nowhere/wallet.db",
                     home.path + "/" + "x" * 300):
            with home.server(env={"FAREBOX_STORE": path}) as s:
                check_refused(s)


def test_a_store_that_was_cut_short_or_scribbled_upon():
    with Home(CONFIG) as home:
        with home.server() as s:
            check_works(s)
        db = sqlite3.connect(home.store)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        with open(home.store, "rb") as f:
            whole = f.read()
        page = 2048
        damages = {"half of it": whole[:len(whole) // 2 // page * page],
                   "a page and a half": whole[:page + page // 2],
                   "all but the last page": whole[:-page]}
        for n in range(1, len(whole) // page, 3):
            damages["page %d is noise" % n] = (whole[:n * page] + b"\xa5" * page
                                               + whole[(n + 1) * page:])
        for name, data in damages.items():
            clear(home)
            put(home, data)
            with home.server() as s:
                # Some of the damage may be where nobody looks. What counts: no crash, no free ride.
                for tool in ("echo", "get_token_balance", "get_usage", "list_invoices"):
                    result = s.call(tool)
                    if result.get("isError"):
                        error = result["_meta"]["farebox/error"]["error"]
                        assert error["code"].startswith("STORE_"), (name, tool, error)
                    elif tool == "echo":
                        assert usage_of(result)["tokens"] == 30, (name, result)
                s.call_ok("ping")


def test_a_store_of_a_newer_program_is_left_alone():
    with Home(CONFIG) as home:
        with home.server() as s:
            check_works(s)
        home.change("INSERT INTO migration (version, name, at_ms) VALUES (9000, 'later', 0)")
        with home.server() as s:
            check_refused(s)
            assert "newer" in s.call_error("echo")["message"], s.call_error("echo")
        assert home.cli("billing", "balance", status=None).status == 1
        home.change("DELETE FROM migration WHERE version = 9000")
        with home.server() as s:
            check_works(s, 70)
        home.ledger_verify()


def as_nobody(home, mode_file, mode_folder):
    """A server that may not do everything, also where the tests run as root."""
    program, popen = None, None
    if os.geteuid() == 0:
        program = os.path.join(home.path, "farebox")
        shutil.copy(binary(), program)
        for name in os.listdir(home.path):
            os.chown(os.path.join(home.path, name), NOBODY, NOBODY)
        os.chown(home.path, NOBODY, NOBODY)
        popen = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    if os.path.exists(home.store):
        os.chmod(home.store, mode_file)
    os.chmod(home.path, mode_folder)
    return home.server(program=program, popen=popen)


def test_a_store_that_may_not_be_read():
    with Home(CONFIG) as home:
        with home.server() as s:
            check_works(s)
        with as_nobody(home, 0o000, 0o700) as s:
            check_refused(s)
            os.chmod(home.store, 0o600)
            check_works(s, 70)
        home.ledger_verify()


def test_a_store_that_may_not_be_written():
    with Home(CONFIG) as home:
        with home.server() as s:
            check_works(s)
        with as_nobody(home, 0o400, 0o700) as s:
            s.call_error("echo", {"a": 1}, code="STORE_BROKEN")
            s.call_error("buy_tokens", {"amount_usd": 5}, code="STORE_BROKEN")
        os.chmod(home.store, 0o600)
        home.ledger_verify()


def test_a_folder_that_may_not_be_written():
    with Home(CONFIG) as home:
        with as_nobody(home, 0o600, 0o500) as s:
            check_refused(s)
            os.chmod(home.path, 0o700)
            check_works(s)
        home.ledger_verify()


def test_a_database_server_is_no_path():
    # What cannot be served is refused by name; no folder postgresql: appears.
    with Home(CONFIG) as home:
        address = "postgresql://nobody@127.0.0.1:1/none"
        run = home.cli("billing", "balance", status=None, env={"FAREBOX_STORE": address})
        assert run.status == 1, run.out
        assert sorted(os.listdir(home.path)) == ["farebox.json"], os.listdir(home.path)


def test_a_relative_store_is_where_it_was_said_to_be():
    with Home(CONFIG) as home:
        with home.server(env={"FAREBOX_STORE": "here.db"}) as s:
            check_works(s)
        assert os.path.exists(os.path.join(home.path, "here.db"))
        assert sqlite3.connect(os.path.join(home.path, "here.db")).execute(
            "SELECT count(*) FROM org").fetchone() == (1,)


main()
