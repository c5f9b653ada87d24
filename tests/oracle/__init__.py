"""A plain model of what every number means, to hold the product against.

It is written from semantics.md and the five documents alone: each answer is counted anew from all records, one
after the other, with exact fractions. Simple, slow, and meant to be obviously right. Nothing of the product's
engine, SQL or document modules is used or imitated here.
"""
