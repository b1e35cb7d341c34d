"""The stand-in for an operator's MCP server (tests/fakes/mcp_server.py), behind the meter."""

import json
import os
import sys
import time

from farebox_test import Program, TREE

FAKE = os.path.join(TREE, "tests", "fakes", "mcp_server.py")
ANY = {"*": {"kind": "flat", "tokens": 3}}
ERAS = ("modern", "legacy", "both")


def upstream(*switches, prices=None, **more):
    return {"command": [sys.executable, FAKE, *switches], "prices": prices or ANY, **more}


def config(*switches, **more):
    return {"upstreams": {"up": upstream(*switches, **more)}}


class FakeHttp(Program):
    """The stand-in behind a URL."""

    def __init__(self, *switches):
        super().__init__([sys.executable, FAKE, "--http", *switches], dict(os.environ))
        self.until(lambda: any(line.startswith("listening ") for line in self.out_lines))
        self.url = "http://127.0.0.1:%s/mcp" % self.out_lines[-1].split()[1]

    def config(self, **more):
        return {"upstreams": {"up": {"url": self.url, "prices": ANY, **more}},
                "network": {"allow_private": True}}

    def order(self, text):
        done = self.out_lines.count("done")
        self.send_bytes(text.encode() + b"\n")
        self.until(lambda: self.out_lines.count("done") > done)


def tools_of(s):
    return {t["name"]: t for t in s.request("tools/list")["tools"]}


def text_of(result):
    return result["content"][0]["text"]


def log_of(home):
    path = os.path.join(home.path, "log")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()


def until(condition, timeout=10):
    """For what happens outside of any program's output."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in %s s" % timeout
        time.sleep(0.01)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] != "Z"


def check_all_is_well(home, s, spent):
    assert s.balance() == 100 - spent, s.balance()
    s.stop()
    home.ledger_verify()
    assert home.query("SELECT count(*) FROM hold") == [(0,)]
