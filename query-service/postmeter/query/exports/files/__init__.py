"""The formats that exports come in, and how values are written in each."""
