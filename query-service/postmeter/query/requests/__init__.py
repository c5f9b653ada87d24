"""What callers ask with: parameters, bodies, times, cursors, and how many ask at once."""
