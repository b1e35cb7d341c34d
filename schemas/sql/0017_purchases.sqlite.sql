-- Ceilings of purchases. by_operator: bought by hand on the operator's command line, which is
-- neither bound by the ceilings nor counted.
ALTER TABLE payment ADD COLUMN by_operator INTEGER NOT NULL DEFAULT 0;

CREATE INDEX payment_finished ON payment (org, gateway, finished_ms);
