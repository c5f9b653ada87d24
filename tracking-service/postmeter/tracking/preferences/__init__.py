"""The reader's own door: what may be recorded of the mail that he opens, and of the links that he follows."""
