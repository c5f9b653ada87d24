"""Checks of single fields of what is written by API."""
