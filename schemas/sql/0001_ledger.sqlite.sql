-- Orgs, keys, the ledger and what is open in it. Ids are 16 bytes, time-ordered; money is
-- micro-USD; times are milliseconds since 1970, UTC.

CREATE TABLE org (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    email TEXT,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    id BLOB NOT NULL PRIMARY KEY,
    org BLOB NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    label TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_key_org ON api_key (org);

-- One row an org, read and written once a batch. seq and head are those of the org's last entry;
-- captured_month_microusd counts captures of the UTC month that month names.
CREATE TABLE wallet (
    org BLOB NOT NULL PRIMARY KEY,
    available_microusd INTEGER NOT NULL,
    held_microusd INTEGER NOT NULL CHECK (held_microusd >= 0),
    seq INTEGER NOT NULL,
    head BLOB NOT NULL,
    month INTEGER NOT NULL,
    captured_month_microusd INTEGER NOT NULL,
    auto_reload_enabled INTEGER NOT NULL,
    auto_reload_threshold_microusd INTEGER NOT NULL,
    auto_reload_amount_microusd INTEGER NOT NULL,
    budget_limit_microusd INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
    org BLOB NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    from_account INTEGER NOT NULL,
    to_account INTEGER NOT NULL,
    amount_microusd INTEGER NOT NULL CHECK (amount_microusd >= 0),
    ref BLOB,
    api_key BLOB,
    tool TEXT,
    is_closing INTEGER NOT NULL,
    price_version INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    note TEXT,
    hash BLOB NOT NULL,
    PRIMARY KEY (org, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER entry_is_never_updated BEFORE UPDATE ON entry
BEGIN
    SELECT RAISE(ABORT, 'ledger entries are never changed');
END;

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
BEGIN
    SELECT RAISE(ABORT, 'ledger entries are never deleted');
END;

-- What is open now; a row lives from its hold to its end.
CREATE TABLE hold (
    id BLOB NOT NULL PRIMARY KEY,
    org BLOB NOT NULL,
    api_key BLOB,
    tool TEXT NOT NULL,
    amount_microusd INTEGER NOT NULL,
    lease BLOB NOT NULL,
    price_version INTEGER NOT NULL,
    idempotency_day INTEGER,
    idempotency_key TEXT
) STRICT, WITHOUT ROWID;

-- A process that has holds open. Another boot id, or a time on the boot clock that has passed,
-- means that it is gone; is_revoked, that its holds are being released.
CREATE TABLE lease (
    id BLOB NOT NULL PRIMARY KEY,
    boot BLOB NOT NULL,
    expires_boot_ms INTEGER NOT NULL,
    is_revoked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Callers' idempotency keys, by day so that they are purged by day. entry_seq is null while the
-- call is in flight; result is null when it was too large to keep.
CREATE TABLE idempotency (
    day INTEGER NOT NULL,
    org BLOB NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    call BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    entry_seq INTEGER,
    result BLOB,
    PRIMARY KEY (day, org, key)
) STRICT, WITHOUT ROWID;

-- Business facts that move money once: a payment, an invoice, a starter grant.
CREATE TABLE fact (
    name TEXT NOT NULL PRIMARY KEY,
    org BLOB NOT NULL,
    entry_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
