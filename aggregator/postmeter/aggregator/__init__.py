"""aggregator: counts the streams into Postgres, each event once."""
