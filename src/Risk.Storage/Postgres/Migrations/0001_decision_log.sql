-- The decision log: rows are inserted and never changed. One partition of a stream is one log, an RFC 6962 Merkle tree.

CREATE TABLE risk.decision_log (
    log             integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream          text        NOT NULL,
    partition       integer     NOT NULL CHECK (partition >= 0),
    origin          text        NOT NULL UNIQUE,
    verifier_key    text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream, partition)
);
COMMENT ON TABLE  risk.decision_log IS 'The logs: one for each partition of a stream.';
COMMENT ON COLUMN risk.decision_log.log IS 'Number of the log within this database; stands for it in all other tables.';
COMMENT ON COLUMN risk.decision_log.partition IS '0-based partition of the stream.';
COMMENT ON COLUMN risk.decision_log.origin IS 'Identity of the log: the first line of its checkpoints (https://c2sp.org/tlog-checkpoint).';
COMMENT ON COLUMN risk.decision_log.verifier_key IS 'Public key that its checkpoints verify with (https://c2sp.org/signed-note). The private key is never in the database.';

CREATE TABLE risk.epoch (
    log             integer     NOT NULL REFERENCES risk.decision_log,
    epoch           bigint      NOT NULL CHECK (epoch > 0),
    owner           text        NOT NULL,
    taken_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log, epoch)
);
COMMENT ON TABLE  risk.epoch IS 'Who took ownership of a log, and when. Only the highest epoch of a log may commit to it.';
COMMENT ON COLUMN risk.epoch.epoch IS 'Counts the owners of the log, from 1.';
COMMENT ON COLUMN risk.epoch.owner IS 'Address under which the owner was reached; may be empty.';

CREATE TABLE risk.entry (
    log             integer     NOT NULL,
    sequence        bigint      NOT NULL,
    event_key       uuid,
    record          bytea       NOT NULL,
    payload         bytea       NOT NULL,
    PRIMARY KEY (log, sequence)
);
CREATE INDEX entry_by_event ON risk.entry (event_key) WHERE event_key IS NOT NULL;
COMMENT ON TABLE  risk.entry IS 'The entries of the logs: decisions and what else is on record (start, stop, override).';
COMMENT ON COLUMN risk.entry.sequence IS '0-based place in the log, and index of the leaf in the Merkle tree.';
COMMENT ON COLUMN risk.entry.event_key IS 'Keyed hash of the event''s id, 16 bytes; null for entries that are about no event.';
COMMENT ON COLUMN risk.entry.record IS 'The record, deterministic CBOR: what the leaf hash is made of.';
COMMENT ON COLUMN risk.entry.payload IS 'Private payload; the record holds its SHA-256. Empty when it was erased: the only change to a row that is allowed.';

-- Log and epoch need no foreign keys here: the trigger below looks the epoch up, and a key would write to its row at every commit.
CREATE TABLE risk.log_commit (
    log             integer     NOT NULL,
    number          bigint      NOT NULL CHECK (number > 0),
    first_sequence  bigint      NOT NULL,
    end_sequence    bigint      NOT NULL CHECK (end_sequence >= first_sequence),
    epoch           bigint      NOT NULL,
    source_position bytea       NOT NULL,
    root_hash       bytea       NOT NULL CHECK (length(root_hash) = 32),
    committed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log, number)
);
COMMENT ON TABLE  risk.log_commit IS 'One row for each commit: the entries it added, where the source goes on, and the tree''s hash after it.';
COMMENT ON COLUMN risk.log_commit.number IS 'Counts the commits of the log, from 1. Two owners can never both write the same number.';
COMMENT ON COLUMN risk.log_commit.first_sequence IS 'Sequence of the first entry it added.';
COMMENT ON COLUMN risk.log_commit.end_sequence IS 'Entries of the log after it; equals first_sequence when only the position moved.';
COMMENT ON COLUMN risk.log_commit.epoch IS 'The owner that wrote it.';
COMMENT ON COLUMN risk.log_commit.source_position IS 'Where the source goes on after this commit; opaque to the store.';
COMMENT ON COLUMN risk.log_commit.root_hash IS 'Merkle tree hash of all entries up to end_sequence (RFC 6962, section 2.1).';

CREATE TABLE risk.tile (
    log             integer     NOT NULL,
    level           integer     NOT NULL,
    number          bigint      NOT NULL,
    hashes          bytea       NOT NULL CHECK (length(hashes) = 8192),
    PRIMARY KEY (log, level, number)
);
ALTER TABLE risk.tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
COMMENT ON TABLE  risk.tile IS 'Full hash tiles of the Merkle trees (https://c2sp.org/tlog-tiles), written in the commit that completed them.';
COMMENT ON COLUMN risk.tile.level IS '0: hashes of entries; each level above spans 256 times as many entries.';
COMMENT ON COLUMN risk.tile.hashes IS '256 SHA-256 hashes.';

CREATE TABLE risk.checkpoint (
    log             integer     NOT NULL,
    size            bigint      NOT NULL,
    epoch           bigint      NOT NULL,
    note            bytea       NOT NULL,
    published_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log, size)
);
COMMENT ON TABLE  risk.checkpoint IS 'Signed tree heads. Keep copies elsewhere: they prove later that nothing before them was changed or cut off.';
COMMENT ON COLUMN risk.checkpoint.size IS 'Entries that it covers.';
COMMENT ON COLUMN risk.checkpoint.note IS 'The signed note (https://c2sp.org/tlog-checkpoint), UTF-8.';

CREATE FUNCTION risk.require_newest_owner() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest bigint;
BEGIN
    SELECT max(epoch) INTO newest FROM risk.epoch WHERE log = NEW.log;
    IF newest IS DISTINCT FROM NEW.epoch THEN
        RAISE EXCEPTION 'log % belongs to epoch %, not to %', NEW.log, newest, NEW.epoch USING ERRCODE = 'RF001';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION risk.require_newest_owner() IS 'The fence: only the newest owner of a log writes to it. SQLSTATE RF001.';
CREATE TRIGGER require_newest_owner BEFORE INSERT ON risk.log_commit FOR EACH ROW EXECUTE FUNCTION risk.require_newest_owner();
CREATE TRIGGER require_newest_owner BEFORE INSERT ON risk.checkpoint FOR EACH ROW EXECUTE FUNCTION risk.require_newest_owner();

CREATE FUNCTION risk.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.%: rows of the decision log are never changed', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'RF002';
END $$;
COMMENT ON FUNCTION risk.refuse_change() IS 'Nobody changes the log by mistake, not even its owner. SQLSTATE RF002.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON risk.decision_log FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON risk.epoch        FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE           ON risk.entry        FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON risk.log_commit   FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON risk.tile         FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON risk.checkpoint   FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();

CREATE FUNCTION risk.allow_erasure_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.log, NEW.sequence, NEW.event_key, NEW.record) IS DISTINCT FROM (OLD.log, OLD.sequence, OLD.event_key, OLD.record) OR length(NEW.payload) > 0 THEN
        RAISE EXCEPTION 'entry % of log %: only its payload may be erased', OLD.sequence, OLD.log USING ERRCODE = 'RF002';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION risk.allow_erasure_only() IS 'The owner of the tables may empty a private payload (a right to erasure), and change nothing else.';
CREATE TRIGGER allow_erasure_only BEFORE UPDATE ON risk.entry FOR EACH ROW EXECUTE FUNCTION risk.allow_erasure_only();
