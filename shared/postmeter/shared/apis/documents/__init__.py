"""The five published documents: shapes and rows of each."""
