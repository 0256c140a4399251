#!/bin/sh
# Run by the postgres image once, on an empty volume: the engine's login. Its rights come from the role risk_runtime, which
# the migrations fill (src/Risk.Storage/Postgres/Migrations).
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set password="$RISK_ENGINE_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE risk_runtime NOLOGIN;
CREATE ROLE risk_engine LOGIN PASSWORD :'password' IN ROLE risk_runtime;
SQL
