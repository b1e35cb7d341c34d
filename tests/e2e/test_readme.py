#!/usr/bin/env python3
"""What README.md prints is so: its examples are played as they stand there, its configurations are
good, and it names every tool and command.

An example stands between <!-- example: NAME --> and <!-- end -->. Its sh blocks go to one shell,
one after the other; a block without a language is what the block before it prints, where ... stands
for anything. Ports are the only thing that is changed: they are replaced by free ones.
"""

import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import TIMEOUT_S, TREE, Home, binary, main  # noqa: E402

PORT = re.compile(r"\b800\d\b")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
JSON = re.compile(r"^ *```json\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
ENV = re.compile(r"\$\{env:(\w+)\}")


def readme():
    with open(os.path.join(TREE, "README.md"), encoding="utf-8") as f:
        return f.read()


def section(title):
    return re.search(r"^## %s\n(.*?)(?=^## |\Z)" % title, readme(), re.MULTILINE | re.DOTALL)[1]


def example(name):
    """Pairs of commands and what they print; None where nothing is said."""
    text = re.search(r"<!-- example: %s -->(.*?)<!-- end -->" % name, readme(), re.DOTALL)[1]
    steps = []
    for language, block in BLOCK.findall(text):
        if language == "sh":
            steps.append([block, None])
        else:
            assert language == "" and steps[-1][1] is None, block
            steps[-1][1] = block
    return steps


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_port(port):
    """Returns when somebody listens there."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise


class Shell:
    """A shell in a new home, with farebox on its PATH and nothing of it in its environment."""

    DONE = "--the block is done--"

    def __init__(self, home):
        folder = os.path.join(home.path, "bin")
        os.mkdir(folder)
        os.symlink(binary(), os.path.join(folder, "farebox"))
        env = home.environment({"FAREBOX_STORE": None, "FAREBOX_PAYMENTS": None})
        env["PATH"] = folder + ":" + env["PATH"]
        self.process = subprocess.Popen(["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=home.path, env=env,
                                        bufsize=0, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def run(self, block):
        """Everything that it prints."""
        self.process.stdin.write(("%s\necho '%s'\n" % (block, self.DONE)).encode())
        out, deadline = b"", time.monotonic() + TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while self.DONE.encode() not in out:
                assert selector.select(deadline - time.monotonic()), out.decode()
                data = os.read(self.process.stdout.fileno(), 65536)
                assert data, out.decode()
                out += data
        return out.decode().replace(self.DONE, "").rstrip("\n") + "\n"


def is_as_printed(printed, wanted):
    pattern = ".*".join(re.escape(part) for part in wanted.split("..."))
    return re.fullmatch(pattern, printed) is not None


def play(name):
    steps = example(name)
    assert any(wanted for _, wanted in steps)
    ports = {}
    with Home() as home, Shell(home) as shell:
        for block, wanted in steps:
            for port in PORT.findall(block):
                ports.setdefault(port, free_port())
            printed = shell.run(PORT.sub(lambda m: str(ports[m[0]]), block))
            # Whoever copies block after block is slower than a server that starts.
            for port in re.findall(r"&$", block, re.MULTILINE) and ports.values():
                await_port(port)
            assert is_as_printed(printed, wanted or "\n"), (
                "this prints\n%s\nREADME.md says\n%s" % (printed, wanted))
        home.store = os.path.join(home.path, name + "-example", "wallet.db")
        home.env["FAREBOX_STORE"] = home.store
        home.ledger_verify()


def test_the_example_of_an_http_api_does_what_it_prints():
    play("http")


def test_the_example_of_an_mcp_server_does_what_it_prints():
    play("mcp")


def test_the_example_of_a_language_model_does_what_it_prints():
    play("llm")


def configurations():
    with open(os.path.join(TREE, "schemas", "config.json"), encoding="utf-8") as f:
        members = set(json.load(f)["properties"])
    found = [json.loads(block) for block in JSON.findall(readme())]
    return [config for config in found if set(config) <= members]


def test_every_configuration_that_it_prints_is_good():
    found = configurations()
    assert len(found) >= 2, found
    for config in found:
        text = json.dumps(config)
        env = {name: "https://api.example.com" for name in ENV.findall(text)}
        with Home(config, env=env) as home:
            assert home.cli("config", "check").out == "ok\n"


def test_a_new_configuration_is_good_and_shows_each_kind_of_price():
    with Home() as home:
        path = os.path.join(home.path, "new.json")
        home.cli("config", "init", path)
        assert home.cli("config", "check", path).out == "ok\n"
        with open(path, encoding="utf-8") as f:
            tools = json.load(f)["tools"].values()
        assert {tool["price"]["kind"] for tool in tools} == {
            "flat", "per_unit", "cost_plus", "llm"}


def test_it_names_every_tool_with_its_price():
    with Home() as home:
        tools = home.cli("tools", "--json").json()
    tools = tools["tools"] if isinstance(tools, dict) else tools
    rows = [line for line in section("Tools").splitlines() if line.startswith("| `")]
    cells = {name: row.split("|")[2] for row in rows
             for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    for tool in tools:
        price = tool.get("_meta", {}).get("farebox/price", {})
        wanted = "%g tokens" % price["tokens"] if "tokens" in price else "free"
        assert wanted in cells[tool["name"]], (tool["name"], cells[tool["name"]])
    assert set(cells) == {tool["name"] for tool in tools}


def test_it_names_every_command():
    with Home() as home:
        commands = home.cli("help", "--json").json()["commands"]
    lines = section("Command line").splitlines()
    for command in commands:
        own = " ".join(line for line in lines if line.startswith("farebox " + command["name"]))
        assert own, command["name"]
        for below in command["commands"]:
            assert re.search(r"\b%s\b" % below["name"], own), (command["name"], below["name"])


def test_it_names_every_variable_of_the_help():
    with Home() as home:
        said = home.cli("help").out
    table = section("Configuration")
    for name in re.findall(r"^  ((?:FAREBOX|STRIPE)_[A-Z_]+)", said, re.MULTILINE):
        assert "`%s`" % name in table, name


main()
