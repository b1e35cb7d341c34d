-- When the bytes of a request went out last; NULL: when they were kept.
ALTER TABLE gateway_request ADD COLUMN sent_ms INTEGER;

-- When the saved card was declined to a caller; NULL: it was not.
ALTER TABLE payment ADD COLUMN declined_ms INTEGER;
CREATE INDEX payment_declined ON payment (org, declined_ms) WHERE declined_ms IS NOT NULL;

-- The reading of what went back, which may take several looks: since when (0: none is under way),
-- up to when it is known afterwards, and where in the till's lists it goes on.
ALTER TABLE poller ADD COLUMN pass_since_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE poller ADD COLUMN pass_seen_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE poller ADD COLUMN pass_list INTEGER NOT NULL DEFAULT 0;
ALTER TABLE poller ADD COLUMN pass_after TEXT;

-- Of an org's usage event, and of a grant: how often it was put off since it was last told, and why;
-- and when the till was last asked whether what the org's usage is told to is still there.
ALTER TABLE mirror_org ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mirror_org ADD COLUMN trouble TEXT;
ALTER TABLE mirror_org ADD COLUMN checked_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mirror_grant ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mirror_grant ADD COLUMN trouble TEXT;
