"""What records change, worked out from what is known, without I/O."""
