-- Money at a till that names this house's payments and that cannot be credited: its org is not here,
-- or it is not over what it says. ref is the till's name of it.
CREATE TABLE stray_money (
    gateway TEXT NOT NULL,
    ref TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    reason TEXT NOT NULL,
    found_ms INTEGER NOT NULL,
    PRIMARY KEY (gateway, ref)
) STRICT, WITHOUT ROWID;
