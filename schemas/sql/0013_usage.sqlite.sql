-- What calls came to, in sums that are kept as they end: of an org, in a quarter of an hour (UTC, since
-- 1970), of a tool and an API key (16 zero bytes: none). The ledger is the truth, and verify compares.
CREATE TABLE usage_sum (
    org BLOB NOT NULL,
    quarter INTEGER NOT NULL,
    tool TEXT NOT NULL,
    api_key BLOB NOT NULL,
    charged INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    charged_microusd INTEGER NOT NULL,
    refunded_microusd INTEGER NOT NULL,
    PRIMARY KEY (org, quarter, tool, api_key)
) STRICT, WITHOUT ROWID;

-- Kind 6 is a capture; what else closes a hold gives it back.
INSERT INTO usage_sum (org, quarter, tool, api_key, charged, refunded, charged_microusd,
    refunded_microusd)
SELECT org, at_ms / 900000, tool, coalesce(api_key, zeroblob(16)),
    sum(CASE WHEN kind = 6 AND is_closing <> 0 THEN 1 ELSE 0 END),
    sum(CASE WHEN kind <> 6 THEN 1 ELSE 0 END),
    sum(CASE WHEN kind = 6 THEN amount_microusd ELSE 0 END),
    sum(CASE WHEN kind <> 6 THEN amount_microusd ELSE 0 END)
FROM entry WHERE tool IS NOT NULL AND (kind = 6 OR is_closing <> 0)
GROUP BY org, at_ms / 900000, tool, coalesce(api_key, zeroblob(16));
