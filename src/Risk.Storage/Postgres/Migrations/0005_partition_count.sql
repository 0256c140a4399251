-- How many partitions a stream has. A key's partition, and with it where its history is, follows from the number.

CREATE TABLE risk.partition_count (
    stream          text        PRIMARY KEY,
    partitions      integer     NOT NULL CHECK (partitions > 0),
    begun_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE  risk.partition_count IS 'The number of partitions that each stream of a cluster was begun with; a silo that was told another one is refused.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON risk.partition_count FOR EACH STATEMENT EXECUTE FUNCTION risk.refuse_change();
GRANT SELECT, INSERT ON risk.partition_count TO risk_runtime;
