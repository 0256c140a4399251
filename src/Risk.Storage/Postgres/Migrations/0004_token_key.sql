-- By which key a stream's ids are hashed. Under another one the same ids have other hashes, and every event would be decided again.

CREATE TABLE risk.token_key (
    stream          text        PRIMARY KEY,
    fingerprint     bytea       NOT NULL CHECK (length(fingerprint) = 32),
    begun_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE  risk.token_key IS 'The token key that each stream was begun with; an engine with another one is refused.';
COMMENT ON COLUMN risk.token_key.fingerprint IS 'HMAC-SHA-256 of a constant under the token key: tells whether it is the same one, and nothing else of it. The key is never in the database.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON risk.token_key FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();
GRANT SELECT, INSERT ON risk.token_key TO risk_runtime;
