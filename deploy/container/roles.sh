#!/bin/bash
# Makes the owner's role, one for each service and the database, when the Postgres of deploy/compose.yaml is first started
# (docs/operating.md, "Roles in Postgres"). Passwords go by standard input, where `ps` does not show them.
set -euo pipefail

{
    for name in OWNER GATEWAY TRACKING QUERY AGGREGATOR; do
        variable=${name}_PASSWORD
        printf "\\\\set password '%s'\n" "${!variable:?}"
        printf "CREATE ROLE postmeter_%s LOGIN PASSWORD :'password';\n" "${name,,}"
    done
    cat <<'SQL'
CREATE DATABASE postmeter OWNER postmeter_owner;
REVOKE ALL ON DATABASE postmeter FROM PUBLIC;
GRANT CONNECT ON DATABASE postmeter TO postmeter_gateway, postmeter_tracking, postmeter_query, postmeter_aggregator;
SQL
} | psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres
