"""What is sent: the campaigns as data. Whom they go to, how they are received, where their links lead."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from postmeter.cli.demo.model.company import APP, NEWSLETTER, ORDERS, SHOP, Sender

READERS = "readers"
CUSTOMERS = "customers"
CAFES = "cafes"
DORMANT = "dormant"
"""People who have not been written to for years; the lists of everybody else are those above."""


class Link(NamedTuple):
    """Where a link leads, and how often it is followed beside the mail's others."""

    url: str
    weight: float = 1.0


class Kind(NamedTuple):
    """What campaigns of one kind have in common. appeal, pull: factors of how many open, and of these click; sells:
    how many of who click buy; replies: how many of who read answer."""

    sender: Sender
    audience: str
    template: str
    tags: tuple[str, ...]
    appeal: float
    pull: float
    sells: float
    replies: float


class Campaign(NamedTuple):
    """One campaign. appeal, pull, sells: its own factors on top of its kind's."""

    id: str
    name: str
    subject: str
    kind: Kind
    links: tuple[Link, ...]
    appeal: float = 1.0
    pull: float = 1.0
    sells: float = 1.0

    @property
    def status(self) -> str:
        """What its sender says of it: flows never end."""
        return "sent" if self.id[0].isdigit() else "running"


PROMOTION = Kind(SHOP, CUSTOMERS, "promotion", ("marketing", "shop"), 1.0, 1.0, 0.22, 0.001)
ISSUE = Kind(NEWSLETTER, READERS, "letter", ("editorial",), 1.15, 1.1, 0.0, 0.004)
UPDATE = Kind(APP, CAFES, "product-update", ("product",), 1.2, 1.0, 0.0, 0.008)
ORDER = Kind(ORDERS, CUSTOMERS, "receipt", ("transactional",), 2.1, 0.9, 0.0, 0.004)
FLOW = Kind(SHOP, CUSTOMERS, "flow", ("automated", "shop"), 1.4, 1.5, 0.2, 0.001)
TRIAL = Kind(APP, CAFES, "onboarding", ("automated", "product"), 1.6, 1.6, 0.0, 0.012)
REVIVAL = Kind(SHOP, DORMANT, "promotion", ("marketing", "win-back"), 0.35, 0.6, 0.04, 0.002)

_SHOP = "https://larkfield.example"
_LETTER = "https://slowpour.example"
_APP = "https://brewbook.example"


def _shop(slug: str) -> tuple[Link, ...]:
    own = Link(f"{_SHOP}/{slug}?utm_source=mail", 6.0)
    return own, Link(f"{_SHOP}/shop", 2.0), Link(f"{_SHOP}/brew-guides", 1.0), Link(f"{_SHOP}/account", 0.5)


def _letter(slug: str) -> tuple[Link, ...]:
    story = Link(f"{_LETTER}/{slug}", 5.0)
    rest = ("/archive", "/recipes/this-week", "/partners/larkfield", "/share")
    return story, *(Link(f"{_LETTER}{path}", 1.2 / place) for place, path in enumerate(rest, 1))


def _app(slug: str) -> tuple[Link, ...]:
    return Link(f"{_APP}/whats-new/{slug}", 4.0), Link(f"{_APP}/login", 2.0), Link(f"{_APP}/help", 0.7)


class Theme(NamedTuple):
    """What one promotion, issue or update is about."""

    slug: str
    name: str
    subject: str
    appeal: float = 1.0
    pull: float = 1.0


PROMOTIONS = (
    Theme("filter-roasts", "New filter roasts", "Three new roasts for filter", 1.05, 1.1),
    Theme("free-delivery", "Free delivery until Sunday", "Delivery is on us until Sunday", 1.1, 1.3),
    Theme("grinders", "The grinder guide", "Which grinder for which kitchen?", 0.95, 1.2),
    Theme("decaf-week", "Decaf week", "Coffee after four o'clock", 0.85, 0.8),
    Theme("natural", "Natural of the month", "Strawberries, and nothing added", 1.05, 1.0),
    Theme("kettles", "Kettles are back", "Back in stock: the gooseneck kettle", 1.0, 1.2),
    Theme("subscriptions", "Subscriptions, three sizes", "Never run out on a Monday", 0.9, 0.9),
    Theme("tasting-set", "Tasting set", "Four small bags, one long weekend", 1.1, 1.15),
    Theme("house-blend", "House blend, new crop", "The house blend has a new crop", 0.95, 0.9),
    Theme("espresso", "Espresso, two ways", "Two espressos that disagree", 1.0, 1.0),
    Theme("gift-cards", "Gift cards by mail", "A present that fits into an envelope", 0.9, 0.9),
    Theme("last-call", "Last call: spring lots", "The last forty bags of these lots", 1.15, 1.2),
    Theme("paper-filters", "Filters by the hundred", "You are about to run out of filters", 0.85, 0.9),
    Theme("cold-brew", "Cold brew kit", "Cold, slow, and ready tomorrow", 1.0, 1.05),
)
ISSUES = (
    Theme("water", "Water is an ingredient", "What comes out of your tap"),
    Theme("altitude", "What altitude does", "Why beans from high up are dense", 0.95),
    Theme("recipes", "One cup, five recipes", "The same beans, five times", 1.1, 1.2),
    Theme("freezing", "Coffee in the freezer", "Yes, you may freeze it", 1.1, 1.1),
    Theme("price", "What a bag costs, line by line", "Where your eleven euros go", 1.15, 1.1),
    Theme("cups", "Thick cups, thin cups", "Does the cup change the taste?", 0.95),
    Theme("roasters", "A morning at the roaster", "Six in the morning, 200 degrees", 1.0, 0.9),
    Theme("harvest", "Letters from the harvest", "Rain in the second week", 0.9, 0.8),
    Theme("grind", "Grind size, finally explained", "Finer is not stronger", 1.1, 1.2),
    Theme("mistakes", "Seven mistakes that we made", "What we got wrong this year", 1.15, 1.1),
    Theme("tea", "An issue about tea", "Bear with us: tea", 0.85, 0.8),
    Theme("storage", "Tins, bags and jars", "Light, air, and patience", 0.95),
    Theme("history", "The first filter paper", "A blotting paper and a brass pot", 1.0, 0.9),
)
UPDATES = (
    Theme("rotas", "Rotas on a phone", "Swap a shift from the bus"),
    Theme("stock", "Stock counts by photo", "Count the shelf with a photo", 1.1, 1.2),
    Theme("invoices", "Invoices in one place", "Your suppliers' invoices, sorted", 1.05),
    Theme("tips", "Tips, shared fairly", "Split tips without a spreadsheet", 1.1, 1.1),
    Theme("reports", "The Monday report", "Last week on one page", 1.0, 1.1),
    Theme("waste", "Milk that was poured away", "See what you pour away", 0.95),
)


def promotion(number: int, day: str) -> Campaign:
    """The number-th promotion, sent on `day` (YYYY-MM-DD)."""
    return _themed(PROMOTIONS[number % len(PROMOTIONS)], PROMOTION, _shop, day)


def issue(number: int, day: str) -> Campaign:
    """The number-th issue of the newsletter."""
    theme = ISSUES[number % len(ISSUES)]
    return _themed(theme._replace(name=f"The Slow Pour #{140 + number}: {theme.name}"), ISSUE, _letter, day)


def update(number: int, day: str) -> Campaign:
    """The number-th update of the app."""
    return _themed(UPDATES[number % len(UPDATES)], UPDATE, _app, day)


def star(day: str) -> Campaign:
    """The promotion that stands out."""
    theme = Theme("auction-lot", "The auction lot, 80 bags", "80 bags. When they are gone, they are gone", 1.7, 2.2)
    return _themed(theme, PROMOTION, _shop, day)._replace(sells=1.6)


def flop(day: str) -> Campaign:
    """The issue that flops."""
    theme = Theme("survey", "The Slow Pour: reader survey", "Please answer 34 questions", 0.4, 0.35)
    return _themed(theme, ISSUE, _letter, day)


def win_back(day: str) -> Campaign:
    """What makes the bad day: mail to addresses that nobody has looked after for years."""
    theme = Theme("we-miss-you", "Win-back: we miss you", "It has been a while", 1.0, 1.0)
    return _themed(theme, REVIVAL, _shop, day)


def _themed(theme: Theme, kind: Kind, links: Callable[[str], tuple[Link, ...]], day: str) -> Campaign:
    name = f"{day}-{theme.slug}"
    return Campaign(name, theme.name, theme.subject, kind, links(theme.slug), theme.appeal, theme.pull)


class Flow(NamedTuple):
    """A campaign that never ends: its mails a day, as a share of all people on the lists."""

    campaign: Campaign
    daily: float


_ORDER = (Link(f"{_SHOP}/orders/status", 5.0), Link(f"{_SHOP}/help", 0.6))
_BASKET = (Link(f"{_SHOP}/basket", 6.0), Link(f"{_SHOP}/shop", 1.0), Link(f"{_SHOP}/help", 0.3))
FLOWS = (
    Flow(Campaign("order-confirmation", "Order confirmation", "Thank you for your order", ORDER, _ORDER), 0.006),
    Flow(Campaign("on-its-way", "Shipping notice", "Your coffee is on its way", ORDER, _ORDER, 1.0, 1.6), 0.0055),
    Flow(
        Campaign(
            "password-reset", "Password reset", "Your link to a new password",
            ORDER, (Link(f"{_SHOP}/password", 1.0),), 1.05, 2.5,
        ),
        0.0016,
    ),
    Flow(Campaign("welcome", "Welcome", "Good to have you", FLOW, _shop("welcome"), 1.2), 0.0045),
    Flow(Campaign("basket", "Basket reminder", "You left something behind", FLOW, _BASKET, 0.9, 1.3, 1.5), 0.003),
    Flow(Campaign("review", "Review request", "How was it?", FLOW, _shop("review"), 0.8, 0.8, 0.2), 0.003),
    Flow(Campaign("trial-day-3", "Trial, day 3", "Your first rota in four minutes", TRIAL, _app("first-rota")), 0.0012),
)  # fmt: skip
FLASHES = (
    ("small-batch", "Small batch", "Twenty bags, roasted this morning"),
    ("shop-open", "The café is open", "We are pouring until six"),
    ("back-in-stock", "Back in stock", "It is here again"),
    ("seat-free", "Tasting tonight: a seat is free", "One seat at tonight's tasting"),
)


def flash(number: int, minute: str) -> Campaign:
    """A small campaign of the live traffic, sent at `minute` (YYYY-MM-DD-HHMM)."""
    slug, name, subject = FLASHES[number % len(FLASHES)]
    kind = PROMOTION._replace(tags=("marketing", "shop", "flash"))
    return Campaign(f"{minute}-{slug}", name, subject, kind, _shop(slug), 1.3, 1.4)
