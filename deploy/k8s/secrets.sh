#!/usr/bin/env bash
# Prints new Secrets for overlays/small, once: `deploy/k8s/secrets.sh > secrets.yaml`. Keep the file safe: with it go all links
# and keys. For overlays/standard put your own DSNs in.
set -euo pipefail
owner=$(openssl rand -hex 32) gateway=$(openssl rand -hex 32) tracking=$(openssl rand -hex 32)
query=$(openssl rand -hex 32) aggregator=$(openssl rand -hex 32)
internal=$(openssl rand -hex 32) pepper=$(openssl rand -hex 32) source=$(openssl rand -hex 32)
tokens=1:$(openssl rand -base64 32)

secret() { # NAME KEY VALUE ...
    printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: postmeter}\nstringData:\n' "$1"
    shift
    while [ $# -gt 0 ]; do printf '  %s: "%s"\n' "$1" "$2"; shift 2; done
}
dsn() { echo "postgresql://postmeter_$1:$2@postgres/postmeter"; }

secret postgres POSTGRES_PASSWORD "$(openssl rand -hex 32)" OWNER_PASSWORD "$owner" GATEWAY_PASSWORD "$gateway" \
    TRACKING_PASSWORD "$tracking" QUERY_PASSWORD "$query" AGGREGATOR_PASSWORD "$aggregator"
secret migrate POSTMETER_POSTGRES_DSN "$(dsn owner "$owner")"
secret admin POSTMETER_POSTGRES_DSN "$(dsn owner "$owner")" POSTMETER_REDIS_URL redis://valkey:6379/0 \
    POSTMETER_KEY_PEPPER "$pepper" POSTMETER_SOURCE_KEY "$source" POSTMETER_PUBLIC_GATEWAY_URL https://api.shop.example
secret gateway POSTMETER_POSTGRES_DSN "$(dsn gateway "$gateway")" POSTMETER_INTERNAL_SECRET "$internal" \
    POSTMETER_TOKEN_KEYS "$tokens" POSTMETER_KEY_PEPPER "$pepper"
secret tracking POSTMETER_POSTGRES_DSN "$(dsn tracking "$tracking")" POSTMETER_INTERNAL_SECRET "$internal" \
    POSTMETER_TOKEN_KEYS "$tokens" POSTMETER_SOURCE_KEY "$source"
secret query POSTMETER_POSTGRES_DSN "$(dsn query "$query")" POSTMETER_INTERNAL_SECRET "$internal"
secret aggregator POSTMETER_POSTGRES_DSN "$(dsn aggregator "$aggregator")"
