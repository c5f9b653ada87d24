"""People: users, passwords, sessions, single sign-on (ADR 0042)."""
