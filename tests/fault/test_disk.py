#!/usr/bin/env python3
"""Disks that are full or fail, files that go away: no store, no service, nothing charged, nothing broken,
and it goes on when there is room again."""

import contextlib
import os
import random
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import ledger_audit  # noqa: E402
from farebox_test import Home, Server, binary, echo_tool, error_of, main, usage_of  # noqa: E402

CONFIG = {"org": {"starter_tokens": 1000},
          "tools": {"now": echo_tool(1), "slow": echo_tool(1, delay_ms=200)}}
# Longer than a call may take.
PATIENCE_S = 58
MOUNT = 'mount -t tmpfs -o size=16m none "$1" && shift && exec "$@"'


def refused(result):
    """The error of a call for which there was no store."""
    error = error_of(result)
    assert error["code"] == "STORE_UNAVAILABLE" and error["http_status"] == 503, error
    return error


class SmallDisk:
    """A server whose store is on a disk of 16 MiB, in a mount namespace of its own."""

    def __init__(self, home):
        disk = os.path.join(home.path, "disk")
        os.makedirs(disk, exist_ok=True)
        home.env["FAREBOX_STORE"] = os.path.join(disk, "wallet.db")
        argv = ("-rm", "sh", "-c", MOUNT, "sh", disk, binary(), "mcp")
        self.server = Server(home, program="unshare", argv=argv)
        self.server.request("server/discover")
        self.folder = "/proc/%d/root%s" % (self.server.pid, disk)

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *how):
        self.server.__exit__(*how)

    @staticmethod
    def is_possible():
        with contextlib.suppress(OSError):
            run = subprocess.run(["unshare", "-rm", "sh", "-c", MOUNT, "sh", "/mnt", "true"],
                                 stderr=subprocess.DEVNULL)
            return run.returncode == 0
        return False

    def fill(self, all_but=0):
        with open(self.folder + "/filler", "wb", buffering=0) as f:
            with contextlib.suppress(OSError):
                while True:
                    f.write(bytes(65536))
            f.truncate(max(0, f.tell() - all_but))

    def empty(self):
        os.unlink(self.folder + "/filler")

    def audit(self):
        """Of a copy: the files are beyond SQLite's reach by this path."""
        with contextlib.ExitStack() as stack:
            home = stack.enter_context(Home())
            for name in os.listdir(self.folder):
                if name.startswith("wallet.db"):
                    shutil.copy(os.path.join(self.folder, name), home.path)
            faults = ledger_audit.audit(os.path.join(home.path, "wallet.db"))
            assert not faults, faults
            home.cli("ledger", "verify")


def test_a_full_disk_stops_charging_and_recovers():
    if not SmallDisk.is_possible():
        print("skipped: no mount namespace can be made here")
        return
    with Home(CONFIG) as home, SmallDisk(home) as disk:
        s = disk.server
        s.call("now", {"n": 0})
        disk.fill()
        for n in range(5):
            assert refused(s.call("now", {"full": n}))["retryable"] is True
        refused(s.call("buy_tokens", {"amount_usd": 5}))
        assert s.balance() == 999
        disk.empty()
        assert usage_of(s.call("now", {"n": 1}))["tokens"] == 1
        assert s.call_ok("buy_tokens", {"amount_usd": 5})["status"] == "succeeded"
        assert s.balance() == 1498
        disk.audit()


def test_a_disk_that_fills_up_under_load():
    # Again and again, with a little less room: it fails in the middle of this and that.
    if not SmallDisk.is_possible():
        print("skipped: no mount namespace can be made here")
        return
    with Home(CONFIG) as home, SmallDisk(home) as disk:
        s = disk.server
        s.balance()
        answered = 0
        for room in range(0, 40 * 4096, 4096):
            disk.fill(all_but=room)
            ids = [s.send_call("now", {"room": room, "n": n}) for n in range(6)]
            ids.append(s.send_call("slow", {"room": room}))
            for id in ids:
                result = s.wait(id, PATIENCE_S)
                if result.get("isError"):
                    refused(result)
                else:
                    answered += usage_of(result)["tokens"]
            disk.empty()
        while s.call_ok("get_token_balance")["held_tokens"]:
            pass
        assert 0 < answered < 40 * 7, answered
        assert s.balance() == 1000 - answered, (s.balance(), answered)
        disk.audit()


def test_a_new_store_on_a_full_disk():
    if not SmallDisk.is_possible():
        print("skipped: no mount namespace can be made here")
        return
    for room in (0, 2 * 4096, 8 * 4096, 20 * 4096):
        with Home(CONFIG) as home, SmallDisk(home) as disk:
            disk.fill(all_but=room)
            refused(disk.server.call("now", {"n": 0}))
            disk.empty()
            assert usage_of(disk.server.call("now", {"n": 1}))["tokens"] == 1
            assert disk.server.balance() == 999
            disk.audit()


def limit(s, size):
    """Files may grow so far and no further: a write beyond fails as on a broken disk."""
    resource.prlimit(s.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def limited_server(home):
    # Python ignores SIGXFSZ; unrestored, so does the server, and gets EFBIG instead.
    return home.server(popen={"restore_signals": False})


def test_writes_that_fail_charge_nothing():
    # A hold that fails, and captures that fail. Where the outcome of a commit is not known, the store
    # is asked again, at most as long as a call may take.
    with Home(CONFIG) as home, Home(CONFIG) as home2:
        with limited_server(home) as s, limited_server(home2) as s2:
            s.call("now", {"n": 0})
            s2.call("now", {"n": 0})
            slow = [s2.send_call("slow", {"n": n}) for n in range(2)]
            while s2.call_ok("get_token_balance")["held_tokens"] != 2:
                pass
            for server, its in ((s, home), (s2, home2)):
                limit(server, os.path.getsize(its.store + "-wal"))
            holds = [s.send_call("now", {"n": n}) for n in range(1, 4)]
            for id in holds:
                assert refused(s.wait(id, PATIENCE_S))["retryable"] is True
            for id in slow:
                result = s2.wait(id, PATIENCE_S)
                error = refused(result)
                assert error["executed"] is True and error["retryable"] is False, error
                assert usage_of(result)["tokens"] == 0, result
            assert s.balance() == 999
            for server in (s, s2):
                limit(server, resource.RLIM_INFINITY)
                while server.call_ok("get_token_balance")["held_tokens"]:
                    pass
                assert server.balance() == 999
                assert usage_of(server.call("now", {"n": 9}))["tokens"] == 1
        home.ledger_verify()
        home2.ledger_verify()


def test_a_disk_that_fails_now_and_then_loses_no_token():
    # Limits fall between any two writes: holds, captures and releases fail, and come back.
    rng = random.Random(3)
    config = {"org": {"starter_tokens": 1000},
              "tools": {"now": echo_tool(1), "soon": echo_tool(1, delay_ms=3)}}
    with Home(config) as home, limited_server(home) as s:
        s.balance()
        answered = 0
        for turn in range(60):
            limit(s, os.path.getsize(home.store + "-wal") + rng.randrange(0, 60000))
            ids = [s.send_call("now" if n % 2 else "soon", {"turn": turn, "n": n}) for n in range(6)]
            for id in ids:
                result = s.wait(id, PATIENCE_S)
                if result.get("isError"):
                    refused(result)
                else:
                    answered += usage_of(result)["tokens"]
            limit(s, resource.RLIM_INFINITY)
        while s.call_ok("get_token_balance")["held_tokens"]:
            pass
        assert 0 < answered < 360, answered
        assert s.balance() == 1000 - answered, (s.balance(), answered)
        s.stop()
        home.ledger_verify()


def test_a_store_that_is_removed_while_it_is_used():
    # Its tokens are gone with it, as the user wished; but nothing is mixed or torn, and no call is
    # charged in a file that nobody will find.
    with Home(CONFIG) as home, home.server() as s:
        s.call("now", {"n": 0})
        for name in ("", "-wal", "-shm"):
            os.unlink(home.store + name)
        for n in range(20):
            refused(s.call("now", {"n": n}))
        with home.server() as other:
            assert other.balance() == 1000
            for n in range(20):
                assert usage_of(other.call("now", {"n": n}))["tokens"] == 1
                assert usage_of(s.call("now", {"m": n}))["tokens"] == 1
            assert other.balance() == 960
            home.ledger_verify()
        s.stop()
        home.ledger_verify()


def test_only_the_main_file_is_removed():
    with Home(CONFIG) as home, home.server() as s:
        s.call("now", {"n": 0})
        os.unlink(home.store)
        with home.server() as other:
            for n in range(20):
                s.call("now", {"m": n})
                result = other.call("now", {"n": n})
                if result.get("isError"):
                    refused(result)
        s.stop()
    # And when it was not in use.
    with Home(CONFIG) as home:
        with home.server() as s:
            s.call("now", {"n": 0})
        os.unlink(home.store)
        with home.server() as s:
            assert s.balance() == 1000
        home.ledger_verify()


def test_a_store_that_is_replaced_by_another():
    with Home(CONFIG) as home, Home(CONFIG) as donor, home.server() as s:
        s.call("now", {"n": 0})
        with donor.server() as d:
            for n in range(10):
                d.call("now", {"n": n})
        donor.change("PRAGMA wal_checkpoint(TRUNCATE)")
        os.replace(donor.store, home.store)
        for name in ("-wal", "-shm"):
            os.unlink(home.store + name)
        refused(s.call("now", {"m": -1}))
        for n in range(20):
            assert usage_of(s.call("now", {"m": n}))["tokens"] == 1
        s.stop()
        home.ledger_verify()
        with home.server() as other:
            assert other.balance() == 970


def test_the_lock_files_are_removed_while_they_are_used():
    # Two that hold different files with one name no longer take turns; SQLite's own locks remain.
    with Home(CONFIG) as home, home.server() as s:
        s.call("now", {"n": 0})
        for name in ("-lock", "-queue"):
            os.unlink(home.store + name)
        with home.server() as other:
            sent = []
            for n in range(60):
                sent.append((s, s.send_call("now", {"s": n})))
                sent.append((other, other.send_call("now", {"o": n})))
            for server, id in sent:
                result = server.wait(id)
                if result.get("isError"):
                    refused(result)
        s.stop()
        home.ledger_verify()


main()
