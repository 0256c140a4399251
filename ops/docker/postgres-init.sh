#!/bin/sh
# Run by the postgres image once, on an empty volume: the engine's login, and the cluster's, with a
# database of its own because membership is written and rewritten. The engine's rights come from the role risk_runtime, which
# the migrations fill (src/Risk.Storage/Postgres/Migrations).
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set engine="$RISK_ENGINE_PASSWORD" --set membership="$RISK_MEMBERSHIP_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE risk_runtime NOLOGIN;
CREATE ROLE risk_engine LOGIN PASSWORD :'engine' IN ROLE risk_runtime;
CREATE ROLE risk_membership LOGIN PASSWORD :'membership';
CREATE DATABASE risk_membership OWNER risk_membership;
SQL
