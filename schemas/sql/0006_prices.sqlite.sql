-- Which price a version on an entry stands for: the version is taken from the digest of the text,
-- and the row is written with the first hold at that price.

CREATE TABLE price (
    version INTEGER NOT NULL PRIMARY KEY,
    text TEXT NOT NULL,
    first_ms INTEGER NOT NULL
) STRICT;
