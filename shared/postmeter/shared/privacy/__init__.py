"""What may be kept of a recipient's opens and clicks: levels, ceilings, choices (docs/privacy.md, ADR 0059)."""
