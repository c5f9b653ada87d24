"""Settings of a workspace that the gateway serves: sending IPs, thresholds of verdicts."""
