-- What detectors saw last, and the order in which detect_signal asks them.

CREATE TABLE signal_snapshot (
    org BLOB NOT NULL,
    detector TEXT NOT NULL,
    company TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (org, detector, company)
) STRICT, WITHOUT ROWID;

CREATE TABLE signal_order (
    org BLOB NOT NULL PRIMARY KEY,
    names TEXT NOT NULL
) STRICT, WITHOUT ROWID;
