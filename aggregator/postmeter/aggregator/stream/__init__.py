"""Shards' streams: who reads which, and what an entry holds."""
