"""The demo: an invented company's mail, made up by a small model (`model`) and sent through the product's own API.

`feed` sends it, `fill` and `play` say when, `progress` remembers how far it is.
"""
