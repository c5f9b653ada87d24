"""What is shown the moment it is counted."""
