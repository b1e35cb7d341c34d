-- What a key may do: 1 call, 2 billing, 4 admin, added up. NULL: it was made before there were scopes.
ALTER TABLE api_key ADD COLUMN scopes INTEGER;
