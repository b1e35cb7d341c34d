-- Sessions with sites (LinkedIn) that callers connected: sealed, and bound to their row.

CREATE TABLE site_session (
    org BLOB NOT NULL,
    site TEXT NOT NULL,
    account TEXT NOT NULL,
    sealed BLOB NOT NULL,
    connected_ms INTEGER NOT NULL,
    PRIMARY KEY (org, site, account)
) STRICT, WITHOUT ROWID;
