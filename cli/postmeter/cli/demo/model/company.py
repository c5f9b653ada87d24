"""Who sends: an invented coffee roaster with a shop, a newsletter, an app for cafés, and the mail about orders."""

from __future__ import annotations

from typing import NamedTuple


class Sender(NamedTuple):
    """A sending domain, the address that its mail comes from, and the email provider that it goes through."""

    domain: str
    address: str
    provider: str
    inbound: float
    """Mails that its mailbox receives on a working day, as a share of all people on the lists."""


SHOP = Sender("larkfield.example", "hello@larkfield.example", "SENDGRID", 0.006)
ORDERS = Sender("orders.larkfield.example", "service@orders.larkfield.example", "POSTMARK", 0.004)
NEWSLETTER = Sender("slowpour.example", "letter@slowpour.example", "SES", 0.002)
APP = Sender("brewbook.example", "team@brewbook.example", "MAILGUN", 0.003)
SENDERS = (SHOP, ORDERS, NEWSLETTER, APP)

WORKSPACE = "demo"
NAME = "Larkfield Coffee (demo)"
ZONE = "Europe/Berlin"


class Product(NamedTuple):
    """What the shop sells: its price in cents, of whichever currency."""

    name: str
    cents: int
    weight: float


PRODUCTS = (
    Product("House blend, 250 g", 890, 5.0),
    Product("House blend, 1 kg", 2990, 3.0),
    Product("Washed filter roast, 250 g", 1150, 4.0),
    Product("Natural of the month, 250 g", 1390, 3.0),
    Product("Decaf, 250 g", 990, 2.0),
    Product("Paper filters, 100", 590, 3.0),
    Product("Pour-over cone", 2450, 1.0),
    Product("Gooseneck kettle", 7900, 0.4),
    Product("Hand grinder", 14900, 0.25),
    Product("Three months of coffee", 4500, 0.6),
)
