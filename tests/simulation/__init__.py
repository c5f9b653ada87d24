"""The counting core in one process, in virtual time, with an outside that fails as a seed says (ADR 0052).

    ./.venv/bin/python -m tests.simulation --seeds 1000
    ./.venv/bin/python -m tests.simulation --seed 17 --trace

The code is the product's: what tracking-service does with a record (committer, appenders, spool, drainer) and all that
the aggregator does with it (leases, readers, workers, flushes, memory). Made up are the event loop and its clock, the
network, the disk's failures, Redis and Postgres.
"""
