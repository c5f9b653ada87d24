"""The gateway: the one public door."""
