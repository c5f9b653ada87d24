"""What travels in Redis and under which names: records, streams, live totals."""
