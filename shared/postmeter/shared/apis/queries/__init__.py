"""What can be asked for beside the documents' numbers."""
