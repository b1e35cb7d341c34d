"""The builds that tests and benchmarks run, and where they stand."""

import os
import tempfile

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SANITIZED = ["-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined"]
BUILDS = {
    "gcc-release": ("gcc", ["-Dbuildtype=release"]),
    # What scripts/quickstart builds, and what is measured. The check of globals reads symbols of the
    # library, which link-time optimisation hides, so the tests have a build without it.
    "gcc-lto": ("gcc", ["-Dbuildtype=release", "-Db_lto=true"]),
    "gcc-sanitized": ("gcc", SANITIZED),
    "clang-sanitized": ("clang", SANITIZED + ["-Db_lundef=false"]),
}
TESTED = ["gcc-release", "gcc-sanitized", "clang-sanitized"]


def command(name, folder):
    """The command that brings a build up to date, and its environment."""
    compiler, options = BUILDS[name]
    argv = [os.path.join(TREE, "scripts", "build"), folder, "-Dtests=true", "-Dwerror=true",
            *options]
    return argv, {**os.environ, "CC": compiler}


def root():
    """The folder of all builds, and whether it is to be removed afterwards."""
    given = os.environ.get("FAREBOX_BUILD_ROOT")
    folder = os.path.abspath(given) if given else os.path.join(TREE, "build-test")
    mine = os.path.exists(folder) and os.stat(folder).st_uid == os.geteuid()
    if given or mine or (not os.path.exists(folder) and os.access(TREE, os.W_OK)):
        os.makedirs(folder, exist_ok=True)
        return folder, False
    return tempfile.mkdtemp(prefix="farebox-build-"), True
