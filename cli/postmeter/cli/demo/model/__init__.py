"""The demo's model: who sends what to whom, and what becomes of it. Pure: a day depends on the seed and its number alone.

`company`, `campaigns` and `calendar` say what is sent, `audience`, `mailboxes` and `clients` to whom, `behaviour`,
`habits`, `bounces` and `machines` what becomes of it; `history` puts a day together, `live` the present's traffic.
"""
