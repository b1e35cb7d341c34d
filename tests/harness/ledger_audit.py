"""A second opinion on the ledger: reads the SQLite file itself and checks what must always be true.

Written from the tables and the description of the hash, not from the program's code, so that the
two can disagree.
"""

import collections
import hashlib
import sqlite3
import struct
import urllib.parse

AVAILABLE, HELD = 1, 2
HOLD, REFUND, DISPUTE = 5, 9, 10

ENTRY_SQL = """
SELECT org, seq, kind, from_account, to_account, amount_microusd, ref, api_key, tool, is_closing,
    price_version, at_ms, note, hash
FROM entry ORDER BY org, seq
"""

Entry = collections.namedtuple(
    "Entry", "org seq kind source target amount ref key tool closing version at note hash")


def text_bytes(text):
    if text is None:
        return struct.pack(">q", -1)
    data = text.encode()
    return struct.pack(">q", len(data)) + data


def hash_of(previous, e):
    return hashlib.sha256(
        previous + (e.org or bytes(16))
        + struct.pack(">qqqqq", e.seq, e.kind, e.source, e.target, e.amount)
        + (e.ref or bytes(16)) + (e.key or bytes(16)) + text_bytes(e.tool)
        + struct.pack(">qqq", e.closing, e.version, e.at) + text_bytes(e.note)).digest()


def faults_of_chain(entries, wallet):
    faults = []
    previous = bytes(32)
    for place, e in enumerate(entries, 1):
        if e.seq != place:
            faults.append("entry %d stands at place %d" % (e.seq, place))
        if hash_of(previous, e) != e.hash:
            faults.append("entry %d: its hash is not that of its fields" % e.seq)
        previous = e.hash
    if wallet["seq"] != len(entries):
        faults.append("the wallet says %d entries, there are %d" % (wallet["seq"], len(entries)))
    if entries and wallet["head"] != previous:
        faults.append("the wallet's head is not the last entry's hash")
    return faults


def faults_of_sums(entries, wallet, holds):
    def balance(account):
        return (sum(e.amount for e in entries if e.target == account)
                - sum(e.amount for e in entries if e.source == account))

    faults = []
    if balance(AVAILABLE) != wallet["available_microusd"]:
        faults.append("available is %d, the entries sum to %d"
                      % (wallet["available_microusd"], balance(AVAILABLE)))
    if balance(HELD) != wallet["held_microusd"]:
        faults.append("held is %d, the entries sum to %d"
                      % (wallet["held_microusd"], balance(HELD)))
    if sum(holds.values()) != wallet["held_microusd"]:
        faults.append("held is %d, the open holds sum to %d"
                      % (wallet["held_microusd"], sum(holds.values())))
    if wallet["available_microusd"] < 0 and not any(e.kind in (REFUND, DISPUTE) for e in entries):
        faults.append("available is negative: %d" % wallet["available_microusd"])
    return faults


def faults_of_holds(entries, holds):
    opened = collections.Counter(e.ref for e in entries if e.kind == HOLD)
    closed = collections.Counter(e.ref for e in entries if e.closing)
    faults = []
    for ref in set(opened) | set(closed) | set(holds):
        want = 0 if ref in holds else 1
        if opened[ref] != 1 or closed[ref] != want:
            faults.append("hold %s: opened %d times, ended %d times, %s"
                          % (ref.hex(), opened[ref], closed[ref],
                             "still open" if ref in holds else "not open"))
    return faults


def audit(store):
    """What is wrong with the ledger in the SQLite file store, as texts."""
    db = sqlite3.connect("file:%s?mode=ro" % urllib.parse.quote(store), uri=True, timeout=10)
    try:
        db.row_factory = sqlite3.Row
        db.execute("BEGIN")
        faults = ["the file: %s" % row[0]
                  for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        by_org = collections.defaultdict(list)
        for row in db.execute(ENTRY_SQL):
            by_org[row["org"]].append(Entry(*row))
        wallets = {row["org"]: row for row in db.execute("SELECT * FROM wallet")}
        for org in set(by_org) - set(wallets):
            faults.append("org %s has entries and no wallet" % org.hex())
        for org, wallet in wallets.items():
            holds = {row["id"]: row["amount_microusd"]
                     for row in db.execute("SELECT * FROM hold WHERE org = ?", (org,))}
            entries = by_org[org]
            for fault in (faults_of_chain(entries, wallet) + faults_of_sums(entries, wallet, holds)
                          + faults_of_holds(entries, holds)):
                faults.append("org %s: %s" % (org.hex(), fault))
        return faults
    finally:
        db.close()
