"""The rows of each export type: how many there will be, and how they are read in spans."""
