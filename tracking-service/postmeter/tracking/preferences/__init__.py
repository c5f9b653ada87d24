"""The reader's preferences page: what may be recorded of the mail that they open, and of the links that they follow."""
