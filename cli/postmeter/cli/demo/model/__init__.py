"""The demo's model: who sends what to whom, and what becomes of it. Pure: a day follows from seed and number.

`company`, `campaigns` and `calendar` say what is sent, `audience`, `mailboxes` and `clients` to whom, `behaviour`,
`habits`, `bounces` and `machines` what becomes of it; `history` puts a day together, `live` the present's traffic.
"""
