"""Who made a hit: a person, an image proxy on a person's behalf, or a machine (SEMANTICS.md, PEERS.md)."""
