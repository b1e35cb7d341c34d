#!/usr/bin/env python3
"""The file under a running process: replaced, removed, linked, another program's, open to others.
What was answered for is in the file that is there, and what is refused is not touched."""

import os
import shutil
import sqlite3
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import Home, binary, echo_tool, main, usage_of  # noqa: E402

CONFIG = {"tools": {"echo": echo_tool(10), "slow": echo_tool(10, delay_ms=1500)}}
NOBODY = 65534
APPLICATION_ID = 0x66626f78
BESIDE = ("-wal", "-shm", "-queue", "-lock")


def pay(s, times=1):
    for _ in range(times):
        assert usage_of(s.call("echo", {}))["tokens"] == 10


def back_up(home, to):
    db, copy = sqlite3.connect(home.store), sqlite3.connect(to)
    db.backup(copy)
    copy.close()
    db.close()


def captures(home):
    return home.query("SELECT count(*) FROM entry WHERE kind = 6")[0][0]


def put_copy(home, source):
    """As an operator restores a backup: rm, cp."""
    os.unlink(home.store)
    shutil.copy(source, home.store)


def put_over(home, source):
    shutil.copy(source, home.store + ".new")
    os.rename(home.store + ".new", home.store)


def test_a_store_that_is_replaced_is_left_and_the_new_one_is_charged():
    for replace in (put_copy, put_over):
        with Home(CONFIG) as home, home.server() as s:
            backup = os.path.join(home.path, "backup")
            pay(s, 2)
            back_up(home, backup)
            pay(s, 3)
            replace(home, backup)
            error = s.call_error("echo", {}, code="STORE_UNAVAILABLE")
            assert error["retryable"] is True, error
            pay(s)
            assert s.balance() == 70
            assert captures(home) == 3, captures(home)
            assert "event=entries_missing" in s.err_text(), s.err_text()
            s.stop()
            home.ledger_verify()


def test_reads_do_not_see_a_store_that_was_replaced():
    with Home(CONFIG) as home, home.server() as s:
        backup = os.path.join(home.path, "backup")
        pay(s)
        back_up(home, backup)
        pay(s, 3)
        put_copy(home, backup)
        s.call_error("get_token_balance", {}, code="STORE_UNAVAILABLE")
        assert s.balance() == 90


def test_a_call_whose_hold_is_in_the_old_store_is_withheld():
    with Home(CONFIG) as home, home.server() as s:
        backup = os.path.join(home.path, "backup")
        pay(s)
        slow = s.send_call("slow", {})
        s.call_ok("ping")
        while not home.query("SELECT count(*) FROM hold")[0][0]:
            pass
        # With the hold and its lease in it, too: they are still another ledger's.
        back_up(home, backup)
        put_copy(home, backup)
        s.call_error("echo", {}, code="STORE_UNAVAILABLE")
        pay(s)
        error = s.wait(slow)["_meta"]["farebox/error"]["error"]
        assert error["code"] == "STORE_UNAVAILABLE" and error["executed"] is True, error
        assert error["retryable"] is False, error
        pay(s)
        assert captures(home) == 3, captures(home)


def test_a_store_that_is_gone_is_not_made_anew_under_a_process():
    with Home(CONFIG) as home, home.server() as s:
        pay(s)
        os.rename(home.store, home.store + ".away")
        for _ in range(3):
            error = s.call_error("echo", {}, code="STORE_UNAVAILABLE")
        assert "put it back" in error["message"], error
        assert not os.path.exists(home.store)
        with open(home.store, "wb"):
            pass
        error = s.call_error("echo", {}, code="STORE_UNAVAILABLE")
        assert "empty" in error["message"] and os.path.getsize(home.store) == 0, error
        os.unlink(home.store)
        os.rename(home.store + ".away", home.store)
        pay(s)
        s.call_ok("ping")


def test_a_backup_that_is_still_being_copied_is_not_opened():
    with Home(CONFIG) as home, home.server() as s:
        backup = os.path.join(home.path, "backup")
        pay(s)
        back_up(home, backup)
        with open(backup, "rb") as f:
            data = f.read()
        os.unlink(home.store)
        with open(home.store, "wb") as f:
            f.write(data[:8192])
            f.flush()
            for _ in range(2):
                s.call_error("echo", {}, code="STORE_UNAVAILABLE")
            f.write(data[8192:])
        pay(s)
        assert captures(home) == 2


def test_what_is_answered_for_is_kept_when_files_beside_the_store_go():
    for gone in (["-wal"], ["-shm"], ["-queue"], ["-lock"], ["-queue", "-lock"], ["-wal", "-shm"],
                 list(BESIDE)):
        with Home(CONFIG) as home, home.server() as a, home.server() as b:
            try:
                pay(a)
                pay(b)
                for suffix in gone:
                    os.unlink(home.store + suffix)
                pay(a)
                pay(b)
                with home.server() as c:
                    pay(c)
                    pay(a)
                    pay(c)
                    pay(b)
                    assert c.balance() == 20
                for s in (a, b):
                    s.kill9()
                home.ledger_verify()
                assert captures(home) == 8, captures(home)
            except (AssertionError, TimeoutError) as e:
                raise AssertionError("without %s: %s" % (gone, e)) from e


def test_what_stood_in_a_removed_log_survives_the_process():
    with Home(CONFIG) as home, home.server() as a:
        pay(a, 2)
        os.unlink(home.store + "-wal")
        pay(a)
        a.kill9()
        home.ledger_verify()
        assert captures(home) == 3


def test_a_second_process_waits_until_a_removed_log_is_saved():
    with Home(CONFIG) as home, home.server() as a:
        pay(a, 2)
        os.unlink(home.store + "-wal")
        with home.server() as b:
            pay(b)  # when a has looked after its leases
            pay(a)
            assert b.balance() == 60
        a.kill9()
        home.ledger_verify()
        assert captures(home) == 4


def files(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path, "rb") as f:
            found[name] = (f.read(), stat.S_IMODE(os.lstat(path).st_mode))
    return found


def database(path, *statements, leave_log=False):
    db = sqlite3.connect(path)
    for sql in statements:
        db.execute(sql)
    db.commit()
    if leave_log:
        # As after a crash: with its log, which has the tables, beside it.
        for suffix in ("", "-wal"):
            shutil.copy(path + suffix, path + suffix + ".kept")
        db.close()
        for suffix in ("", "-wal"):
            os.rename(path + suffix + ".kept", path + suffix)
    else:
        db.close()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


FOREIGN = {
    "a text": lambda p: write(p, b"Dear diary\n" * 50),
    "one byte": lambda p: write(p, b"S"),
    "a header alone": lambda p: write(p, b"SQLite format 3\0" + bytes(84)),
    "tables": lambda p: database(p, "CREATE TABLE notes (x)"),
    "a table of ours by name": lambda p: database(p, "CREATE TABLE migration (id, applied)",
                                                  "CREATE TABLE org (x)"),
    "an application id": lambda p: database(p, "PRAGMA application_id = 42"),
    "a user version": lambda p: database(p, "PRAGMA user_version = 3"),
    "a log": lambda p: database(p, "PRAGMA journal_mode = WAL", "CREATE TABLE notes (x)"),
    "tables in the log alone": lambda p: database(p, "PRAGMA journal_mode = WAL",
                                                  "CREATE TABLE notes (x)", leave_log=True),
}


def test_another_programs_file_is_refused_and_not_touched():
    for name, make in FOREIGN.items():
        with Home(CONFIG) as home:
            folder = os.path.join(home.path, "theirs")
            os.mkdir(folder)
            path = os.path.join(folder, "app.db")
            make(path)
            os.chmod(path, 0o644)
            before = files(folder)
            env = {"FAREBOX_STORE": path}
            with home.server(env=env) as s:
                result = s.call("echo", {})
                assert result.get("isError"), (name, result)
                error = result["_meta"]["farebox/error"]["error"]
                assert error["code"] == "STORE_BROKEN" and not error["retryable"], (name, error)
                assert "FAREBOX_STORE" in error["message"], (name, error)
            for command in (("doctor",), ("ledger", "verify"), ("orgs", "list"),
                            ("grant", "--tokens", "5")):
                home.cli(*command, env=env, status=1 if command[0] != "grant" else None)
            assert files(folder) == before, (name, list(files(folder)))


def test_a_store_without_a_mark_is_ours_and_is_marked():
    with Home(CONFIG) as home:
        with home.server() as s:
            pay(s)
            assert home.query("PRAGMA application_id") == [(APPLICATION_ID,)]
        for leave_log in (False, True):
            home.change("PRAGMA application_id = 0")
            if leave_log:
                # A young store that was killed: its tables stand in the log alone.
                os.unlink(home.store)
                with home.server() as s:
                    pay(s)
                    s.kill9()
                with open(home.store, "r+b") as f:
                    f.seek(68)
                    f.write(bytes(4))
            with home.server() as s:
                pay(s)
            with open(home.store, "rb") as f:
                assert f.read(72)[68:] == APPLICATION_ID.to_bytes(4, "big"), leave_log
            home.ledger_verify()


def test_a_link_is_the_same_store():
    with Home(CONFIG) as home:
        os.mkdir(os.path.join(home.path, "else"))
        os.symlink(home.path, os.path.join(home.path, "else", "folder"))
        os.symlink(home.store, os.path.join(home.path, "else", "link.db"))
        with home.server() as first:
            pay(first)
            for path in ("else/link.db", "else/folder/wallet.db", "else/../wallet.db",
                         "./wallet.db"):
                with home.server(env={"FAREBOX_STORE": path}) as s:
                    pay(s)
            assert first.balance() == 50
        assert sorted(os.listdir(os.path.join(home.path, "else"))) == ["folder", "link.db"]
        home.ledger_verify()


def test_a_link_that_is_turned_elsewhere_is_another_store():
    with Home(CONFIG) as home:
        link = os.path.join(home.path, "link.db")
        other = os.path.join(home.path, "other.db")
        with home.server(env={"FAREBOX_STORE": other}) as s:
            pay(s, 3)
        with home.server() as s:
            pay(s)
        os.symlink(home.store, link)
        with home.server(env={"FAREBOX_STORE": link}) as s:
            assert s.balance() == 90
            os.unlink(link)
            os.symlink(other, link)
            s.call_error("echo", {}, code="STORE_UNAVAILABLE")
            assert s.balance() == 70


def test_a_link_to_nothing_is_refused():
    with Home(CONFIG) as home:
        os.symlink(os.path.join(home.path, "nowhere.db"), home.store)
        with home.server() as s:
            s.call_error("echo", {}, code="STORE_BROKEN")
        assert sorted(os.listdir(home.path)) == ["farebox.json", "wallet.db"]


def test_a_second_name_is_refused():
    with Home(CONFIG) as home:
        second = os.path.join(home.path, "second.db")
        with home.server() as s:
            pay(s)
            os.link(home.store, second)
            error = s.call_error("echo", {}, code="STORE_BROKEN")
            assert "hard link" in error["message"], error
            s.call_error("get_token_balance", {}, code="STORE_BROKEN")
            with home.server(env={"FAREBOX_STORE": second}) as other:
                error = other.call_error("echo", {}, code="STORE_BROKEN")
                assert "names" in error["message"], error
            os.unlink(second)
            pay(s)
            assert s.balance() == 80
        assert not [n for n in os.listdir(home.path) if n.startswith("second")]
        home.ledger_verify()


def test_modes_are_put_right():
    with Home(CONFIG) as home:
        with home.server() as s:
            pay(s)
            names = [home.store] + [home.store + suffix for suffix in BESIDE]
            for name in names:
                os.chmod(name, 0o666)
            run = home.cli("doctor", status=1)
            assert run.out.count("chmod 600") == len(names), run.out
            for name in names:
                assert stat.S_IMODE(os.stat(name).st_mode) == 0o666, name
        with home.server() as s:
            pay(s)
            for name in names:
                assert stat.S_IMODE(os.stat(name).st_mode) == 0o600, name
        home.cli("doctor")


def test_modes_that_are_not_ours_to_change_are_refused():
    if os.geteuid() != 0:
        return
    with Home(CONFIG) as home:
        with home.server() as s:
            pay(s)
        program = os.path.join(home.path, "farebox")
        shutil.copy(binary(), program)
        for name in os.listdir(home.path):
            os.chmod(os.path.join(home.path, name), 0o666)
        os.chmod(program, 0o755)
        os.chmod(home.path, 0o777)
        before = files(home.path)
        with home.server(program=program,
                         popen={"user": NOBODY, "group": NOBODY, "extra_groups": []}) as s:
            error = s.call_error("echo", {}, code="STORE_BROKEN")
            assert "chmod 600" in error["message"], error
        assert files(home.path) == before


def test_a_folder_that_others_may_write_is_told():
    with Home(CONFIG) as home:
        with home.server() as s:
            pay(s)
        os.chmod(home.path, 0o777)
        assert "store.folder" in home.cli("doctor", status=1).out
        os.chmod(home.path, 0o1777)
        assert "store.folder" not in home.cli("doctor").out


def test_looking_makes_no_store():
    with Home(CONFIG) as home:
        for command in (("doctor",), ("ledger", "verify"), ("ledger", "export")):
            for path in ("wallet.db", "deep/er/wallet.db"):
                run = home.cli(*command, env={"FAREBOX_STORE": path}, status=None)
                assert command == ("doctor",) or run.status == 1, (command, run.out, run.err)
                assert os.listdir(home.path) == ["farebox.json"], (command, path)


def test_doctor_changes_nothing():
    with Home(CONFIG) as home:
        with home.server() as s:
            pay(s)
            s.kill9()
        before = {n: v for n, v in files(home.path).items() if not n.endswith("-shm")}
        home.cli("doctor")
        after = {n: v for n, v in files(home.path).items() if not n.endswith("-shm")}
        assert before == after, [n for n in after if after[n] != before.get(n)]


def test_a_backup_is_restored_while_nobody_runs():
    """The log of the store that was there is not taken for the backup's."""
    with Home(CONFIG) as home:
        backup = os.path.join(home.path, "backup")
        with home.server() as s:
            pay(s)
            back_up(home, backup)
            pay(s, 4)
            s.kill9()
        put_over(home, backup)
        with home.server() as s:
            assert s.balance() == 90
            pay(s)
        assert captures(home) == 2
        assert [n for n in os.listdir(home.path) if "-replaced-" in n], os.listdir(home.path)
        home.ledger_verify()


def test_a_folder_that_is_copied_keeps_its_log():
    with Home(CONFIG) as home:
        there = os.path.join(home.path, "there")
        os.mkdir(there)
        with home.server() as s:
            pay(s, 3)
            s.kill9()
        for suffix in ("",) + BESIDE:
            shutil.copy(home.store + suffix, there)
        with home.server(env={"FAREBOX_STORE": os.path.join(there, "wallet.db")}) as s:
            assert s.balance() == 70
            pay(s)


main()
