"""What is shown in the moment at which it is counted."""
