"""What the services agree on, and nothing that only one of them needs."""
