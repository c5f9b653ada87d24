"""The writing API: messages, events, campaigns."""
