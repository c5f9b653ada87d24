"""Every endpoint of every API: its path, shapes, limits and errors, as data."""
