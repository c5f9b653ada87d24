"""A workspace for the dashboard's tests: five campaigns of three weeks, told through the API, markup in every field."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from tests.product import Product, wait_for

MARKUP = "\"'><img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script>{{7*7}}${7*7}"
"""What becomes something else than text wherever it is not treated as text."""
PEOPLE = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
APPLE = "Mozilla/5.0"
ROBOT = "ExampleScanner/1.0 (+https://scanner.example/bot)"
PROVIDERS = ("gmail.com", "outlook.com", "yahoo.com", "company.example")
CAMPAIGNS = (
    ("march", "March news", 18, 60),
    ("april", "April news", 13, 80),
    ("may", "May news", 8, 70),
    ("june", "June news", 3, 90),
)
"""Id, name, days ago, messages."""
HOSTILE = MARKUP[:48]
"""The same for fields that take little: still whole markup."""


class ToldHistory:
    """What was told, and how to ask for it."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.url: str = product.ready["gateway"]
        self.chance = random.Random(7)
        self.now = datetime.now(UTC)
        self.events: list[dict[str, Any]] = []
        self.scanned = ""
        """A message that a machine opened, once."""
        self.unread = ""
        """One that nobody else opened."""
        for campaign, name, days, size in CAMPAIGNS:
            self._campaign(campaign, name, self.now - timedelta(days=days), size)
        self.hostile = self._hostile()
        for start in range(0, len(self.events), 1000):
            told = self.ask("POST", "/v1/events", {"events": self.events[start : start + 1000]})
            assert told["rejected"] == [], told["rejected"][:3]
        opens = sum(event["type"] == "opened" for event in self.events)
        wait_for("all opens", lambda: self._counted() == opens)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = requests.request(method, self.url + path, json=body, headers=self.product.headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def _counted(self) -> int:
        row = self.ask("POST", "/v1/query", {"metrics": ["opens", "machine_opens"]})["data"][0]
        return int(row["opens"] + row["machine_opens"])

    def _registered(self, messages: list[dict[str, Any]]) -> list[str]:
        answer = self.ask("POST", "/v1/messages", {"messages": messages})
        assert answer["rejected"] == [], answer["rejected"][:3]
        return [one["id"] for one in answer["data"]]

    def _tell(self, kind: str, message: str, at: datetime, **more: Any) -> None:
        at = min(at, self.now)
        self.events.append(
            {
                "type": kind,
                "message_id": message,
                "timestamp": at.isoformat(),
                "id": uuid.UUID(int=self.chance.getrandbits(128)).hex,
                **more,
            }
        )

    def _campaign(self, campaign: str, name: str, at: datetime, size: int) -> None:
        messages = [
            {
                "campaign_id": campaign, "campaign_name": name, "from_address": "news@shop.example",
                "to": f"{campaign}-{n}@{PROVIDERS[n % len(PROVIDERS)]}", "subject": f"{name}, no. {n}",
                "recipient_ref": f"reader-{n}", "provider": "postmark", "template": "news", "tags": ["news"],
                "created_at": (at - timedelta(days=3)).isoformat(),
            }
            for n in range(size)
        ]  # fmt: skip
        for n, message in enumerate(self._registered(messages)):
            self._tell("sent", message, at)
            if n % 17 == 3:
                self._tell("bounced", message, at, bounce_type="hard", reason="550 5.1.1 no such user")
                continue
            self._tell("delivered", message, at + timedelta(seconds=4))
            if n % 40 == 5:
                self._tell("complained", message, at + timedelta(hours=1))
            self._life(message, at)

    def _life(self, message: str, at: datetime) -> None:
        by_proxy = self.chance.random() < 0.2
        if by_proxy:
            self._tell("opened", message, at + timedelta(minutes=2), user_agent=APPLE)
        by_machine = self.chance.random() < 0.1
        if by_machine:
            self._tell("opened", message, at + timedelta(seconds=9), user_agent=ROBOT)
            self.scanned = message
        if self.chance.random() > 0.4:
            if by_machine and not by_proxy:
                self.unread = message
            return
        read = at + timedelta(minutes=self.chance.randint(5, 3000))
        self._tell("opened", message, read, user_agent=PEOPLE)
        if self.chance.random() < 0.4:
            link = self.chance.choice(("https://shop.example/sale", "https://shop.example/new"))
            self._tell("clicked", message, read + timedelta(seconds=30), user_agent=PEOPLE, url=link)
        if self.chance.random() < 0.03:
            self._tell("unsubscribed", message, read + timedelta(minutes=1))

    def _hostile(self) -> str:
        """A message all of whose fields are markup; its id."""
        at = self.now - timedelta(days=2)
        fields: dict[str, Any] = {
            "campaign_id": HOSTILE,
            "campaign_name": MARKUP,
            "from_address": "news@shop.example",
            "to": "x@gmail.com",
            "subject": MARKUP,
            "recipient_ref": HOSTILE,
            "template": HOSTILE,
            "tags": [HOSTILE],
            "provider": "postmark",
            "provider_message_id": HOSTILE,
        }
        (message,) = self._registered([{**fields, "created_at": at.isoformat()}])
        self._tell("sent", message, at)
        self._tell("delivered", message, at)
        self._tell("opened", message, at + timedelta(minutes=1), user_agent=MARKUP)
        self._tell(
            "clicked",
            message,
            at + timedelta(minutes=2),
            user_agent=MARKUP,
            url=f"https://shop.example/?{MARKUP.replace(' ', '+')}",
        )
        self._tell("bounced", message, at + timedelta(minutes=3), bounce_type="soft", reason=MARKUP)
        return message
