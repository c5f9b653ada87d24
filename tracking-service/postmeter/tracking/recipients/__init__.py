"""Recipients' addresses, and who runs their mailboxes."""
