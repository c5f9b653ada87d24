"""Who made a hit: a person, an image proxy on a person's behalf, or a machine (semantics.md, docs/verdicts.md)."""
