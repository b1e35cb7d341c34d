-- What time the store believes it is: one row. In the boot that boot names, it was wall_ms when the
-- boot clock said boot_ms. earliest_ms is what an earlier boot had believed: less than that is behind.
-- The rest tells the operator of a clock that jumped ahead and is not believed, or stepped back: by
-- how much at most, and when (what the wall clock said) that was seen first; 0: it did not.
CREATE TABLE clock (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    boot BLOB NOT NULL,
    wall_ms INTEGER NOT NULL,
    boot_ms INTEGER NOT NULL,
    earliest_ms INTEGER NOT NULL,
    ahead_ms INTEGER NOT NULL,
    ahead_seen_ms INTEGER NOT NULL,
    back_ms INTEGER NOT NULL,
    back_seen_ms INTEGER NOT NULL
) STRICT;
