"""Local mode: real servers and all services on one machine, owned by one foreground process."""
