"""A fuzz of every endpoint: good requests, each changed in one place, against the whole product.

    ./.venv/bin/python -m tests.fuzz --requests 100000

Nothing that a caller sends may be answered by 5xx (but a 503 that the documentation names), stop a shard, let a service
grow or start again, or leave a traceback in a log.
"""
