"""The demo: an invented company's mail, made up by a small model and sent through the product's own API.

`company`, `campaigns` and `calendar` say what is sent, `audience`, `mailboxes` and `clients` to whom, `behaviour`,
`bounces` and `machines` what becomes of it, `history` puts a day together; all of that is pure. `feed` sends it,
`fill` and `play` say when, `progress` remembers how far it is.
"""
