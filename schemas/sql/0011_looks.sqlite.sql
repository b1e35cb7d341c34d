-- When the bytes of a request went out last; NULL: when they were kept.
ALTER TABLE gateway_request ADD COLUMN sent_ms INTEGER;
