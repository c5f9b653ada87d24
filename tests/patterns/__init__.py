"""Proof that the product's regular expressions take linear time (ADR 0028)."""
