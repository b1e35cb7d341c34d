#!/usr/bin/env python3
"""Builds and runs the tests: run.py [--quick] [--jobs N] [PART ...]

Parts, in their order; without a name all of them run:

    checks       the source tree: scripts/check
    harness      what the end-to-end tests stand on
    unit         tests/unit, in each build: gcc release, gcc and clang with ASan and UBSan
    globals      the release holds no mutable globals
    transcripts  tests/transcripts through the real binary
    dates        the unit tests and the transcripts at other times and in other zones, as
                 tests/harness/at_time.py names them: month's end, 29 February, a clock change
    e2e          tests/e2e/test_*.py
    fault        tests/fault/test_*.py
    fuzz         each fuzzer for a few seconds: scripts/fuzz --short
    quickstart   scripts/quickstart, as a user would run it

--quick: one build (gcc with sanitizers) instead of three, and no globals, dates, fault, fuzz,
quickstart.

Builds go to $FAREBOX_BUILD_ROOT, by default build-test in the tree, or a temporary folder when
the tree belongs to somebody else. A part that cannot run has failed. Warnings are errors. What a
failed test said is printed whole, what a good one said not at all; the last line counts.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TREE, "tests", "harness"))

import at_time  # noqa: E402
import builds  # noqa: E402

DRIVER_TIMEOUT_S = 2400
# They wait for timers most of the time: begun first, they are not what the end waits for.
SLOW = ("test_mirror.py", "test_kill.py")

PARTS = ["checks", "harness", "unit", "globals", "transcripts", "dates", "e2e", "fault", "fuzz",
         "quickstart"]
QUICK_PARTS = ["checks", "harness", "unit", "transcripts", "e2e"]

COUNTS = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)
CHECK_COUNTS = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.MULTILINE)


def counts_of_driver(status, output):
    """A driver ends with 'N passed, N failed'; one that does not, or lies, has failed."""
    found = COUNTS.findall(output)
    passed, failed = map(int, found[-1]) if found else (0, 0)
    if not found or passed + failed == 0 or (status != 0) != (failed != 0):
        failed += 1
    return passed, failed


def counts_of_unit_test(is_ok, output):
    """One program of Check's: as many tests as it says, and one more when it fell over."""
    found = CHECK_COUNTS.search(output)
    if not found:
        return (1, 0) if is_ok else (0, 1)
    checks, failures, errors = map(int, found.groups())
    bad = failures + errors
    if not is_ok and bad == 0:
        bad += 1
        checks += 1
    return checks - bad, bad


def run(argv, env=None, timeout=DRIVER_TIMEOUT_S, cwd=TREE):
    """Status and output, both streams together; killed with its children after the timeout."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=env, cwd=cwd, text=True, errors="replace",
                          start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            output, _ = process.communicate()
            return -9, output + "\nstopped after %d s\n" % timeout


class Tests:
    def __init__(self, root, scratch, jobs, builds):
        self.root = root
        self.scratch = scratch
        self.jobs = jobs
        self.build_names = builds
        self.built = {}
        self.passed = self.failed = 0

    def report(self, name, passed, failed, started, output):
        self.passed += passed
        self.failed += failed
        took = time.monotonic() - started
        if failed:
            print(COUNTS.sub(r"(\1 passed and \2 failed)", output.rstrip("\n")))
        print("%-4s %s: %d of %d, %.0f s"
              % ("FAIL" if failed else "ok", name, passed, passed + failed, took), flush=True)

    def drive(self, name, argv, env=None):
        started = time.monotonic()
        status, output = run(argv, env)
        self.report(name, *counts_of_driver(status, output), started, output)

    def build(self, name):
        """The folder of a build, made on first use; None when it cannot be built."""
        if name in self.built:
            return self.built[name]
        started = time.monotonic()
        folder = os.path.join(self.root, name)
        argv, environment = builds.command(name, folder)
        status, output = run(argv, environment)
        self.built[name] = folder if status == 0 else None
        self.report("build " + name, int(status == 0), int(status != 0), started, output)
        return self.built[name]

    def environment(self, folder):
        return {
            **os.environ,
            "FAREBOX_BIN": os.path.join(folder, "farebox"),
            "FAREBOX_FAKES": os.path.join(folder, "tests", "fakes"),
            "FAREBOX_FAULTS": os.path.join(folder, "tests", "fault"),
            "PYTHONPATH": os.path.join(TREE, "tests", "harness"),
            "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
            "LSAN_OPTIONS": "exitcode=99",
        }

    def unit_environment(self, folder):
        """Unit tests leave their stores behind: the folder is removed with all of them."""
        return {**self.environment(folder), "TMPDIR": self.scratch}

    def checks(self):
        self.drive("checks", [os.path.join(TREE, "scripts", "check")])

    def harness(self):
        self.drive("harness", [os.path.join(TREE, "tests", "harness", "test_harness.py")])

    def unit(self):
        for name in self.build_names:
            folder = self.build(name)
            if folder is None:
                self.report("unit " + name, 0, 1, time.monotonic(), "there is no build")
                continue
            started = time.monotonic()
            status, output = run(["meson", "test", "-C", folder, "--no-rebuild",
                                  "--print-errorlogs", "--num-processes", str(self.jobs)],
                                 self.unit_environment(folder))
            passed = failed = 0
            try:
                with open(os.path.join(folder, "meson-logs", "testlog.json"),
                          encoding="utf-8") as f:
                    for line in f:
                        test = json.loads(line)
                        ok, bad = counts_of_unit_test(test["result"] == "OK",
                                                      test.get("stdout", ""))
                        passed += ok
                        failed += bad
            except (OSError, ValueError) as e:
                output += "\n%s\n" % e
                failed += 1
            if (status != 0) != (failed != 0) or passed + failed == 0:
                failed += 1
            self.report("unit " + name, passed, failed, started, output)

    def globals(self):
        started = time.monotonic()
        folder = self.build("gcc-release")
        status, output = 1, "there is no build"
        if folder is not None:
            status, output = run([os.path.join(TREE, "scripts", "checks", "globals"),
                                  os.path.join(folder, "libfarebox.a")])
        self.report("globals", int(status == 0), int(status != 0), started, output)

    def transcripts(self):
        program = os.path.join(TREE, "tests", "transcripts", "run.py")
        for name in self.build_names:
            folder = self.build(name)
            if folder is None:
                self.report("transcripts " + name, 0, 1, time.monotonic(), "there is no build")
            else:
                self.drive("transcripts " + name, [program], self.environment(folder))

    def programs(self, folder):
        """(name, argv, environment, is_python, counting) of each unit test and transcript."""
        status, output = run(["meson", "introspect", folder, "--tests"])
        found = []
        for test in json.loads(output) if status == 0 else []:
            environment = {**self.unit_environment(folder), **test["env"]}
            found.append((test["name"], test["cmd"], environment, False,
                          lambda status, output: counts_of_unit_test(status == 0, output)))
        player = os.path.join(TREE, "tests", "transcripts", "run.py")
        for path in sorted(glob.glob(os.path.join(TREE, "tests", "transcripts", "*.jsonl"))):
            found.append((os.path.basename(path), [player, path], self.environment(folder),
                          True, counts_of_driver))
        return found

    def dates(self):
        """In the build without sanitizers. Each program meets each instant when it begins."""
        folder = self.build("gcc-release")
        programs = self.programs(folder) if folder is not None else []
        started = time.monotonic()
        work = {}

        def drive(instant, name, argv, environment, is_python, count):
            status, output = run(*at_time.command(instant, argv, environment, is_python))
            passed, failed = count(status, output)
            return passed, failed, "" if not failed else "%s\n%s" % (name, output)

        # They wait most of the time, as the drivers do.
        with concurrent.futures.ThreadPoolExecutor(2 * self.jobs) as pool:
            for instant in at_time.INSTANTS:
                why = at_time.fault(instant) if programs else "there is no build, or no test"
                if why:
                    self.report("dates " + instant, 0, 1, started, why)
                else:
                    work[instant] = [pool.submit(drive, instant, *p) for p in programs]
            for instant, futures in work.items():
                done = [future.result() for future in futures]
                self.report("dates " + instant, sum(d[0] for d in done), sum(d[1] for d in done),
                            started, "".join(d[2] for d in done))

    def files(self, part):
        """The drivers tests/PART/test_*.py, some at a time."""
        started = time.monotonic()
        folder = self.build("gcc-sanitized")
        paths = sorted(glob.glob(os.path.join(TREE, "tests", part, "test_*.py")),
                       key=lambda path: (os.path.basename(path) not in SLOW, path))
        if folder is None or not paths:
            why = "there is no build" if paths else "there is no tests/%s/test_*.py" % part
            self.report(part, 0, 1, started, why)
            return
        environment = self.environment(folder)

        def drive(path):
            started = time.monotonic()
            status, output = run([path], environment)
            name = "%s %s" % (part, os.path.basename(path)[len("test_"):-len(".py")])
            return (name, *counts_of_driver(status, output), started, output)

        # One more than there are processors: a driver waits more than it works.
        with concurrent.futures.ThreadPoolExecutor(self.jobs + 1) as pool:
            for done in concurrent.futures.as_completed([pool.submit(drive, p) for p in paths]):
                self.report(*done.result())

    def e2e(self):
        self.files("e2e")

    def fault(self):
        self.files("fault")

    def fuzz(self):
        self.drive("fuzz", [os.path.join(TREE, "scripts", "fuzz"), "--short"])

    def quickstart(self):
        """Twice: the first time as from a fresh clone, the second over what the first has left."""
        with tempfile.TemporaryDirectory(prefix="farebox-test-") as folder:
            environment = {**os.environ, "FAREBOX_QUICKSTART_BUILD": os.path.join(folder, "build"),
                           "HOME": folder}
            for name in ("quickstart", "quickstart again"):
                started = time.monotonic()
                status, output = run([os.path.join(TREE, "scripts", "quickstart")], environment,
                                     cwd=folder)
                self.report(name, int(status == 0), int(status != 0), started, output)


def main():
    parser = argparse.ArgumentParser(usage="%(prog)s [--quick] [--jobs N] [PART ...]",
                                     description="parts: " + " ".join(PARTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4))
    parser.add_argument("parts", nargs="*", choices=PARTS + [[]], metavar="PART")
    args = parser.parse_args()
    started = time.monotonic()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    root, is_temporary = builds.root()
    scratch = tempfile.mkdtemp(prefix="farebox-units-")
    tests = Tests(root, scratch, args.jobs, ["gcc-sanitized"] if args.quick else builds.TESTED)
    try:
        for part in args.parts or (QUICK_PARTS if args.quick else PARTS):
            getattr(tests, part)()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if is_temporary:
            shutil.rmtree(root, ignore_errors=True)
    print("took %.0f s" % (time.monotonic() - started))
    print("%d passed, %d failed" % (tests.passed, tests.failed))
    sys.exit(1 if tests.failed or not tests.passed else 0)


main()
