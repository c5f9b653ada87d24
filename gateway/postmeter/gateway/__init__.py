"""gateway: the one public door."""
