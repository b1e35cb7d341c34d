#!/usr/bin/env python3
"""Runs a program at another time: at_time.py NAME COMMAND [ARGUMENT ...]; NAME as in INSTANTS.

The program and all that it starts see the instant when it begins, and time goes on from there, so
that the midnight passes while it works. All of them agree: each sees the real time and the same
offset. The clocks that count from boot, and the times of files, stay what they are. The library is
Debian's faketime; it does not get along with the sanitizers, and under it Python cannot sleep: what
is written in Python stays in the present, and gives the other time to the programs that it starts.
"""

import datetime
import os
import shutil
import subprocess
import sys
import time
import zoneinfo

# Each passes a boundary at another moment of its run: what is late for one is early for the next.
INSTANTS = {
    "month": ("2027-04-30T23:59:59.000", "UTC"),
    "year": ("2027-12-31T23:59:59.400", "UTC"),
    "new-year": ("2027-01-01T00:00:00.000", "UTC"),
    "leap-day": ("2028-02-29T12:00:00.000", "UTC"),
    "leap-day-end": ("2028-02-29T23:59:59.700", "UTC"),
    # The clocks are changed: 02:00 becomes 03:00, and then 02:00 becomes 01:00.
    "spring": ("2027-03-28T00:59:59.500", "Europe/Berlin"),
    "autumn": ("2027-11-07T05:59:59.500", "America/New_York"),
    # Midnight there: a month begins 14 hours before it does in UTC, and 2:30 after.
    "kiritimati": ("2027-04-30T09:59:59.500", "Pacific/Kiritimati"),
    "st-johns": ("2027-05-01T02:29:59.500", "America/St_Johns"),
}
NAMES = ("TZ", "FAKETIME", "FAKETIME_SHARED", "FAKETIME_DONT_FAKE_MONOTONIC",
         "FAKETIME_NO_CACHE", "NO_FAKE_STAT")
TO_THE_PRESENT = 'FAREBOX_PRELOAD=$LD_PRELOAD; unset LD_PRELOAD; export FAREBOX_PRELOAD; exec "$@"'
CLOCKS = ("import time; print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME),"
          " time.clock_gettime(time.CLOCK_MONOTONIC), time.localtime().tm_gmtoff)")
# A probe takes that long at most, however slow the machine.
PROBE_S = 60


def instant(name):
    text, zone = INSTANTS[name]
    return datetime.datetime.fromisoformat(text + "+00:00"), zone


def passed_on():
    """The environment that gives a program the time that this one was begun with."""
    found = {name: os.environ[name] for name in NAMES if name in os.environ}
    if "FAREBOX_PRELOAD" in os.environ:
        found["LD_PRELOAD"] = os.environ["FAREBOX_PRELOAD"]
    return found


def now():
    """What the clock says to the programs that this one starts."""
    offset = datetime.timedelta(seconds=float(os.environ.get("FAKETIME", "0")))
    return datetime.datetime.now(datetime.timezone.utc) + offset


def command(name, argv, environment=None, is_python=False):
    """What runs argv from the instant on, with its environment; to be started at once."""
    begin, zone = instant(name)
    environment = {**(environment or os.environ), "TZ": zone, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                   "FAKETIME_NO_CACHE": "1", "NO_FAKE_STAT": "1", "LC_ALL": "C.UTF-8"}
    if is_python:
        argv = ["sh", "-c", TO_THE_PRESENT, "sh", *argv]
    offset = begin.timestamp() - time.time()
    return ["faketime", "-m", "-f", "%+.3f" % offset, *argv], environment


def fault(name):
    """Why a program would not live at that time, as text; None when it does."""
    if shutil.which("faketime") is None:
        return "the program faketime is missing: scripts/setup --tests installs it"
    begin, zone = instant(name)
    try:
        offset_s = begin.astimezone(zoneinfo.ZoneInfo(zone)).utcoffset().total_seconds()
        argv, environment = command(name, [sys.executable, "-c", CLOCKS])
        run = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PROBE_S)
        wall, boot, monotonic, zone_s = map(float, run.stdout.split())
    except (zoneinfo.ZoneInfoNotFoundError, subprocess.TimeoutExpired, ValueError) as e:
        return "no clock at %s in %s: %s" % (begin, zone, e)
    if not 0 <= wall - begin.timestamp() + 0.01 < PROBE_S:
        return "the wall clock says %.3f, not %.3f" % (wall, begin.timestamp())
    for said, id in ((boot, time.CLOCK_BOOTTIME), (monotonic, time.CLOCK_MONOTONIC)):
        if not 0 <= time.clock_gettime(id) - said < PROBE_S:
            return "a clock that counts from boot is not the real one"
    # The hour of the change itself is either.
    if zone_s - offset_s not in (0, 3600, -3600):
        return "the zone is %.0f s from UTC, not %.0f" % (zone_s, offset_s)
    return None


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in INSTANTS:
        print(__doc__.split("\n", 1)[0], "\n" + " ".join(INSTANTS), file=sys.stderr)
        sys.exit(2)
    why = fault(sys.argv[1])
    if why:
        sys.exit("at_time: " + why)
    argv, environment = command(sys.argv[1], sys.argv[2:])
    os.execvpe(argv[0], argv, environment)


if __name__ == "__main__":
    main()
