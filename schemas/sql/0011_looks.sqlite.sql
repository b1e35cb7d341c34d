-- When the bytes of a request went out last; NULL: when they were kept.
ALTER TABLE gateway_request ADD COLUMN sent_ms INTEGER;

-- When the saved card was declined to a caller; NULL: it was not.
ALTER TABLE payment ADD COLUMN declined_ms INTEGER;
CREATE INDEX payment_declined ON payment (org, declined_ms) WHERE declined_ms IS NOT NULL;
