"""Bodies and fields of what is written by API: bounded, and checked field by field."""
