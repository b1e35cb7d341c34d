"""What the checks share: finding files, taking comments and strings out of C, reporting.

A check is a program CHECK [ROOT] that prints a line for each fault, as path:line: what, and
exits 1 when there was one. ROOT is the tree to look at, by default the one it stands in.
"""

import os
import re
import sys

SKIPPED = {".git", "__pycache__", "node_modules"}


def tree_root():
    if len(sys.argv) > 1:
        return os.path.abspath(sys.argv[1])
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files_below(root, folders, endings=None):
    """Paths relative to root, sorted. Build folders and the like are left out."""
    found = []
    for folder in folders:
        top = os.path.join(root, folder)
        if os.path.isfile(top):
            found.append(folder)
        for where, dirs, names in os.walk(top):
            at_top = os.path.relpath(where, root) == "."
            dirs[:] = [d for d in dirs if d not in SKIPPED and not (at_top and d.startswith(("build", "farebox-bench-")))]
            for name in names:
                path = os.path.relpath(os.path.join(where, name), root)
                if name not in SKIPPED and (endings is None or path.endswith(endings)):
                    found.append(path)
    return sorted(set(found))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
        return f.read()


TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<char>'(?:\\.|[^'\\\n])+')""",
    re.DOTALL,
)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    return TOKEN.sub(lambda m: blank(m[0]) if m["comment"] else m[0], text)


def code_only(text):
    """C with comments and the insides of strings blanked; lines stay where they are."""

    def replace(m):
        if m["comment"]:
            return blank(m[0])
        return m[0][0] + blank(m[0][1:-1]) + m[0][-1]

    return TOKEN.sub(replace, text)


def strings(text):
    """(line number, contents) of each string literal outside of comments."""
    return [
        (text.count("\n", 0, m.start()) + 1, m["string"][1:-1])
        for m in TOKEN.finditer(text)
        if m["string"]
    ]


def first_line(root, path):
    try:
        with open(os.path.join(root, path), "rb") as f:
            return f.readline(200).decode("utf-8", "replace")
    except OSError:
        return ""


class Report:
    def __init__(self):
        self.faults = 0

    def fault(self, path, line, text):
        self.faults += 1
        print("%s:%d: %s" % (path, line, text))

    def end(self):
        sys.exit(1 if self.faults else 0)
