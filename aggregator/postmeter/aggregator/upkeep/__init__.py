"""What the aggregator does beside counting: retention, sums of days, erasure, blocklists."""
