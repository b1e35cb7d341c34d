#!/usr/bin/env python3
"""Plays transcripts through the real binary and compares whole replies: run.py [FILE ...]

A transcript is a file *.jsonl in this folder. Each has a home, a store and a server process of its
own, in the payments sandbox. Its lines, by their first two characters:

    # text                a comment; empty lines are skipped, too
    ! NAME=value          an environment variable of the server (capitals)
    ! config={...}        the contents of farebox.json, in one line
    ! run=grant --tokens 5
                          runs a command of farebox, which must succeed, where the line stands
    ! restart=            ends the server by closing its stdin; the next line starts another
    ! within=month        waits for midnight where the month (day) in UTC is about to end: for a
                          transcript of what a month (day) allows or has seen
    > {...}               sent as it stands, one line; adjacent ones go out together
    < {...}               the next message that comes, compared whole as JSON
    ~ {...}               as <, but adjacent ~ lines may come in any order

After the last line stdin is closed: the server must then exit 0 without another word.

Numbers are compared as they are written: 1.50 is not 1.5. An expected text may hold placeholders,
alone or within longer text; in `! run=` and `>` lines those that were seen stand for themselves:

    $call $pay $key $id $hash $time $date $version $url     match what their name says
    $state                                                  a requestState
    $call2 $hash_a ...                                      likewise, by another name
    $any                                                    as a whole value, any JSON; else any text

The same name stands for the same value in the whole transcript, but for $any. Nothing else of the
wall clock is compared: $date and $date2 are what they are.
"""

import glob
import json
import os
import re
import shlex
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "harness"))

from farebox_test import TIMEOUT_S, Gone, Home, wait_for_a_whole  # noqa: E402

KINDS = {
    "call": r"call_[0-9a-f]{32}",
    "pay": r"pay_[0-9a-f]{32}",
    "key": r"fbx_[A-Za-z0-9_-]{43}",
    "id": r"[a-z]+_[0-9a-f]{32}",
    "hash": r"[0-9a-f]{64}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "date": r"\d{4}-\d\d-\d\d",
    "version": r"\d+\.\d+\.\d+",
    "state": r"[!-~]{1,1000}",
    "url": r"https?://[^\s\"\\]+",
    "any": r"(?s:.*?)",
}
PLACEHOLDER = re.compile(r"\$((%s)(?:\d+|_[a-z]+)?)(?![A-Za-z0-9])" % "|".join(KINDS))


class Fault(Exception):
    pass


class Number(str):
    """A number as it was written."""


def parse(text):
    return json.loads(text, parse_float=Number, parse_int=Number)


def short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else text[:400] + "..."


def pattern_of(text, bound):
    """A regular expression for an expected text, and the names it binds."""
    pattern, names, at = "", [], 0
    for m in PLACEHOLDER.finditer(text):
        name, kind = m[1], m[2]
        pattern += re.escape(text[at:m.start()])
        if name in bound and kind != "any":
            pattern += re.escape(bound[name])
        elif name in names:
            pattern += "(?P=%s)" % name
        elif kind == "any":
            pattern += KINDS[kind]
        else:
            pattern += "(?P<%s>%s)" % (name, KINDS[kind])
            names.append(name)
        at = m.end()
    return pattern + re.escape(text[at:]), names


def match(want, got, bound, at=""):
    """Raises Fault at the first difference; adds to bound what the placeholders stand for."""
    if want == "$any" and not isinstance(want, Number):
        return
    if type(want) is not type(got):
        raise Fault("%s: expected %s, got %s" % (at or "/", short(want), short(got)))
    if isinstance(want, dict):
        for name in list(want) + list(got):
            if name not in got:
                raise Fault("%s/%s is missing" % (at, name))
            if name not in want:
                raise Fault("%s/%s was not expected: %s" % (at, name, short(got[name])))
            match(want[name], got[name], bound, "%s/%s" % (at, name))
    elif isinstance(want, list):
        if len(want) != len(got):
            raise Fault("%s: expected %d items, got %d: %s" % (at, len(want), len(got), short(got)))
        for i, (w, g) in enumerate(zip(want, got)):
            match(w, g, bound, "%s/%d" % (at, i))
    elif isinstance(want, str) and not isinstance(want, Number):
        pattern, names = pattern_of(want, bound)
        m = re.fullmatch(pattern, got)
        if not m:
            raise Fault("%s: expected %s, got %s" % (at, short(want), short(got)))
        bound.update((name, m[name]) for name in names)
    elif want != got:
        raise Fault("%s: expected %s, got %s" % (at, short(want), short(got)))


def steps_of(path):
    """(line number, mark, rest) of each line that says something; bad lines raise."""
    steps = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            if line[:2] not in ("! ", "> ", "< ", "~ "):
                raise Fault("line %d: starts with %r" % (number, line[:2]))
            if line[0] in "<~":
                try:
                    steps.append((number, line[0], parse(line[2:])))
                except ValueError as e:
                    raise Fault("line %d: %s" % (number, e)) from e
            else:
                steps.append((number, line[0], line[2:]))
    if not any(mark in "<~" for _, mark, _ in steps):
        raise Fault("expects nothing")
    return steps


class Player:
    def __init__(self, home):
        self.home = home
        self.server = None
        self.bound = {}

    def start(self):
        if self.server is None:
            self.server = self.home.server(era="bare")
        return self.server

    def filled(self, text):
        return PLACEHOLDER.sub(lambda m: self.bound.get(m[1], m[0]), text)

    def stop(self):
        if self.server is None:
            return
        self.server.stop()
        left = self.server.inbox
        self.server.dispose()
        self.server = None
        if left:
            raise Fault("was not expected: %s" % short(left[0]))

    def set(self, text):
        name, _, value = text.partition("=")
        if name == "config":
            self.home.configure(value)
        elif name == "run":
            self.home.cli(*shlex.split(self.filled(value)))
        elif name == "restart":
            self.stop()
        elif name == "within":
            wait_for_a_whole(value)
        elif re.fullmatch("[A-Z_]+", name):
            self.home.env[name] = value
        else:
            raise Fault("! %s: no such setting" % name)

    def receive(self):
        server = self.start()
        try:
            server.until(lambda: server.out_lines, TIMEOUT_S)
        except (Gone, TimeoutError) as e:
            raise Fault("no answer: %s" % e) from e
        server.inbox.pop(0)
        return parse(server.out_lines.pop(0))

    def expect_in_order(self, want):
        got = self.receive()
        try:
            match(want, got, self.bound)
        except Fault as e:
            raise Fault("%s\n  whole: %s" % (e, json.dumps(got, ensure_ascii=False))) from e

    def expect_in_any_order(self, wanted):
        wanted = list(wanted)
        while wanted:
            got = self.receive()
            for i, want in enumerate(wanted):
                bound = dict(self.bound)
                try:
                    match(want, got, bound)
                except Fault:
                    continue
                self.bound = bound
                del wanted[i]
                break
            else:
                raise Fault("none of the %d expected is %s"
                            % (len(wanted), json.dumps(got, ensure_ascii=False)))

    def play(self, steps):
        at = 0
        while at < len(steps):
            number, mark, rest = steps[at]
            run = [rest]
            while mark in ">~" and at + len(run) < len(steps) and steps[at + len(run)][1] == mark:
                run.append(steps[at + len(run)][2])
            at += len(run)
            try:
                if mark == "!":
                    self.set(rest)
                elif mark == ">":
                    self.start().send_bytes("".join(self.filled(line) + "\n" for line in run).encode())
                elif mark == "<":
                    self.expect_in_order(rest)
                else:
                    self.expect_in_any_order(run)
            except (Fault, AssertionError, KeyError) as e:
                raise Fault("line %d: %s" % (number, e)) from e
        self.stop()


def play(path):
    """What went wrong, as text; None when all went as written."""
    try:
        steps = steps_of(path)
        with Home() as home:
            player = Player(home)
            try:
                player.play(steps)
            finally:
                if player.server is not None:
                    player.server.dispose()
    except (Fault, AssertionError, TimeoutError, Gone) as e:
        return str(e)
    return None


def main():
    paths = sys.argv[1:] or sorted(glob.glob(os.path.join(HERE, "*.jsonl")))
    passed = failed = 0
    for path in paths:
        fault = play(path)
        if fault is None:
            passed += 1
            print("ok %s" % os.path.basename(path), flush=True)
        else:
            failed += 1
            print("FAIL %s\n%s" % (os.path.basename(path), fault), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed or not passed else 0)


main()
