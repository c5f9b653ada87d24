"""From a record to Redis or the disk before anybody is answered: group commit, spool, drainer."""
