-- Pay and continue: when a payment was last asked about, the key that seals what a client carries
-- from one call to the next, and the seals that were used.
ALTER TABLE payment ADD COLUMN asked_ms INTEGER;

CREATE TABLE pay_key (
    id INTEGER NOT NULL PRIMARY KEY,
    key BLOB NOT NULL
) STRICT;

CREATE TABLE pay_spent (
    seal BLOB NOT NULL PRIMARY KEY,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX pay_spent_expires ON pay_spent (expires_ms);
