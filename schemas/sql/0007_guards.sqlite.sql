-- Limits of keys, rates, and the spend guard.

-- root is the first key of a chain of rotations, null for itself: limits, rates and the guard count
-- for the chain, so that a rotation opens nothing anew.
ALTER TABLE api_key ADD COLUMN root BLOB;
ALTER TABLE api_key ADD COLUMN is_limited INTEGER NOT NULL DEFAULT 0;

-- One row a limited chain of keys. The captured sums count for the UTC day (since 1970) and month
-- (year * 100 + month) beside them; held is the sum of the chain's open holds.
CREATE TABLE key_limit (
    key BLOB NOT NULL PRIMARY KEY,
    daily_microusd INTEGER,
    monthly_microusd INTEGER,
    rate_calls INTEGER NOT NULL,
    rate_per_s INTEGER NOT NULL,
    day INTEGER NOT NULL,
    captured_day_microusd INTEGER NOT NULL,
    month INTEGER NOT NULL,
    captured_month_microusd INTEGER NOT NULL,
    held_microusd INTEGER NOT NULL CHECK (held_microusd >= 0)
) STRICT, WITHOUT ROWID;

-- A bucket of calls a second: full_at_us is the wall clock when it is full again. subject is a
-- chain of keys, or an org for callers without one; tool is '' for the key's own rate.
CREATE TABLE rate (
    subject BLOB NOT NULL,
    tool TEXT NOT NULL,
    full_at_us INTEGER NOT NULL,
    PRIMARY KEY (subject, tool)
) STRICT, WITHOUT ROWID;

-- The spend guard: the same call (subject, tool, arguments: digest), by periods of one window.
-- marks is what happened in which sixtieth of the period, see wallet/guard.c.
CREATE TABLE guard (
    period INTEGER NOT NULL,
    digest BLOB NOT NULL,
    marks BLOB NOT NULL,
    closed_until_ms INTEGER NOT NULL,
    PRIMARY KEY (period, digest)
) STRICT, WITHOUT ROWID;
