"""The aggregator: counts what the streams hold into Postgres, each event exactly once."""
