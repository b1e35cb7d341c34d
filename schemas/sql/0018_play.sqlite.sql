-- Play money: what is left of what was bought in the sandbox or with a test key.

-- One row, once the store was used with a live key, and for ever.
CREATE TABLE live (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    since_ms INTEGER NOT NULL
) STRICT;

-- live_seq is the org's last entry of the time before that; NULL: the store is not live. What was
-- left at play_base_seq is play_base_microusd: from there on the entries say what is left.
ALTER TABLE wallet ADD COLUMN play_microusd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE wallet ADD COLUMN live_seq INTEGER;
ALTER TABLE wallet ADD COLUMN play_base_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE wallet ADD COLUMN play_base_microusd INTEGER NOT NULL DEFAULT 0;

INSERT INTO live (id, since_ms)
SELECT 1, COALESCE((SELECT min(created_ms) FROM payment WHERE gateway = 'stripe'), 0)
WHERE EXISTS (SELECT 1 FROM payment WHERE gateway = 'stripe')
    OR EXISTS (SELECT 1 FROM gateway_customer WHERE gateway = 'stripe')
    OR EXISTS (SELECT 1 FROM gateway_request WHERE gateway = 'stripe');

-- It is spent first, and never below nothing: the sum of all moves, less the lowest that it ever
-- fell to below zero.
UPDATE wallet SET play_microusd = COALESCE((
    SELECT max(0, min(last - min(0, lowest), wallet.available_microusd + wallet.held_microusd))
    FROM (
        SELECT sum(amount) AS last, min(so_far) AS lowest
        FROM (
            SELECT amount, sum(amount) OVER (ORDER BY seq) AS so_far
            FROM (
                SELECT seq, CASE
                    WHEN kind IN (3, 4, 11) THEN amount_microusd
                    ELSE -amount_microusd END AS amount
                FROM entry
                WHERE entry.org = wallet.org AND (kind = 6 OR (kind IN (3, 4, 9, 10, 11)
                    AND ref IN (SELECT payment.id FROM payment WHERE payment.org = wallet.org
                        AND payment.gateway IN ('sandbox', 'stripe_test'))))
            )
        )
    )), 0)
WHERE org IN (SELECT org FROM payment WHERE gateway IN ('sandbox', 'stripe_test'));

UPDATE wallet SET play_base_seq = seq, play_base_microusd = play_microusd;
UPDATE wallet SET live_seq = seq WHERE EXISTS (SELECT 1 FROM live);
