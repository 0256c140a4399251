-- What the running engine may do: read and insert; delete only snapshots, which are a cache. Logins are made members of this role.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'risk_runtime') THEN
        CREATE ROLE risk_runtime NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- made at the same moment by the migration of another database of this server
END $$;

GRANT USAGE ON SCHEMA risk TO risk_runtime;
GRANT SELECT ON risk.migration TO risk_runtime;
GRANT SELECT, INSERT ON risk.decision_log, risk.epoch, risk.entry, risk.log_commit, risk.tile, risk.checkpoint, risk.label TO risk_runtime;
GRANT SELECT, INSERT, DELETE ON risk.snapshot, risk.snapshot_chunk TO risk_runtime;
