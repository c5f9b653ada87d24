#!/usr/bin/env bash
# Writes the environment of the four services and of commands, each into a file of its own, with new secrets, and the SQL
# that makes their roles (docs/host.md). Once: `deploy/host/env.sh /etc/postmeter`. With the folder go all links and keys.
set -euo pipefail
cd "${1:?names no folder for the files}"
if compgen -G '*.env' >/dev/null; then
    echo "$1 has such files already: other secrets would end all links and keys" >&2
    exit 1
fi
umask 077
owner=$(openssl rand -hex 32) gateway=$(openssl rand -hex 32) tracking=$(openssl rand -hex 32)
query=$(openssl rand -hex 32) aggregator=$(openssl rand -hex 32)
internal=$(openssl rand -hex 32) pepper=$(openssl rand -hex 32) source=$(openssl rand -hex 32)
tokens=1:$(openssl rand -base64 32)
dsn() { echo "postgresql://postmeter_$1:$2@127.0.0.1:5432/postmeter"; }

# Of every service and of commands. Redis needs `appendonly yes`, `appendfsync always` and `maxmemory-policy noeviction`.
cat >common.env <<ENV
POSTMETER_REDIS_URL=redis://127.0.0.1:6379/0
POSTMETER_PUBLIC_GATEWAY_URL=https://api.shop.example
ENV

cat >gateway.env <<ENV
POSTMETER_PORT=8080
POSTMETER_OPS_PORT=9080
POSTMETER_POSTGRES_DSN=$(dsn gateway "$gateway")
POSTMETER_TRACKING_URL=http://127.0.0.1:8081
POSTMETER_QUERY_URL=http://127.0.0.1:8082
POSTMETER_TRUSTED_HOPS=1
POSTMETER_INTERNAL_SECRET=$internal
POSTMETER_TOKEN_KEYS=$tokens
POSTMETER_KEY_PEPPER=$pepper
ENV

cat >tracking.env <<ENV
POSTMETER_PORT=8081
POSTMETER_OPS_PORT=9081
POSTMETER_POSTGRES_DSN=$(dsn tracking "$tracking")
POSTMETER_PUBLIC_URL=https://t.shop.example
POSTMETER_SPOOL_DIR=/var/lib/postmeter/spool
POSTMETER_TRUSTED_HOPS=1
POSTMETER_INTERNAL_SECRET=$internal
POSTMETER_TOKEN_KEYS=$tokens
POSTMETER_SOURCE_KEY=$source
ENV

cat >query.env <<ENV
POSTMETER_PORT=8082
POSTMETER_OPS_PORT=9082
POSTMETER_POSTGRES_DSN=$(dsn query "$query")
POSTMETER_EXPORT_DIR=/var/lib/postmeter/exports
POSTMETER_INTERNAL_SECRET=$internal
ENV

cat >aggregator.env <<ENV
POSTMETER_OPS_PORT=9083
POSTMETER_POSTGRES_DSN=$(dsn aggregator "$aggregator")
ENV

cat >commands.env <<ENV
POSTMETER_POSTGRES_DSN=$(dsn owner "$owner")
POSTMETER_KEY_PEPPER=$pepper
POSTMETER_SOURCE_KEY=$source
ENV

cat >roles.sql <<SQL
CREATE ROLE postmeter_owner LOGIN PASSWORD '$owner';
CREATE ROLE postmeter_gateway LOGIN PASSWORD '$gateway';
CREATE ROLE postmeter_tracking LOGIN PASSWORD '$tracking';
CREATE ROLE postmeter_query LOGIN PASSWORD '$query';
CREATE ROLE postmeter_aggregator LOGIN PASSWORD '$aggregator';
CREATE DATABASE postmeter OWNER postmeter_owner;
REVOKE ALL ON DATABASE postmeter FROM PUBLIC;
GRANT CONNECT ON DATABASE postmeter TO postmeter_gateway, postmeter_tracking, postmeter_query, postmeter_aggregator;
SQL
echo "written to $1: put your own names into POSTMETER_PUBLIC_URL and POSTMETER_PUBLIC_GATEWAY_URL"
