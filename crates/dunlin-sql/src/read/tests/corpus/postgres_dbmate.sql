-- migrate:up transaction:false
SET lock_timeout = '2s';
CREATE TABLE accounts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tags jsonb NOT NULL DEFAULT '[]');
DO $do$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'app; reader') THEN
    EXECUTE format($f$CREATE ROLE %I$f$, 'app; reader');
  END IF;
END
$do$;
CREATE INDEX CONCURRENTLY accounts_tags ON accounts USING gin (tags) WHERE tags ? 'a;b';
CREATE OR REPLACE FUNCTION account_tag(account uuid, tag text) RETURNS boolean
  LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT CASE WHEN a.tags ? tag THEN true ELSE a.tags ?| ARRAY[tag, tag || ';'] END FROM accounts a WHERE a.id = account;
END;
BEGIN;
UPDATE accounts SET tags = tags || E'["\\u0041;"]'::jsonb;
UPDATE accounts SET tags = '[]' WHERE tags @? '$[*] ? (@ == ";")';
COMMIT;
VACUUM (ANALYZE) accounts;

-- migrate:down
DROP FUNCTION account_tag(uuid, text);
DROP TABLE accounts
