-- Payments and the state of auto-reload.

-- attempt counts the payments of one idempotency key: a failed one makes room for the next.
CREATE TABLE payment (
    id BLOB NOT NULL PRIMARY KEY,
    org BLOB NOT NULL,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    credit_cents INTEGER NOT NULL,
    fee_cents INTEGER NOT NULL,
    idempotency_key TEXT,
    gateway TEXT NOT NULL,
    gateway_ref TEXT,
    url TEXT,
    reason TEXT,
    created_ms INTEGER NOT NULL,
    finished_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX payment_org ON payment (org, id);
CREATE INDEX payment_recent ON payment (org, kind, created_ms);
CREATE INDEX payment_unfinished ON payment (gateway, id) WHERE finished_ms IS NULL;
CREATE UNIQUE INDEX payment_idempotency ON payment (org, gateway, idempotency_key, attempt)
    WHERE idempotency_key IS NOT NULL;

-- One row an org that has ever reloaded: what is in flight, when the next may start, and why the
-- last one failed.
CREATE TABLE reload (
    org BLOB NOT NULL PRIMARY KEY,
    payment BLOB,
    not_before_ms INTEGER NOT NULL,
    declines INTEGER NOT NULL,
    trouble TEXT
) STRICT, WITHOUT ROWID;
