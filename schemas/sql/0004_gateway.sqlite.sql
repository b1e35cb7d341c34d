-- What a real till needs: its own names of things, the bytes of what it was asked, and the money
-- that went back.

-- charge_ref is what refunds and disputes name. expires_ms NULL: PAYMENT_OPEN_MS after created_ms.
-- taken_microusd is what refunds and disputes took back of the credit.
ALTER TABLE payment ADD COLUMN charge_ref TEXT;
ALTER TABLE payment ADD COLUMN expires_ms INTEGER;
ALTER TABLE payment ADD COLUMN taken_microusd INTEGER NOT NULL DEFAULT 0;

CREATE INDEX payment_charge ON payment (gateway, charge_ref) WHERE charge_ref IS NOT NULL;

-- The exact bytes of each request that can be repeated, durable before the first of them goes out.
CREATE TABLE gateway_request (
    gateway TEXT NOT NULL,
    key TEXT NOT NULL,
    path TEXT NOT NULL,
    body TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (gateway, key)
) STRICT, WITHOUT ROWID;

-- The till's customer of an org. attempt counts those that were deleted over there.
CREATE TABLE gateway_customer (
    gateway TEXT NOT NULL,
    org BLOB NOT NULL,
    customer TEXT NOT NULL,
    email TEXT,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (gateway, org)
) STRICT, WITHOUT ROWID;

-- Refunds and disputes. turn counts how often the money changed sides, so that old news is known
-- as old; is_taken is the side that it is on.
CREATE TABLE reversal (
    id BLOB NOT NULL PRIMARY KEY,
    gateway TEXT NOT NULL,
    ref TEXT NOT NULL,
    org BLOB NOT NULL,
    payment BLOB NOT NULL,
    kind INTEGER NOT NULL,
    amount_cents INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    is_taken INTEGER NOT NULL,
    is_over INTEGER NOT NULL,
    status TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX reversal_ref ON reversal (gateway, ref);
CREATE INDEX reversal_payment ON reversal (payment);
CREATE INDEX reversal_org ON reversal (org, id);
CREATE INDEX reversal_waiting ON reversal (gateway, id) WHERE is_over = 0;

-- One poller a store: who asks the till now and until when, when it is to be asked next, and up to
-- which time it told of refunds and disputes.
CREATE TABLE poller (
    gateway TEXT NOT NULL PRIMARY KEY,
    holder BLOB NOT NULL,
    until_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
