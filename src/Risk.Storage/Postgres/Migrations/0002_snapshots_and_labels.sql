-- What belongs to a partition beside its log: state snapshots (a cache) and outcomes that became known.

CREATE TABLE risk.snapshot (
    snapshot        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log             integer     NOT NULL REFERENCES risk.decision_log,
    sequence        bigint      NOT NULL,
    catalog_digest  bytea       NOT NULL,
    content_bytes   bigint      NOT NULL,
    content_digest  bytea       NOT NULL,
    saved_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX snapshot_newest ON risk.snapshot (log, sequence DESC, snapshot DESC);
COMMENT ON TABLE  risk.snapshot IS 'State snapshots, so that a new owner replays only the tail of the log. A cache: rows may be deleted.';
COMMENT ON COLUMN risk.snapshot.sequence IS 'Entries of the log that the state includes.';
COMMENT ON COLUMN risk.snapshot.catalog_digest IS 'SHA-256 that names what the state was made by; another one cannot read it.';
COMMENT ON COLUMN risk.snapshot.content_digest IS 'SHA-256 of the content.';

CREATE TABLE risk.snapshot_chunk (
    snapshot        bigint      NOT NULL REFERENCES risk.snapshot ON DELETE CASCADE,
    number          integer     NOT NULL,
    content         bytea       NOT NULL,
    PRIMARY KEY (snapshot, number)
);
ALTER TABLE risk.snapshot_chunk ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE  risk.snapshot_chunk IS 'The content of the snapshots, in pieces.';

CREATE TABLE risk.label (
    log             integer     NOT NULL REFERENCES risk.decision_log,
    number          bigint      GENERATED ALWAYS AS IDENTITY,
    event_key       uuid        NOT NULL,
    is_positive     boolean     NOT NULL,
    known_at        bigint,
    received_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log, number)
);
COMMENT ON TABLE  risk.label IS 'Outcomes that became known (fraud, default), in the order they came. Of one event the last counts.';
COMMENT ON COLUMN risk.label.event_key IS 'Keyed hash of the event''s id, as in risk.entry.';
COMMENT ON COLUMN risk.label.known_at IS 'When it became known, microseconds since the Unix epoch; null when that was not said.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON risk.label FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();
