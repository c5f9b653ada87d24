"""What may be kept of recipients, what they choose and ask for, and who changed what."""
