"""Postgres, as far as the counting core asks it: named statements on tables with transactions and row locks."""
