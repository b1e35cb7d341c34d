-- Who was offered a page to pay at, where he may have one open page only: a key, or an org for
-- callers without one.
CREATE TABLE page_offer (
    payment BLOB NOT NULL PRIMARY KEY,
    subject BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX page_offer_subject ON page_offer (subject);
