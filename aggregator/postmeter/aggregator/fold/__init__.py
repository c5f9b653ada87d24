"""What records change, told from what is known, without I/O."""
