"""A workspace: what it is called, its domains and campaigns, what it decides on verdicts and sending IPs."""
