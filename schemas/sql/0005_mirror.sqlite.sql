-- The mirror of usage and credit at the till: the ledger is the truth, and these say how far it has
-- been told.

-- One row a gateway whose mirror was switched on: who tells now and until when, when it is to be
-- told next, and what was in the way last.
CREATE TABLE mirror (
    gateway TEXT NOT NULL PRIMARY KEY,
    started_ms INTEGER NOT NULL,
    holder BLOB,
    until_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    trouble TEXT,
    trouble_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far an org's ledger is told: its entries up to seq, all but remainder_microusd of their usage.
-- The usage event on its way is durable before it is sent: it bears the id of its last call, and
-- with it the entries up to next_seq are told. units_told counts what has arrived. A row that is
-- not there is of an org that is younger than the mirror: nothing is told of it yet.
CREATE TABLE mirror_org (
    gateway TEXT NOT NULL,
    org BLOB NOT NULL,
    seq INTEGER NOT NULL,
    remainder_microusd INTEGER NOT NULL,
    units_told INTEGER NOT NULL,
    call BLOB,
    call_ms INTEGER NOT NULL,
    units INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    next_remainder_microusd INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    PRIMARY KEY (gateway, org)
) STRICT, WITHOUT ROWID;

-- Credit that the till is told of, one row an entry that gave some; seq 0 is the balance at the
-- start. payment is null for what was not paid for here. ref is the till's name of it.
CREATE TABLE mirror_grant (
    gateway TEXT NOT NULL,
    org BLOB NOT NULL,
    seq INTEGER NOT NULL,
    payment BLOB,
    amount_microusd INTEGER NOT NULL,
    is_told INTEGER NOT NULL,
    ref TEXT,
    not_before_ms INTEGER NOT NULL,
    PRIMARY KEY (gateway, org, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX mirror_grant_waiting ON mirror_grant (gateway, org) WHERE is_told = 0;

-- What was set up at the till once: the meter, its product and price, a subscription a customer.
CREATE TABLE gateway_object (
    gateway TEXT NOT NULL,
    name TEXT NOT NULL,
    ref TEXT NOT NULL,
    PRIMARY KEY (gateway, name)
) STRICT, WITHOUT ROWID;
