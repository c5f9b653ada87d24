"""What callers ask with: parameters, times, cursors, and how many ask at once."""
