-- Which org serves callers without a key: one row, written when the store is first used.
CREATE TABLE default_org (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    org BLOB NOT NULL
) STRICT;
