"""What may be kept of recipients, where it is counted (ADR 0059)."""
